"""If the wall clock is set back or jumps, durations are measured with another clock, and trials are not affected."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sweeping import sweep

from search.running import inline
from search.store import event_writer
from search.store.store import Store
from search.trials.events import Epoch, Event
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path for room in ("resnet_space", "search", "ablations", "reports") for path in (ROOT / room).rglob("*.py")
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_measures_durations_with_the_wall_clock(path: Path) -> None:
    called = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert not called & {"time.time", "time.time_ns", "datetime.utcnow", "datetime.today"}


def test_a_clock_that_goes_backwards_changes_no_number(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is an hour earlier each time it is read."""
    now, seconds = datetime(2026, 10, 25, 3, tzinfo=UTC), time.time()

    class Backwards(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            nonlocal now
            now -= timedelta(hours=1)
            return now

    def earlier() -> float:
        nonlocal seconds
        seconds -= 3600
        return seconds

    jobs = [Job(trials=(trial(seed=seed, epochs=2),)) for seed in range(2)]
    found = []
    for folder in ("usual", "backwards"):
        if folder == "backwards":
            monkeypatch.setattr(event_writer, "datetime", Backwards)
            monkeypatch.setattr(time, "time", earlier)
        (tmp_path / folder).mkdir()
        there, told = Store.at(tmp_path / folder), list[Event]()
        runner = partial(inline.run, resources=Resources(), checkpoints=tmp_path / folder)
        sweep(jobs, there, runner, told.append)
        found.append(there.records())
        there.close()
        assert all(event.seconds > 0 for event in told if isinstance(event, Epoch))
    for usual, backwards in zip(*found, strict=True):
        assert backwards.started > backwards.finished, "the clock was set back while it ran"
        assert (usual.status, usual.test_error) == (backwards.status, backwards.test_error)
        assert backwards.seconds is not None
        assert 0 < backwards.seconds < 600
