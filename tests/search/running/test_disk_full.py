"""A disk that is full at any write: stored events stay, one line reports it, and the next run resumes."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path

import forks
import pytest
from broken_disk import hooked, no_file_longer_than

from resnet_space.errors import InputError
from search.store.store import Store
from search.trials.events import Epoch, Event, Finished, Started
from search.trials.record import TrialRecord
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

SAYS = "; is the disk full? What was stored is safe, and the same command resumes from there"


def events(spec: TrialSpec) -> list[Event]:
    epochs = [Epoch(spec.key, number, 7 * number, 0.1, 2.0, 0.5, 0.5, 1.0, 200.0) for number in range(1, 4)]
    return [Started(spec.key, "host", "cpu"), *epochs, Finished(spec.key, "complete", test_error=spec.seed / 64)]


def state(store: Store) -> tuple[list[TrialRecord], int]:
    return store.records(), len(store.curves())


@pytest.fixture
def specs(trial: Trial) -> list[TrialSpec]:
    return [trial(seed=seed) for seed in range(2)]


def told_on(folder: Path, specs: list[TrialSpec], broken: AbstractContextManager[None]) -> int:
    """Report all events of some trials to a store on a broken disk, and then on a repaired one.

    Messages and stored rows are checked on the way. Return how many events had been acknowledged at the first failed
    write: -2 if the store could not be created, -1 if the trials could not be added, and all if no write failed.
    """
    folder.mkdir()
    told = [event for spec in specs for event in events(spec)]
    acknowledged, said = -2, ""
    before: tuple[list[TrialRecord], int] | None = None
    with broken:
        try:
            store = Store.at(folder)
            acknowledged = -1
            store.add(specs)
            before = state(store)
            for number, event in enumerate(told):
                acknowledged = number
                store.write([event])
                before = state(store)
            acknowledged = len(told)
            said = SAYS
        except InputError as error:
            said = str(error)
        assert "\n" not in said
        assert said.endswith(SAYS)
        if before is not None:
            assert state(store) == before, "as before the write that failed"
        if acknowledged > -2:
            store.close()
    store = Store.at(folder)
    if before is not None:
        assert state(store) == before, "also when it is opened again"
    store.add(specs)
    for event in told[max(acknowledged, 0) :]:
        assert store.write([event])
    records, epochs = state(store)
    assert [(record.status, record.test_error) for record in records] == [
        ("complete", record.seed / 64) for record in records
    ]
    assert epochs == 3 * len(specs)
    store.close()
    return acknowledged


@pytest.mark.long
def test_if_the_disk_is_full_at_any_write_acknowledged_events_stay_and_the_rest_follow(
    specs: list[TrialSpec], tmp_path: Path
) -> None:
    whole = told_on(tmp_path / "whole", specs, nullcontext())
    most = sum(path.stat().st_size for path in (tmp_path / "whole").iterdir()) + 200_000  # of the log, which is gone
    # A page in SQLite's log is longer than 4096 bytes: no write is passed over.
    stops = {told_on(tmp_path / str(size), specs, no_file_longer_than(size)) for size in range(0, most + 4096, 4096)}
    assert {-2, -1, whole} <= stops, "while it is made, while trials are put on the list, and never"
    assert len(stops) > 6


@pytest.mark.long
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_if_the_disk_fails_once_at_any_write_acknowledged_events_stay_and_the_rest_follow(
    code: int, specs: list[TrialSpec], tmp_path: Path
) -> None:
    """Each write and truncation by SQLite, also of its log and its index, fails in one round."""
    stops = []
    with hooked() as writes:
        for number in count(1):
            stops.append(told_on(tmp_path / str(number), specs, writes.failing_at(number, code)))
            if writes.number < number:
                break
    assert stops[-1] == 2 * len(events(specs[0])), "after the last write there is none to fail"
    assert set(stops) >= set(range(-2, stops[-1])), "at every event, and before them"


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
from resnet_space.cli import main
main()
"""


@pytest.mark.long
def test_a_run_on_a_full_disk_stops_with_one_line_and_resumes_when_there_is_space(tmp_path: Path) -> None:
    run = ["run", "transitions", "--seeds", "1", "--epochs", "1", "--inline", "--out", str(tmp_path / "run")]
    tiny = ["--set", "width=0.25", "--set", "stages.*.units=1", "--set", "data.limit=200"]
    # Room for the tables, and not for three trials.
    full = forks.run(["-c", FULL, "125000", *run, *tiny])
    assert full.returncode == 2, full.stderr
    assert full.stdout == ""
    assert "Traceback" not in full.stderr
    last = full.stderr.splitlines()[-1]
    assert last.startswith(f"error: storage 'sqlite:///{tmp_path}/run/trials.db': ")
    assert last.endswith(SAYS)
    store = Store.at(tmp_path / "run", new=False)
    before = {record.key: record for record in store.records() if record.status == "complete"}
    store.close()
    again = forks.run(["-m", "resnet_space", *run, *tiny])
    assert again.returncode == 0, again.stderr
    store = Store.at(tmp_path / "run", new=False)
    after = {record.key: record for record in store.records()}
    store.close()
    assert {record.status for record in after.values()} == {"complete"}
    assert {key: after[key] for key in before} == before
