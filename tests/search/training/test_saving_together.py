"""Checkpoints by the clock of trials that train together: all of one epoch; members get what they need, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from saves import AT_THE_END, NEVER, Killed, cut, every_second, numbers, writers
from torch.utils._python_dispatch import TorchDispatchMode

from search.data import Images, Split
from search.training import checkpoint
from search.training import train as training
from search.training.checkpoint import WEIGHTS
from search.training.execution import Execution
from search.training.members import Group, Member
from search.training.saving import Saving
from search.training.train import train_together
from search.trials.events import Epoch, Event, Started
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

SEEDS = (0, 1, 4)


@pytest.fixture(scope="module")
def few(digits: Images) -> Images:
    return cut(digits)


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
        list(together(group, few, tmp_path, execution=AT_THE_END))
    left = 1
    with suppress(Killed):
        list(together(group, few, tmp_path, execution=AT_THE_END))
    left = 0
    again = list(together(group, few, tmp_path, execution=AT_THE_END))
    events, weights = undisturbed
    for spec, content in zip(group, weights, strict=True):
        assert numbers(again, spec.key) == numbers(events, spec.key)
        assert (tmp_path / spec.key / WEIGHTS).read_bytes() == content


@pytest.mark.parametrize("told", [3, 5, 8, 10, 14])
def test_a_group_that_is_left_goes_on_from_its_last_epoch_with_the_same_bits(
    told: int, group: list[TrialSpec], undisturbed: tuple[list[Event], list[bytes]], few: Images, tmp_path: Path
) -> None:
    stopped = together(group, few, tmp_path, execution=AT_THE_END)
    before = list(islice(stopped, told))
    stopped.close()  # type: ignore[attr-defined]
    again = list(together(group, few, tmp_path, execution=AT_THE_END))
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
    killed = together(specs, few, tmp_path / "killed", execution=AT_THE_END)
    for event in killed:
        if isinstance(event, Epoch) and (event.key, event.epoch) == (specs[last].key, epoch):
            break
    with pytest.raises(Killed):
        killed.throw(Killed)  # type: ignore[attr-defined]
    again = list(together([specs[number] for number in left], few, tmp_path / "killed", execution=AT_THE_END))
    for number in left:
        assert numbers(again, specs[number].key) == numbers(whole, specs[number].key)
    for spec in (specs[0], specs[2]):
        a, b = ((tmp_path / name / spec.key / WEIGHTS).read_bytes() for name in ("whole", "killed"))
        assert a == b


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: a thread of its own writes."""
    monkeypatch.setattr(training, "Saving", partial(Saving, aside=True))


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
    stopped = together(group, few, tmp_path, execution=Execution(checkpoint_seconds=seconds))
    before = list(islice(stopped, told))
    stopped.close()  # type: ignore[attr-defined]
    assert writers() == []
    again = list(together(group, few, tmp_path, execution=Execution(checkpoint_seconds=seconds)))
    assert all(event in again for event in before if isinstance(event, Epoch)), "not done again"
    events, weights = undisturbed
    for spec, content in zip(group, weights, strict=True):
        assert numbers(again, spec.key) == numbers(events, spec.key)
        assert (tmp_path / spec.key / WEIGHTS).read_bytes() == content
        assert [path.name for path in (tmp_path / spec.key).iterdir()] == [WEIGHTS]
    assert writers() == []


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
        ({}, [1, 2, 3, 4]),
        ({"execution": AT_THE_END}, [4]),
        ({"execution": AT_THE_END, "probes": (2,)}, [2, 4]),
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
