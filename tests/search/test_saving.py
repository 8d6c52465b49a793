"""Checkpoints by the clock: how often they are written, by whom, and that what was not saved is learned again alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from search import checkpoint, saving
from search import train as training
from search.checkpoint import NAME, WEIGHTS
from search.data import Images, Split
from search.events import Epoch, Event, Finished, Notice, Started
from search.members import Group, Member
from search.resources import Resources
from search.saving import Saving
from search.train import train, train_together
from search.trial import Job, TrialSpec
from search.work import work

Trial = Callable[..., TrialSpec]

NEVER = 1e6
"""Seconds in which no test ends."""
SEEDS = (0, 1, 4)
AN_EPOCH = 3


class Killed(BaseException):
    """What no code of ours catches."""


@pytest.fixture(scope="module")
def few(digits: Images) -> Images:
    sizes = {"train": 32 * AN_EPOCH, "validation": 50, "test": 50}
    cut = {name: Split(getattr(digits, name).x[:size], getattr(digits, name).y[:size]) for name, size in sizes.items()}
    return replace(digits, **cut)


@pytest.fixture(scope="module")
def spec(trial: Trial) -> TrialSpec:
    """Dropout draws random numbers, so that a wrong random state would show."""
    return trial(net=trial().architecture.replace(shortcut={"kind": "dropout", "p": 0.5}), epochs=6)


@pytest.fixture(scope="module")
def whole(spec: TrialSpec, few: Images, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], bytes]:
    """What the trial reports undisturbed, and its weights."""
    folder = tmp_path_factory.mktemp("whole")
    return numbers(list(train(spec, few, folder=folder))), (folder / WEIGHTS).read_bytes()


def numbers(events: Sequence[Event], key: str | None = None) -> list[Any]:
    """What was measured, once each."""
    clocks = ("seconds", "images_per_second", "latency_ms")
    found = {
        (event.key, getattr(event, "epoch", None)): {
            name: value for name, value in vars(event).items() if name not in clocks
        }
        for event in events
        if isinstance(event, Epoch | Finished) and key in (None, event.key)
    }
    return list(found.values())


def saved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps of checkpoints that are written from here on."""
    steps, write = list[int](), checkpoint.write

    def noted(folder: Any, snapshot: checkpoint.Snapshot) -> None:
        write(folder, snapshot)
        steps.append(snapshot.content["step"])

    monkeypatch.setattr(checkpoint, "write", noted)
    return steps


def every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock, checkpoints are due after every second epoch of a group."""
    asked = count(1)
    monkeypatch.setattr(Saving, "due", property(lambda _: next(asked) % 2 == 0))


# When


@pytest.mark.parametrize(
    ("seconds", "epochs"), [(0, [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (2.5, [3, 6]), (4, [4, 6]), (NEVER, [6])]
)
def test_a_checkpoint_is_written_after_so_many_seconds_and_after_the_last_epoch(
    seconds: float, epochs: list[int], spec: TrialSpec, few: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which an epoch takes a second."""
    done = list[Epoch]()
    monkeypatch.setattr(saving, "time", SimpleNamespace(monotonic=lambda: len(done) + 1.0 if begun else 0.0))
    begun, steps = list[Event](), saved(monkeypatch)
    for event in train(spec, few, folder=tmp_path, checkpoint_seconds=seconds):
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
        list(train(spec, few, folder=tmp_path, checkpoint_seconds=NEVER))
    start = next(train(spec, few, folder=tmp_path, checkpoint_seconds=NEVER))
    assert isinstance(start, Started)
    assert start.step == 6 * AN_EPOCH


@pytest.mark.parametrize("told", [1, 2, 4, 6])
def test_who_stops_asking_leaves_a_checkpoint_of_the_last_epoch(
    told: int, spec: TrialSpec, whole: tuple[list[Any], bytes], few: Images, tmp_path: Path
) -> None:
    stopped = train(spec, few, folder=tmp_path, checkpoint_seconds=NEVER)
    before = list(islice(stopped, told))
    stopped.close()  # type: ignore[attr-defined]
    torch.manual_seed(999)
    start, *again = train(spec, few, folder=tmp_path, checkpoint_seconds=NEVER)
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
    killed = train(spec, few, folder=tmp_path, checkpoint_seconds=NEVER)
    before = list(islice(killed, told))
    with pytest.raises(Killed):
        killed.throw(Killed)  # type: ignore[attr-defined]
    start, *again = train(spec, few, folder=tmp_path, checkpoint_seconds=NEVER)
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


# Groups


