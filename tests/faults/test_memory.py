"""A lack of memory is recognised, the trial is tried once more, then fails with advice; later trials continue."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from search.training import out_of_memory
from search.training.work import work
from search.trials.events import Event, Finished, Started
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]

WORKS = """
import json, resource, sys
from pathlib import Path
import torch
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec
from search.training.work import work

def limit(more):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + more if more else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))

specs = tuple(TrialSpec.of(data) for data in json.loads(Path(sys.argv[1]).read_text()))
before = Path(sys.argv[2]).with_name("before")
list(work(Job(trials=(specs[-1],)), Resources(), before))  # imports what it needs to the end, and its threads
limit(48 * 2**20)
for event in work(Job(trials=specs), Resources(), Path(sys.argv[2])):
    told = vars(event) | {"event": type(event).__name__, "trial": [spec.key for spec in specs].index(event.key)}
    print(json.dumps(told, default=len), flush=True)  # bytes by their number
    if told["event"] == "Notice" and "room comes" in sys.argv:
        limit(0)
"""


def run(specs: list[TrialSpec], folder: Path, *words: str) -> list[dict[str, Any]]:
    """The events of a process that can allocate 48 MiB more than it needs for the last of the trials."""
    (folder / "specs.json").write_text(json.dumps([spec.model_dump(mode="json") for spec in specs]))
    command = [sys.executable, "-c", WORKS, str(folder / "specs.json"), str(folder / "checkpoints"), *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture(scope="module")
def large(trial: Trial) -> TrialSpec:
    """A trial whose first feature maps have 140 x 768 x 8 x 8 numbers each, 28 MB; they do not all fit."""
    return trial(net=trial().architecture.assign({"width": 48, "stages.*.units": 1}), batch_size=180, epochs=1)


@pytest.mark.slow
def test_a_trial_without_enough_memory_is_tried_twice_and_fails_and_the_next_one_trains(
    large: TrialSpec, trial: Trial, tmp_path: Path
) -> None:
    told = run([large, trial(epochs=1)], tmp_path)
    names = [event["event"] for event in told if event["trial"] == 0]
    assert names.count("Notice") == 1
    assert names.count("Finished") == 1
    [end] = [event for event in told if event["trial"] == 0 and event["event"] == "Finished"]
    assert end["status"] == "failed"
    assert end["reason"].startswith("out of memory: ")
    assert end["reason"].endswith(out_of_memory.ADVICE)
    assert "Traceback" in (tmp_path / "checkpoints" / large.key / "traceback.txt").read_text()
    [behind] = [event for event in told if event["trial"] == 1 and event["event"] == "Finished"]
    assert behind["status"] == "complete", behind["reason"]


@pytest.mark.slow
def test_a_trial_with_enough_memory_at_the_second_attempt_is_complete(
    large: TrialSpec, trial: Trial, tmp_path: Path
) -> None:
    told = run([large, trial(epochs=1)], tmp_path, "room comes")
    [note] = [event["text"] for event in told if event["event"] == "Notice"]
    assert note.startswith("out of memory: ")
    assert note.endswith("; tried once more")
    assert [event["status"] for event in told if event["event"] == "Finished"] == ["complete", "complete"]


def test_trials_that_ran_out_of_memory_together_are_tried_alone_once(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    def too_large(specs: Any, *_: Any, **__: Any) -> Iterator[Event]:
        begun.append(len(specs) if isinstance(specs, tuple) else 1)
        torch.empty(2**52, dtype=torch.uint8)
        yield Started("never", "host", "cpu")

    monkeypatch.setattr("search.training.work.speedup", lambda *_, **__: 2.0)
    monkeypatch.setattr("search.training.work.train_together", too_large)
    monkeypatch.setattr("search.training.work.train", too_large)
    events = list(work(Job(trials=(trial(seed=1), trial(seed=2))), Resources(fuse=2), None))
    assert begun == [2, 1, 1]
    assert [type(event) for event in events] == [Finished, Finished]
    [reason] = {event.reason for event in events if isinstance(event, Finished)}
    assert reason.startswith("out of memory: tried to allocate 4503599627370496 bytes")


def raised(action: Callable[[], Any]) -> BaseException:
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("there was room")


def test_out_of_memory_errors_of_torch_and_numpy_are_recognised() -> None:
    by_torch = raised(lambda: torch.empty(2**52, dtype=torch.uint8))
    by_numpy = raised(lambda: np.empty(2**52, dtype=np.uint8))
    assert isinstance(by_torch, RuntimeError)
    assert isinstance(by_numpy, MemoryError)
    for error in (by_torch, by_numpy, OSError(errno.ENOMEM, "Cannot allocate memory"), torch.OutOfMemoryError()):
        assert out_of_memory.out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), OSError(errno.ENOSPC, "full"), ValueError("memory")])
def test_other_errors_are_not_taken_for_out_of_memory(error: Exception) -> None:
    assert not out_of_memory.out_of_memory(error)


def test_equal_out_of_memory_errors_have_equal_reasons() -> None:
    text = (
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 1 GiB of which 3 MiB is free."
        " Process {} has 997.00 MiB memory in use."
    )
    reasons = {out_of_memory.reason(text.format(process)) for process in (7, 8)}
    assert reasons == {f"out of memory: tried to allocate 20.00 MiB; {out_of_memory.ADVICE}"}
