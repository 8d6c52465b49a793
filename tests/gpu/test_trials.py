"""Complete trials on a GPU: resuming, lack of memory, sharing a GPU, and exporting networks."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import torch

import search.training.work
from resnet_space import build
from search.data import Images, Split, batches
from search.training.checkpoint import WEIGHTS
from search.training.evaluation import errors
from search.training.execution import Execution
from search.training.export import export
from search.training.train import train, train_together
from search.training.work import work
from search.trials.events import Epoch, Event, Finished, Notice, Started
from search.trials.predictions import Predictions
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Specs = Callable[..., list[TrialSpec]]

ROOT = Path(__file__).resolve().parents[2]
FEW = 0.1
"""Tolerance for the error, as a fraction of a split, between two trainings that round differently."""

TRAINS = """
import json, sys
import torch
from search.data import load
from search.trials.events import Epoch
from search.training.execution import Execution
from search.training.train import train
from search.trials.trial import TrialSpec

spec, device = TrialSpec.of(json.loads(sys.argv[1])), sys.argv[2]
if device == "cuda":
    torch.cuda.set_per_process_memory_fraction(0.4)
events = train(spec, load(spec.data), execution=Execution(device, recorded=True))
print(json.dumps([event.loss for event in events if isinstance(event, Epoch)]))
"""


def end(events: list[Event]) -> Finished:
    [found] = [event for event in events if isinstance(event, Finished)]
    return found


@pytest.mark.parametrize("recorded", [False, True], ids=["eager", "graph"])
def test_a_trial_learns(recorded: bool, device: str, specs: Specs, images: Images) -> None:
    [spec] = specs(epochs=4, autocast="bf16", lr=0.05)
    events = list(train(spec, images, execution=Execution(device, recorded=recorded)))
    curve = [event.loss for event in events if isinstance(event, Epoch)]
    assert end(events).status == "complete", end(events).reason
    assert curve[-1] < curve[0]
    assert Predictions.from_bytes(end(events).predictions).error == end(events).test_error


@pytest.mark.parametrize("seeds", [1, 2])
def test_stopped_trials_resume_from_their_last_checkpoint(
    seeds: int, device: str, specs: Specs, images: Images, tmp_path: Path
) -> None:
    pytest.importorskip("safetensors")
    some = specs(seeds, epochs=4, augmentation={"pad": 2, "flip": True})
    whole = list(train_together(some, images, folders=[None] * seeds, execution=Execution(device, recorded=True)))
    settings: dict[str, Any] = {
        "folders": [tmp_path / spec.key for spec in some],
        "execution": Execution(device, recorded=True),
    }
    begun = train_together(some, images, **settings)
    before = list(takewhile(lambda event: not (isinstance(event, Epoch) and event.epoch == 2), begun))
    begun.close()  # type: ignore[attr-defined]
    after = list(train_together(some, images, **settings))
    steps = [event.step for event in after if isinstance(event, Started)]
    assert before
    assert steps == [steps[0]] * seeds
    assert steps[0] > 0
    for spec in some:
        ended, uninterrupted = (end([e for e in events if e.key == spec.key]) for events in (after, whole))
        assert ended.status == "complete", ended.reason
        assert ended.test_error == pytest.approx(uninterrupted.test_error, abs=FEW)


@pytest.fixture
def no_memory(device: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Leave no memory until the returned function is called. On a CPU, a replaced `train` raises the error once."""
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(torch.cuda.memory_reserved() / total)
        yield lambda: torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.set_per_process_memory_fraction(1.0)
        return
    left = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")]

    def trained(*arguments: Any, **settings: Any) -> Iterator[Event]:
        if left:
            raise left.pop()
        return train(*arguments, **settings)

    monkeypatch.setattr(search.training.work, "train", trained)
    yield lambda: None


def test_a_trial_without_memory_is_retried_once_and_trains_if_there_is_some(
    device: str, specs: Specs, no_memory: Callable[[], None]
) -> None:
    # On a GPU, feature maps of tens of mebibytes: more than is free in the memory that earlier tests reserved.
    [spec] = specs(changes={"width": 8} if device == "cuda" else {})
    events = []
    for event in work(Job(trials=(spec,)), Resources(gpus=int(device == "cuda")), None):
        events.append(event)
        if isinstance(event, Notice) and "tried once more" in event.text:
            no_memory()
    notices = [event.text for event in events if isinstance(event, Notice) and "out of memory" in event.text]
    assert len(notices) == 1
    assert end(events).status == "complete", end(events).reason


def test_two_processes_share_a_gpu_and_each_trains_as_alone(device: str, specs: Specs) -> None:
    [spec] = specs(epochs=2)
    command = [sys.executable, "-c", TRAINS, json.dumps(spec.model_dump(mode="json")), device]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, **settings) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    first, second = (json.loads(out) for out, _ in answers)
    assert first == pytest.approx(second, rel=0.02)


def test_a_gpu_and_the_cpu_measure_the_same_error(device: str, specs: Specs, images: Images) -> None:
    [spec] = specs()
    model = build(spec.architecture, spec.seed)
    found = {}
    for place in ("cpu", device):
        model.to(place)
        split = Split(images.test.x.to(place), images.test.y.to(place))
        [found[place]] = errors(model, split, images, spec.recipe, place)
    # If two logits are close, rounding can swap them.
    assert found[device] == pytest.approx(found["cpu"], abs=0.02)


@pytest.mark.parametrize("suffix", [".py", ".safetensors"])
def test_a_network_trained_on_a_gpu_computes_the_same_on_a_cpu_after_export(
    suffix: str, device: str, specs: Specs, images: Images, tmp_path: Path
) -> None:
    files = pytest.importorskip("safetensors.torch")
    [spec] = specs(epochs=2)
    assert end(list(train(spec, images, folder=tmp_path / "trial", execution=Execution(device)))).status == "complete"
    paths = export(spec.architecture, tmp_path / f"net{suffix}", weights=tmp_path / "trial" / WEIGHTS)
    [weights] = [path for path in paths if path.suffix == ".safetensors"]
    model = build(spec.architecture)
    model.load_state_dict(files.load_file(weights))
    model.eval()
    moments: dict[str, Any] = {"mean": images.mean, "std": images.std}
    x, _ = next(batches(images.test, batch_size=32, **moments))
    with torch.no_grad():
        on_cpu, on_device = model(x), model.to(device)(x.to(device)).cpu()
    torch.testing.assert_close(on_device, on_cpu, rtol=0.02, atol=0.02)
