"""A state machine of the store: trials are submitted, claimed, reported, crashed and reopened in any order, and every
acknowledged write is stored once and unchanged."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from search.store.store import Store
from search.trials.events import FINISHED, Epoch, Event, Finished, Started, Status
from search.trials.trial import TrialSpec

TRIALS = 3
numbers = st.integers(0, TRIALS - 1)


class Killed(BaseException):
    """Raised where a driver is killed."""


@dataclass
class Known:
    """The acknowledged writes of a trial."""

    attempts: int = 0
    epochs: dict[int, float] = field(default_factory=dict)
    end: tuple[str, str, float | None] | None = None
    owner: int | None = None


class Machine(RuleBasedStateMachine):
    """Two drivers on one file; a crash leaves the file as the operating system has it at that moment."""

    specs: list[TrialSpec]

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="store-"))
        self.lives = 0
        self.folder = self._place()
        self.drivers = [self._open(), self._open()]
        self.known: dict[str, Known] = {}
        self.unsure: Callable[[], None] | None = None

    def teardown(self) -> None:
        for store in self.drivers:
            store.close()
        shutil.rmtree(self.root)

    def _place(self) -> Path:
        self.lives += 1
        folder = self.root / str(self.lives)
        folder.mkdir()
        return folder

    def _open(self) -> Store:
        store = Store(f"sqlite:///{self.folder / 'trials.db'}")
        with store.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
        # No driver counts as dead unless it is reopened.
        store.claims.clock = lambda: 0.0
        return store

    def _key(self, number: int) -> str:
        return self.specs[number].key

    @rule(driver=st.integers(0, 1), of=st.sets(numbers))
    def submit(self, driver: int, of: set[int]) -> None:
        self.drivers[driver].add(self.specs[number] for number in sorted(of))
        for number in of:
            self.known.setdefault(self._key(number), Known())

    @rule(driver=st.integers(0, 1), of=st.sets(numbers))
    def claim(self, driver: int, of: set[int]) -> None:
        free = {
            key
            for key in map(self._key, of)
            if (known := self.known.get(key)) and known.end is None and known.owner in (None, driver)
        }
        assert self.drivers[driver].claim([self._key(number) for number in of]) == free
        for key in free:
            self.known[key].owner = driver

    @rule(driver=st.integers(0, 1), number=numbers, what=st.sampled_from(["start", "epoch", *FINISHED]), at=numbers)
    def tell(self, driver: int, number: int, what: str, at: int) -> None:
        event, learn = self._event(number, what, at)
        if event.key not in self.known:
            with pytest.raises(KeyError):
                self.drivers[driver].write([event])
        elif self.known[event.key].end is not None:
            assert not self.drivers[driver].write([event]), "a trial ends once"
        else:
            assert self.drivers[driver].write([event])
            learn()

    def _event(self, number: int, what: str, at: int) -> tuple[Event, Callable[[], None]]:
        """The event to write, and the function that updates the model after it."""
        key, error = self._key(number), at / 4
        if what == "start":

            def started() -> None:
                self.known[key].attempts += 1

            return Started(key, "host", "cpu"), started
        if what == "epoch":
            return (
                Epoch(key, at + 1, 7, 0.1, 2.0, 0.5, error, 1.0, 200.0),
                lambda: self.known[key].epochs.__setitem__(at + 1, error),
            )
        status: Status = what  # type: ignore[assignment]

        def ended() -> None:
            self.known[key].end = (status, f"because {at}", error)

        return Finished(key, status, f"because {at}", test_error=error), ended

    @precondition(lambda self: self.known)
    @rule(number=numbers, what=st.sampled_from(["start", "epoch", *FINISHED]), at=numbers, step=st.integers(0, 4))
    def crash(self, number: int, what: str, at: int, step: int) -> None:
        """Kill a driver before the n-th statement of a write, before its commit, or after it."""
        event, learn = self._event(number, what, at)
        known = self.known.get(event.key)
        left, place = [step], self._place()

        def die(*_: Any) -> None:
            left[0] -= 1
            if left[0] < 0:
                for side in ("", "-wal"):
                    if (file := self.folder / f"trials.db{side}").exists():
                        shutil.copy(file, place / f"trials.db{side}")
                raise Killed

        engine = self.drivers[0].engine
        for moment in ("before_cursor_execute", "commit"):
            sql.event.listen(engine, moment, die)
        acknowledged = False
        try:
            news = self.drivers[0].write([event])
            acknowledged = True
            left[0] = 0
            die()
        except (Killed, KeyError):
            news = acknowledged and known is not None and known.end is None
        finally:
            for moment in ("before_cursor_execute", "commit"):
                sql.event.remove(engine, moment, die)
        if not (place / "trials.db").exists():
            # The trial is unknown, so the write ended with an error before the crash.
            return
        for store in self.drivers:
            store.close()
        self.folder = place
        self.drivers = [self._open(), self._open()]
        if news:
            learn()
        self._all_free()

    @rule()
    def reopen(self) -> None:
        for store in self.drivers:
            store.close()
        self.drivers = [self._open(), self._open()]
        self._all_free()

    def _all_free(self) -> None:
        """Both drivers are new ones; the former ones are known to be dead."""
        self.drivers[0].claims.reclaim(alone=True)
        for known in self.known.values():
            known.owner = None

    @rule(driver=st.integers(0, 1))
    def leave(self, driver: int) -> None:
        self.drivers[driver].claims.release()
        for known in self.known.values():
            if known.owner == driver:
                known.owner = None

    @invariant()
    def what_was_acknowledged_is_there_unchanged_once(self) -> None:
        for store in self.drivers:
            records = store.records()
            assert [record.key for record in records] == sorted(self.known)
            for record in records:
                known = self.known[record.key]
                assert record.attempts == known.attempts
                if known.end is None:
                    assert record.status in ("waiting", "running")
                else:
                    assert (record.status, record.reason, record.test_error) == known.end
                assert TrialSpec.of(record.spec).key == record.key
            curves = store.curves()
            found = {
                (key, number): error
                for key, number, error in zip(curves["key"], curves["epoch"], curves["validation_error"], strict=True)
            }
            assert found == {(key, n): error for key, known in self.known.items() for n, error in known.epochs.items()}
            assert sum(store.counts().values()) == len(self.known)


@pytest.mark.long
def test_every_acknowledged_write_is_stored_once_and_unchanged(trial: Callable[..., TrialSpec]) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    Machine.specs = [trial(seed=seed) for seed in range(TRIALS)]
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
