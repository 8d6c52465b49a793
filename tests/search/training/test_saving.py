"""Checkpoints by the clock: how often they are written, by whom, and that what was not saved is learned again alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from saves import AN_EPOCH, AT_THE_END, NEVER, Killed, cut, every_second, numbers

from search.data import Images
from search.training import checkpoint, saving
from search.training import train as training
from search.training.checkpoint import NAME, WEIGHTS
from search.training.execution import Execution
from search.training.saving import Saving
from search.training.train import train
from search.training.work import work
from search.trials.events import Epoch, Event, Notice, Started
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]


@pytest.fixture(scope="module")
def few(digits: Images) -> Images:
    return cut(digits)


@pytest.fixture(scope="module")
def spec(trial: Trial) -> TrialSpec:
    """Dropout draws random numbers, so that a wrong random state would show."""
    return trial(net=trial().architecture.replace(shortcut={"kind": "dropout", "p": 0.5}), epochs=6)


@pytest.fixture(scope="module")
def whole(spec: TrialSpec, few: Images, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], bytes]:
    """What the trial reports undisturbed, and its weights."""
    folder = tmp_path_factory.mktemp("whole")
    return numbers(list(train(spec, few, folder=folder))), (folder / WEIGHTS).read_bytes()


def saved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps of checkpoints that are written from here on."""
    steps, write = list[int](), checkpoint.write

    def noted(folder: Any, snapshot: checkpoint.Snapshot) -> None:
        write(folder, snapshot)
        steps.append(snapshot.content["step"])

    monkeypatch.setattr(checkpoint, "write", noted)
    return steps


# When


