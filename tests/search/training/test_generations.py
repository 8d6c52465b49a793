"""Two checkpoints: a damaged one is reported and never used, and the previous one is loaded. Groups stay groups."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from resnet_space import build
from search.data import Images, Split
from search.training import checkpoint
from search.training.checkpoint import BEFORE, NAME, WEIGHTS, State
from search.training.optimizers import make_optimizer
from search.training.train import train, train_together
from search.trials.events import Event, Finished, Notice, Started
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

CLOCKS = ("seconds", "images_per_second", "latency_ms")


def numbers(events: Sequence[Event], key: str | None = None) -> list[dict[str, Any]]:
    """Everything that was measured, of all trials or of one."""
    return [
        {name: value for name, value in vars(event).items() if name not in CLOCKS}
        for event in events
        if not isinstance(event, Started | Notice) and key in (None, event.key)
    ]


def notices(events: Sequence[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


@pytest.fixture(scope="module")
def spec(trial: Trial) -> TrialSpec:
    """Dropout draws random numbers, so a wrong random state would be noticed."""
    return trial(net=trial().architecture.replace(shortcut={"kind": "dropout", "p": 0.5}), epochs=4)


@pytest.fixture(scope="module")
def whole(spec: TrialSpec, digits: Images) -> list[Event]:
    """The events of the undisturbed trial."""
    return list(train(spec, digits))


@pytest.fixture(scope="module")
def halfway(spec: TrialSpec, digits: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trial's folder after a kill after its third epoch, step 21. The previous checkpoint is of step 14."""
    folder = tmp_path_factory.mktemp("halfway")
    stopped = train(spec, digits, folder=folder)
    list(islice(stopped, 4))
    return folder


@pytest.fixture
def there(halfway: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(halfway, tmp_path / "there"))


def torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "torn": torn,
    "flipped": flipped,
    "empty": lambda _: b"",
    "zeros": lambda content: bytes(len(content)),
    "no checkpoint": lambda _: checkpoint.with_digest(b"an essay on ResNets"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_reported_and_the_previous_one_is_used(
    damage: Callable[[bytes], bytes], there: Path, spec: TrialSpec, whole: list[Event], digits: Images
) -> None:
    content = damage((there / NAME).read_bytes())
    (there / NAME).write_bytes(content)
    start, *again = train(spec, digits, folder=there)
    assert isinstance(start, Started)
    assert start.step == 14
    [note] = notices(again)
    assert note.startswith("checkpoint.pt is damaged (")
    assert note.endswith("); resumes after step 14")
    assert numbers(again) == numbers(whole)
    assert (there / "checkpoint.damaged").read_bytes() == content


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_if_both_checkpoints_are_damaged_the_trial_starts_again_and_reports_it(
    damage: Callable[[bytes], bytes], there: Path, spec: TrialSpec, whole: list[Event], digits: Images
) -> None:
    for name in (NAME, BEFORE):
        (there / name).write_bytes(damage((there / name).read_bytes()))
    start, *again = train(spec, digits, folder=there)
    assert isinstance(start, Started)
    assert start.step == 0
    [note] = notices(again)
    assert "checkpoint.pt is damaged (" in note
    assert "checkpoint.before.pt is damaged (" in note
    assert note.endswith("; starts again")
    assert numbers(again) == numbers(whole)


def test_another_networks_checkpoint_is_not_used(
    there: Path, spec: TrialSpec, whole: list[Event], digits: Images, trial: Trial, tmp_path: Path
) -> None:
    other = trial(net=spec.architecture.assign({"stages.*.units": 2}))
    list(islice(train(other, digits, folder=tmp_path / "other"), 2))
    shutil.copy(tmp_path / "other" / NAME, there / NAME)
    start, *again = train(spec, digits, folder=there)
    assert isinstance(start, Started)
    assert start.step == 14
    assert notices(again) == ["checkpoint.pt is damaged (it is another network's); resumes after step 14"]
    assert numbers(again) == numbers(whole)


def test_a_kill_between_the_two_renames_leaves_a_checkpoint_to_resume_from(
    there: Path, spec: TrialSpec, whole: list[Event], digits: Images
) -> None:
    (there / NAME).replace(there / BEFORE)
    start, *again = train(spec, digits, folder=there)
    assert isinstance(start, Started)
    assert (start.step, notices(again)) == (21, [])
    assert numbers(again) == numbers(whole)


def test_a_change_of_any_byte_is_detected(there: Path, spec: TrialSpec) -> None:
    """Change a bit in weights, names, the archive's directory or the digest. torch alone accepts most changes."""
    content = (there / NAME).read_bytes()
    model = build(spec.architecture)
    optimizer = make_optimizer(model, spec.recipe)
    random_places = random.Random(0).sample(range(len(content)), 300)
    for at in {*random_places, *range(64), *range(len(content) - 128, len(content))}:
        bad = bytearray(content)
        bad[at] ^= 1 << at % 8
        (there / NAME).write_bytes(bad)
        with pytest.raises(checkpoint.DamagedCheckpoint, match="its digest does not match"):
            checkpoint.load(there / NAME, model, optimizer, "cpu")


def test_nothing_of_a_checkpoint_is_left_when_the_trial_has_ended(there: Path, spec: TrialSpec, digits: Images) -> None:
    (there / ".checkpoint.pt.4711").write_bytes(b"half written by a process that was killed")
    list(train(spec, digits, folder=there))
    assert [path.name for path in there.iterdir()] == [WEIGHTS]


def test_loading_without_a_checkpoint_raises(trial: Trial, tmp_path: Path) -> None:
    model = build(trial().architecture)
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / NAME, model, make_optimizer(model, trial().recipe), "cpu")