@pytest.fixture(scope="module", params=[{}, {"warm_up": {"lr": 0.005, "until_error": 0.9}}], ids=["plain", "warm-up"])
def group(request: pytest.FixtureRequest, trial: Trial) -> list[TrialSpec]:
    """With the warm-up, one that leaves it earlier trains alone until the others have left it too."""
    return [trial(seed=seed, epochs=6, **request.param) for seed in SEEDS]


def together(specs: Sequence[TrialSpec], images: Images, root: Path, **settings: Any) -> Iterator[Event]:
    return train_together(specs, images, folders=[root / spec.key for spec in specs], **settings)


@pytest.fixture(scope="module")
def undisturbed(
    group: list[TrialSpec], few: Images, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Event], list[bytes]]:
    root = tmp_path_factory.mktemp("undisturbed")
    events = list(together(group, few, root))
    return events, [(root / spec.key / WEIGHTS).read_bytes() for spec in group]


@pytest.mark.parametrize("saves", range(1, 10))
def test_a_group_killed_between_checkpoints_that_are_epochs_apart_ends_with_the_same_bits(
    saves: int,
    group: list[TrialSpec],
    undisturbed: tuple[list[Event], list[bytes]],
    few: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every_second(monkeypatch)
    save, left = checkpoint.save, saves

    def mortal(*arguments: Any) -> None:
        nonlocal left
        save(*arguments)
        left -= 1
        if not left:
            raise Killed

    monkeypatch.setattr(checkpoint, "save", mortal)
    with pytest.raises(Killed):
        list(together(group, few, tmp_path, checkpoint_seconds=NEVER))
    left = 1
    with suppress(Killed):
        list(together(group, few, tmp_path, checkpoint_seconds=NEVER))
    left = 0
    again = list(together(group, few, tmp_path, checkpoint_seconds=NEVER))
    events, weights = undisturbed
    for spec, content in zip(group, weights, strict=True):
        assert numbers(again, spec.key) == numbers(events, spec.key)
        assert (tmp_path / spec.key / WEIGHTS).read_bytes() == content


@pytest.mark.parametrize("told", [3, 5, 8, 10, 14])
def test_a_group_that_is_left_goes_on_from_its_last_epoch_with_the_same_bits(
    told: int, group: list[TrialSpec], undisturbed: tuple[list[Event], list[bytes]], few: Images, tmp_path: Path
) -> None:
    stopped = together(group, few, tmp_path, checkpoint_seconds=NEVER)
    before = list(islice(stopped, told))
    stopped.close()  # type: ignore[attr-defined]
    again = list(together(group, few, tmp_path, checkpoint_seconds=NEVER))
    starts = {event.key: event.step for event in again if isinstance(event, Started)}
    for event in before:
        if isinstance(event, Epoch):
            assert event in again, "not done again: its clocks would be others"
            assert starts[event.key] >= event.step
    events, weights = undisturbed
    for spec, content in zip(group, weights, strict=True):
        assert numbers(again, spec.key) == numbers(events, spec.key)
        assert (tmp_path / spec.key / WEIGHTS).read_bytes() == content


@pytest.mark.parametrize(
    ("last", "epoch", "left"),
    [(0, 3, (0, 1, 2)), (2, 3, (0, 2)), (2, 4, (0, 2))],
    ids=["before its end is reported", "after", "an epoch later"],
)
def test_others_of_a_group_that_one_left_by_diverging_have_the_same_bits_after_a_kill(
    last: int,
    epoch: int,
    left: Sequence[int],
    trial: Trial,
    few: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second of three diverges in the third epoch; `left` go on after a kill, which comes when `last` has reported
    `epoch`."""
    specs = [trial(seed=seed, epochs=5) for seed in SEEDS]
    unharmed = training.batches

    def poisoned(split: Split, **settings: Any) -> Iterator[Any]:
        bad = (settings.get("seed"), settings.get("epoch")) == (SEEDS[1], 2)
        return ((x * float("nan") if bad else x, y) for x, y in unharmed(split, **settings))

    monkeypatch.setattr(training, "batches", poisoned)
    whole = list(together(specs, few, tmp_path / "whole"))
    killed = together(specs, few, tmp_path / "killed", checkpoint_seconds=NEVER)
    for event in killed:
        if isinstance(event, Epoch) and (event.key, event.epoch) == (specs[last].key, epoch):
            break
    with pytest.raises(Killed):
        killed.throw(Killed)  # type: ignore[attr-defined]
    again = list(together([specs[number] for number in left], few, tmp_path / "killed", checkpoint_seconds=NEVER))
    for number in left:
        assert numbers(again, specs[number].key) == numbers(whole, specs[number].key)
    for spec in (specs[0], specs[2]):
        a, b = ((tmp_path / name / spec.key / WEIGHTS).read_bytes() for name in ("whole", "killed"))
        assert a == b


# By whom


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: a thread of its own writes."""
    monkeypatch.setattr(training, "Saving", partial(Saving, aside=True))


def writers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("checkpoints")]


@pytest.mark.usefixtures("aside")
@pytest.mark.parametrize("told", [4, 8, 13])
@pytest.mark.parametrize("seconds", [0, NEVER])
def test_written_by_another_thread_they_are_the_same(
    seconds: float,
    told: int,
    group: list[TrialSpec],
    undisturbed: tuple[list[Event], list[bytes]],
    few: Images,
    tmp_path: Path,
) -> None:
    stopped = together(group, few, tmp_path, checkpoint_seconds=seconds)
    before = list(islice(stopped, told))
    stopped.close()  # type: ignore[attr-defined]
    assert writers() == []
    again = list(together(group, few, tmp_path, checkpoint_seconds=seconds))
    assert all(event in again for event in before if isinstance(event, Epoch)), "not done again"
    events, weights = undisturbed
    for spec, content in zip(group, weights, strict=True):
        assert numbers(again, spec.key) == numbers(events, spec.key)
        assert (tmp_path / spec.key / WEIGHTS).read_bytes() == content
        assert [path.name for path in (tmp_path / spec.key).iterdir()] == [WEIGHTS]
    assert writers() == []


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
    events = train(spec, few, folder=tmp_path / "a", checkpoint_seconds=NEVER)
    told = [next(events) for _ in range(4)]
    assert [getattr(event, "epoch", 0) for event in told] == [0, 1, 2, 3], "an epoch after the one that is being saved"
    assert contents == []
    go.set()
    list(events)
    assert [waited for waited, _ in contents] == [True] * 3

    monkeypatch.setattr(checkpoint, "write", write)
    stopped = train(spec, few, folder=tmp_path / "b", checkpoint_seconds=NEVER)
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
    stopped = train(spec, few, folder=tmp_path, checkpoint_seconds=NEVER)
    list(islice(stopped, 2))
    stopped.close()  # type: ignore[attr-defined]
    assert [record.message for record in caplog.records if record.name == saving.__name__] == [
        f"{NAME}: No space left on device; goes on without a new one"
    ]


# What it takes


class Copies(TorchDispatchMode):
    """Counts the calls that copy tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        self.number += name in ("aten::copy_", "aten::clone", "aten::_foreach_copy_")
        return func(*args, **(kwargs or {}))


def test_members_get_what_they_learned_by_a_few_calls_and_once(trial: Trial) -> None:
    """One a tensor and member before: 3 * (weights, statistics and momenta)."""
    members = [Member.of(trial(seed=seed), None, "cpu") for seed in SEEDS]
    group = Group(members)
    for weight in group.weights:
        weight.grad = torch.ones_like(weight)
    group.optimizer.step()
    group.ahead = True
    tensors = len(members) * (len(group.state) + len(group.weights))
    assert tensors > 100
    with Copies() as first:
        group.hand_back()
    with Copies() as second:
        group.hand_back()
    assert (first.number <= 6, second.number) == (True, 0), first.number
    for number, member in enumerate(members):
        parts = zip(group.weights, member.model.parameters(), strict=True)
        assert all(torch.equal(whole.chunk(3)[number].reshape(own.shape), own) for whole, own in parts)
        for whole, own in zip(group.weights, member.model.parameters(), strict=True):
            momentum, found = (
                each.state[of]["momentum_buffer"] for each, of in ((group.optimizer, whole), (member.optimizer, own))
            )
            assert torch.equal(momentum.chunk(3)[number].reshape(own.shape), found)
            assert found.stride() == own.stride()


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({"checkpoint_seconds": 0}, [1, 2, 3, 4]),
        ({"checkpoint_seconds": NEVER}, [4]),
        ({"checkpoint_seconds": NEVER, "probes": (2,)}, [2, 4]),
    ],
    ids=str,
)
def test_members_get_what_they_learned_where_it_is_needed(
    settings: dict[str, Any],
    epochs: list[int],
    trial: Trial,
    few: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, hand_back = list[int](), Group.hand_back

    def noted(self: Group) -> None:
        if self.ahead:
            given.append(len(self.members[0].state.history) + 1)
        hand_back(self)

    monkeypatch.setattr(Group, "hand_back", noted)
    list(together([trial(seed=seed, epochs=4) for seed in SEEDS], few, tmp_path, **settings))
    assert given == epochs