@pytest.mark.parametrize(
    ("seconds", "epochs"), [(0, [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (2.5, [3, 6]), (4, [4, 6]), (NEVER, [6])]
)
def test_a_checkpoint_is_written_when_its_seconds_are_over_and_after_the_last_epoch(
    seconds: float, epochs: list[int], spec: TrialSpec, few: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which an epoch takes a second."""
    done = list[Epoch]()
    monkeypatch.setattr(saving, "time", SimpleNamespace(monotonic=lambda: len(done) + 1.0 if begun else 0.0))
    begun, steps = list[Event](), saved(monkeypatch)
    for event in train(spec, few, folder=tmp_path, execution=Execution(checkpoint_seconds=seconds)):
        begun.append(event)
        if isinstance(event, Epoch):
            done.append(event)
    assert [step // AN_EPOCH for step in steps] == epochs


def test_the_last_checkpoint_is_there_before_the_test_split_is_measured(
    spec: TrialSpec, few: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(training, "ended", killed)
    with pytest.raises(Killed):
        list(train(spec, few, folder=tmp_path, execution=AT_THE_END))
    start = next(train(spec, few, folder=tmp_path, execution=AT_THE_END))
    assert isinstance(start, Started)
    assert start.step == 6 * AN_EPOCH


@pytest.mark.parametrize("told", [1, 2, 4, 6])
def test_who_stops_asking_leaves_a_checkpoint_of_the_last_epoch(
    told: int, spec: TrialSpec, whole: tuple[list[Any], bytes], few: Images, tmp_path: Path
) -> None:
    stopped = train(spec, few, folder=tmp_path, execution=AT_THE_END)
    before = list(islice(stopped, told))
    stopped.close()  # type: ignore[attr-defined]
    torch.manual_seed(999)
    start, *again = train(spec, few, folder=tmp_path, execution=AT_THE_END)
    assert isinstance(start, Started)
    assert start.step == (told - 1) * AN_EPOCH
    assert again[: told - 1] == before[1:], "the very same epochs, clocks too"
    assert (numbers(again), (tmp_path / WEIGHTS).read_bytes()) == whole


@pytest.mark.parametrize("told", [2, 3, 4, 6])
def test_a_killed_trial_learns_again_what_it_had_not_saved_with_the_same_bits(
    told: int,
    spec: TrialSpec,
    whole: tuple[list[Any], bytes],
    few: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every_second(monkeypatch)
    killed = train(spec, few, folder=tmp_path, execution=AT_THE_END)
    before = list(islice(killed, told))
    with pytest.raises(Killed):
        killed.throw(Killed)  # type: ignore[attr-defined]
    start, *again = train(spec, few, folder=tmp_path, execution=AT_THE_END)
    assert isinstance(start, Started)
    assert start.step == (told - 1) // 2 * 2 * AN_EPOCH
    assert (numbers([*before, *again]), (tmp_path / WEIGHTS).read_bytes()) == whole


@pytest.mark.parametrize("fuse", [2, "off"])
def test_a_worker_that_leaves_its_job_leaves_checkpoints(fuse: Any, trial: Trial, tmp_path: Path) -> None:
    job = Job(trials=tuple(trial(seed=seed, epochs=4) for seed in range(2)), together=fuse == 2)
    events = work(job, Resources(fuse=fuse), tmp_path)
    told = next(event for event in events if isinstance(event, Epoch) and event.epoch == 2)
    assert list(tmp_path.glob(f"*/{NAME}")) == []
    events.close()
    keys = {spec.key for spec in job.trials} if fuse == 2 else {told.key}
    assert {path.parent.name for path in tmp_path.glob(f"*/{NAME}")} == keys


# By whom


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: a thread of its own writes."""
    monkeypatch.setattr(training, "Saving", partial(Saving, aside=True))


@pytest.mark.usefixtures("aside")
def test_training_goes_on_while_one_is_written_and_waits_before_the_next(
    spec: TrialSpec, few: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that writes waits for two more epochs: the copy that it has must not have changed by then."""
    every_second(monkeypatch)
    write, go, contents = checkpoint.write, threading.Event(), list[tuple[bool, bytes]]()

    def slow(folder: Any, snapshot: checkpoint.Snapshot) -> None:
        waited = go.wait(60)
        write(folder, snapshot)
        contents.append((waited, (folder / NAME).read_bytes()))

    monkeypatch.setattr(checkpoint, "write", slow)
    events = train(spec, few, folder=tmp_path / "a", execution=AT_THE_END)
    told = [next(events) for _ in range(4)]
    assert [getattr(event, "epoch", 0) for event in told] == [0, 1, 2, 3], "an epoch after the one that is being saved"
    assert contents == []
    go.set()
    list(events)
    assert [waited for waited, _ in contents] == [True] * 3

    monkeypatch.setattr(checkpoint, "write", write)
    stopped = train(spec, few, folder=tmp_path / "b", execution=AT_THE_END)
    list(islice(stopped, 3))
    stopped.close()  # type: ignore[attr-defined]
    found, wanted = (
        torch.load(path, weights_only=True) for path in (put(tmp_path / "c", contents[0][1]), tmp_path / "b" / NAME)
    )
    for part in ("model", "momenta"):
        for (names, tensor), (own, other) in zip(found[part], wanted[part], strict=True):
            assert names == own
            assert torch.equal(tensor, other)
    assert torch.equal(found["rng"], wanted["rng"])
    assert len(found["history"]) == 2


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.usefixtures("aside")
def test_one_that_another_thread_could_not_write_is_reported_once(
    spec: TrialSpec, whole: tuple[list[Any], bytes], few: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write", full)
    events = list(train(spec, few, folder=tmp_path))
    kinds = [type(event) for event in events]
    assert [event.text for event in events if isinstance(event, Notice)] == [
        f"{NAME}: No space left on device; goes on without a new one"
    ]
    assert kinds.index(Notice) in (2, 3), "at the epoch after, at the latest"
    assert (numbers(events), (tmp_path / WEIGHTS).read_bytes()) == whole


@pytest.mark.parametrize("threads", [True, False])
def test_one_that_cannot_be_written_as_a_trial_is_left_goes_to_the_log(
    threads: bool,
    spec: TrialSpec,
    few: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "Saving", partial(Saving, aside=threads))
    monkeypatch.setattr(checkpoint, "write", full)
    stopped = train(spec, few, folder=tmp_path, execution=AT_THE_END)
    list(islice(stopped, 2))
    stopped.close()  # type: ignore[attr-defined]
    assert [record.message for record in caplog.records if record.name == saving.__name__] == [
        f"{NAME}: No space left on device; goes on without a new one"
    ]