# Trials that train together.

SEEDS = (0, 1, 4)


@pytest.fixture(scope="module")
def few(digits: Images) -> Images:
    sizes = {"train": 96, "validation": 50, "test": 50}
    cut = {name: Split(getattr(digits, name).x[:size], getattr(digits, name).y[:size]) for name, size in sizes.items()}
    return replace(digits, **cut)


@pytest.fixture(scope="module", params=[{}, {"warm_up": {"lr": 0.005, "until_error": 0.9}}], ids=["plain", "warm-up"])
def group(request: pytest.FixtureRequest, trial: Trial) -> list[TrialSpec]:
    """With a warm-up, a trial that leaves it earlier trains before the others, and alone."""
    return [trial(seed=seed, epochs=4, **request.param) for seed in SEEDS]


def together(specs: Sequence[TrialSpec], images: Images, root: Path) -> list[Event]:
    return list(train_together(specs, images, folders=[root / spec.key for spec in specs]))


@pytest.fixture(scope="module")
def undisturbed(
    group: list[TrialSpec], few: Images, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Event], list[bytes]]:
    root = tmp_path_factory.mktemp("undisturbed")
    events = together(group, few, root)
    return events, [(root / spec.key / WEIGHTS).read_bytes() for spec in group]


class Killed(BaseException):
    """An exception that our code does not catch."""


@pytest.mark.parametrize("saves", [1, 2, 5, 10])
def test_a_group_killed_between_its_checkpoints_ends_with_the_same_bits(
    saves: int,
    group: list[TrialSpec],
    undisturbed: tuple[list[Event], list[bytes]],
    few: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At each of twelve checkpoints, and again after the next one, when separate trials have been joined."""
    save, left = checkpoint.save, saves

    def mortal(*arguments: Any) -> None:
        nonlocal left
        save(*arguments)
        left -= 1
        if not left:
            raise Killed

    monkeypatch.setattr(checkpoint, "save", mortal)
    with pytest.raises(Killed):
        together(group, few, tmp_path)
    left = 1
    with suppress(Killed):
        together(group, few, tmp_path)
    left = 0
    events, weights = undisturbed
    again = together(group, few, tmp_path)
    for spec, content in zip(group, weights, strict=True):
        assert numbers(again, spec.key) == numbers(events, spec.key)
        assert (tmp_path / spec.key / WEIGHTS).read_bytes() == content
    assert notices(again) == []


def test_a_group_of_which_one_checkpoint_is_damaged_ends_with_the_same_bits(
    group: list[TrialSpec], undisturbed: tuple[list[Event], list[bytes]], few: Images, tmp_path: Path
) -> None:
    stopped = train_together(group, few, folders=[tmp_path / spec.key for spec in group])
    for event in stopped:
        if getattr(event, "epoch", 0) == 3:
            break
    (tmp_path / group[1].key / NAME).write_bytes(b"garbage")
    events, weights = undisturbed
    again = together(group, few, tmp_path)
    assert len(notices(again)) == 1
    for spec, content in zip(group, weights, strict=True):
        assert numbers(again, spec.key) == numbers(events, spec.key)
        assert (tmp_path / spec.key / WEIGHTS).read_bytes() == content


def test_a_trial_far_ahead_does_not_restart_for_one_that_does(trial: Trial, few: Images, tmp_path: Path) -> None:
    specs = [trial(seed=seed, epochs=4) for seed in SEEDS]
    list(islice(train(specs[2], few, folder=tmp_path / specs[2].key), 4))
    (tmp_path / specs[2].key / BEFORE).write_bytes(b"garbage")
    events = together(specs, few, tmp_path)
    assert [event.step for event in events if isinstance(event, Started)] == [0, 0, 9]
    assert {event.status for event in events if isinstance(event, Finished)} == {"complete"}


def test_a_state_that_was_saved_twice_has_the_previous_step(trial: Trial, tmp_path: Path) -> None:
    model = build(trial().architecture)
    optimizer = make_optimizer(model, trial().recipe)
    for step in (7, 14, 21):
        checkpoint.save(tmp_path, model, optimizer, State(step), "cpu")
    steps = [checkpoint.load(tmp_path / name, model, optimizer, "cpu").step for name in (NAME, BEFORE)]
    assert steps == [21, 14]
