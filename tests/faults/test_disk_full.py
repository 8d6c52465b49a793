"""A full disk: if a write fails at any byte or operation, existing files stay, and the trial continues or fails."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from broken_disk import no_file_longer_than

from resnet_space import build
from resnet_space.api import report
from search.data import Images
from search.files import atomic
from search.training import checkpoint
from search.training.checkpoint import BEFORE, NAME, WEIGHTS, State
from search.training.optimizers import make_optimizer
from search.training.train import train
from search.trials.events import Epoch, Event, Finished, Notice
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]


def failing_at(number: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every file operation from the n-th on fail, as on a full disk. Return the names of the operations."""
    asked: list[str] = []

    def may_fail(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **settings: Any) -> Any:
            asked.append(name)
            if len(asked) >= number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **settings)

        return operation

    for place, name in ((Path, "mkdir"), (Path, "write_bytes"), (Path, "open"), (Path, "replace"), (os, "fsync")):
        monkeypatch.setattr(place, name, may_fail(name, getattr(place, name)))
    return asked


def refused(write: Callable[[], Any]) -> Any:
    """Return the file that could not be written, or None."""
    try:
        write()
    except OSError as error:
        return error.filename
    return None


def saves(folder: Path, trial: Trial) -> Callable[[int], None]:
    model = build(trial().architecture)
    optimizer = make_optimizer(model, trial().recipe)
    return lambda step: checkpoint.save(folder, model, optimizer, State(step), "cpu")


def steps(folder: Path, trial: Trial) -> list[int]:
    """The steps of the existing checkpoints, the newest first."""
    model = build(trial().architecture)
    optimizer = make_optimizer(model, trial().recipe)
    there = [folder / name for name in checkpoint.GENERATIONS if (folder / name).exists()]
    return [checkpoint.load(path, model, optimizer, "cpu").step for path in there]


def test_a_checkpoint_cut_off_at_any_byte_leaves_the_two_earlier_ones(trial: Trial, tmp_path: Path) -> None:
    save = saves(tmp_path, trial)
    save(7)
    save(14)
    there = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    size = len(there[NAME])
    for limit in (0, 1, 511, 4096, *range(5000, size, size // 9), size - 1):
        with pytest.raises(OSError, match="File too large") as failure, no_file_longer_than(limit):
            save(21)
        assert failure.value.filename == str(tmp_path / NAME)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == there
    with no_file_longer_than(size + 1000):
        save(21)
    assert steps(tmp_path, trial) == [21, 14]


def test_a_checkpoint_that_fails_at_any_operation_leaves_one_to_resume_from(trial: Trial, tmp_path: Path) -> None:
    for number in range(1, 20):
        folder = tmp_path / str(number)
        save = saves(folder, trial)
        save(7)
        save(14)
        with pytest.MonkeyPatch.context() as patch:
            asked = failing_at(number, patch)
            named = refused(lambda: save(21))  # noqa: B023
        if named is None:
            break
        assert named == str(folder / NAME)
        # Renamed, and the new one not in its place; or all done, and the folder not flushed.
        expected = {("replace", 2): [14], ("fsync", 2): [21, 14]}
        assert steps(folder, trial) == expected.get((asked[-1], asked.count(asked[-1])), [14, 7])
    else:
        pytest.fail("never came to its end")
    assert [name for name in asked if name in ("fsync", "replace")] == ["fsync", "replace", "replace", "fsync"]
    assert steps(folder, trial) == [21, 14]


def test_weights_cut_off_at_any_byte_leave_the_existing_ones(trial: Trial, tmp_path: Path) -> None:
    model = build(trial().architecture)
    checkpoint.save_weights(tmp_path, model)
    before = (tmp_path / WEIGHTS).read_bytes()
    for limit in range(0, len(before), len(before) // 9):
        with pytest.raises(OSError, match="File too large") as failure, no_file_longer_than(limit):
            checkpoint.save_weights(tmp_path, build(trial().architecture, seed=1))
        assert failure.value.filename == str(tmp_path / WEIGHTS)
        assert [path.name for path in tmp_path.iterdir()] == [WEIGHTS]
        assert (tmp_path / WEIGHTS).read_bytes() == before


def test_a_report_cut_off_at_any_file_leaves_the_existing_files(ablation: Callable[..., Any]) -> None:
    run = ablation({"a": [0.1, 0.2], "b": [0.3, 0.4]})
    folder = report(run, ["md", "html", "csv"])[0].parent
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    sizes = sorted({len(content) for content in before.values()})
    for limit in (0, *(size - 1 for size in sizes)):
        with pytest.raises(OSError, match="File too large") as failure, no_file_longer_than(limit):
            report(run, ["md", "html", "csv"])
        named = Path(failure.value.filename)
        assert len(before[named]) > limit
        after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert after.keys() == before.keys()
        assert after[named] == before[named]


def test_a_trial_continues_without_checkpoints_and_reports_it_once(
    trial: Trial, digits: Images, tmp_path: Path
) -> None:
    whole = [event for event in train(trial(), digits) if isinstance(event, Epoch)]
    events: list[Event] = []
    with no_file_longer_than(1000):
        for event in train(trial(), digits, folder=tmp_path):
            events.append(event)
            if isinstance(event, Epoch) and event.epoch == 3:
                # Somebody makes room before the weights are kept.
                resource.setrlimit(resource.RLIMIT_FSIZE, (-1, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    told = [event.text for event in events if isinstance(event, Notice)]
    assert told == ["checkpoint.pt: File too large; training continues without a new checkpoint"]
    assert [(e.loss, e.validation_error) for e in events if isinstance(e, Epoch)] == [
        (e.loss, e.validation_error) for e in whole
    ]
    assert isinstance(events[-1], Finished)
    assert events[-1].status == "complete"
    assert [path.name for path in tmp_path.iterdir()] == [WEIGHTS]


def test_a_trial_whose_weights_cannot_be_written_fails_and_its_training_is_not_lost(
    trial: Trial, digits: Images, tmp_path: Path
) -> None:
    *_, whole = train(trial(), digits)
    begun = train(trial(), digits, folder=tmp_path)
    list(islice(begun, 4))
    with no_file_longer_than(1000):
        *_, end = begun
    assert isinstance(end, Finished)
    assert (end.status, end.reason) == ("failed", "its weights could not be kept: File too large")
    assert end.test_error is None
    assert {path.name for path in tmp_path.iterdir()} == {NAME, BEFORE}
    start, *_, again = train(trial(), digits, folder=tmp_path)
    assert start.step == 21  # type: ignore[union-attr]
    assert isinstance(again, Finished)
    assert isinstance(whole, Finished)
    assert (again.status, again.test_error) == ("complete", whole.test_error)


def test_a_text_file_is_either_complete_or_unchanged(tmp_path: Path) -> None:
    """Manifests, studies and tables are all written by one function."""
    path = tmp_path / "manifest.json"
    for number in range(1, 12):
        atomic.write_text(path, "before")
        with pytest.MonkeyPatch.context() as patch:
            asked = failing_at(number, patch)
            named = refused(lambda: atomic.write_text(path, "behind"))
        if named is None:
            break
        assert named == str(path)
        # Only after the rename is it the new one: the folder was not flushed.
        assert path.read_text() == ("behind" if asked.count("fsync") == 2 else "before")
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
    else:
        pytest.fail("never came to its end")
    assert path.read_text() == "behind"
