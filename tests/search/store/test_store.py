"""The store's contract, for every kind of database: what it stores is durable, and a trial finishes once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
import sqlalchemy as sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resnet_space.errors import InputError
from search.store.store import SCHEMA, Store
from search.store.tables import ADDED
from search.trials.events import FINISHED, Epoch, Event, Finished, Started, Status
from search.trials.record import TrialRecord
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]


def epoch(key: str, number: int = 1, error: float = 0.5) -> Epoch:
    return Epoch(key, number, 7 * number, 0.1, 2.0, 0.5, error, 1.0, 200.0)


def complete(key: str) -> Finished:
    return Finished(key, "complete", test_error=0.02, validation_error=0.03, seconds=9.0)


def failed(key: str, reason: str = "OSError: gone") -> Finished:
    return Finished(key, "failed", reason, traceback="Traceback ...")


def _columns(store: Store) -> set[str]:
    """The columns of trials that the database has."""
    with store.engine.connect() as connection:
        return {column["name"] for column in sql.inspect(connection).get_columns("trials")}


def only(store: Store, key: str) -> TrialRecord:
    (record,) = store.records([key])
    return record


def written_before(url: str) -> None:
    """Remove the columns that earlier versions did not have."""
    store = Store(url)
    with store.engine.begin() as connection:
        for name in ADDED:
            connection.exec_driver_sql(f"ALTER TABLE trials DROP COLUMN {name}")
    store.close()


class TestEveryStore:
    def test_a_store_of_an_earlier_version_can_be_read_without_changing_it(
        self, url: str, specs: list[TrialSpec]
    ) -> None:
        written_before(url)
        store = Store(url, new=False)
        assert store.frame()["top5_error"].isna().all()
        assert store.records() == []
        assert sorted(ADDED) == sorted(set(TrialRecord.__dataclass_fields__) - _columns(store))
        store.close()

    def test_a_driver_adds_the_columns_that_an_earlier_version_did_not_have(
        self, url: str, specs: list[TrialSpec]
    ) -> None:
        store = Store(url)
        store.add(specs[:2])
        store.write([complete(specs[0].key)])
        store.close()
        written_before(url)
        store = Store(url)
        store.write([replace(complete(specs[1].key), top5_error=0.25)])
        assert [only(store, spec.key).top5_error for spec in specs[:2]] == [None, 0.25]
        assert [only(store, spec.key).test_error for spec in specs[:2]] == [0.02, 0.02]
        store.close()

    def test_added_trials_wait_and_have_their_description(self, store: Store, specs: list[TrialSpec]) -> None:
        store.add(specs)
        records = store.records()
        assert [record.key for record in records] == sorted(spec.key for spec in specs)
        record = only(store, specs[2].key)
        assert TrialSpec.of(record.spec) == specs[2]
        assert (record.seed, record.architecture) == (2, specs[2].architecture.key)
        assert (record.status, record.attempts, record.reason) == ("waiting", 0, "")
        assert (record.test_error, record.started, record.finished) == (None, None, None)

    def test_adding_again_changes_nothing(self, store: Store, specs: list[TrialSpec]) -> None:
        store.add(specs[:2])
        store.write([Started(specs[0].key, "host", "cpu")])
        store.write([complete(specs[0].key)])
        before = store.records()
        store.add(iter(specs[:2]))
        assert store.records() == before
        store.add(specs)
        assert [record for record in store.records() if record in before] == before
        assert len(store.records()) == 4

    def test_adding_nothing_is_allowed(self, store: Store) -> None:
        store.add([])
        assert store.records() == []

    @pytest.mark.parametrize("event", [Started("nobody", "h", "cpu"), epoch("nobody"), complete("nobody")])
    def test_an_event_of_an_unknown_trial_is_an_error(self, event: Event, store: Store) -> None:
        with pytest.raises(KeyError, match="nobody"):
            store.write([event])
        assert store.records() == []
        assert store.curves().empty

    def test_a_trial_goes_from_waiting_to_running_to_its_end(self, store: Store, specs: list[TrialSpec]) -> None:
        key = specs[0].key
        store.add(specs)
        assert store.write([Started(key, "anvil", "cuda", 7)])
        running = only(store, key)
        assert (running.status, running.host, running.device, running.attempts) == ("running", "anvil", "cuda", 1)
        assert running.started is not None
        assert store.write([epoch(key)])
        assert store.write([complete(key)])
        end = only(store, key)
        assert (end.status, end.test_error, end.validation_error, end.seconds) == ("complete", 0.02, 0.03, 9.0)
        assert end.finished is not None
        assert end.finished >= running.started
        for time in (end.started, end.finished):
            assert time is not None
            assert abs(time.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1), "UTC, not local time"
        assert {record.status for record in store.records() if record.key != key} == {"waiting"}

    def test_every_start_is_an_attempt(self, store: Store, specs: list[TrialSpec]) -> None:
        store.add(specs)
        for _ in range(3):
            store.write([Started(specs[0].key, "host", "cpu")])
        assert [record.attempts for record in store.records([specs[0].key, specs[1].key])] == [
            3 if record.key == specs[0].key else 0 for record in store.records([specs[0].key, specs[1].key])
        ]

    @pytest.mark.parametrize("status", FINISHED)
    def test_a_trial_finishes_once(self, status: Status, store: Store, specs: list[TrialSpec]) -> None:
        key = specs[0].key
        store.add(specs)
        assert store.write([Finished(key, status, "why", seconds=3)])
        before, curves = only(store, key), store.curves()
        for late in (complete(key), failed(key), Started(key, "other", "cpu"), epoch(key)):
            assert not store.write([late])
        assert only(store, key) == before
        assert store.curves().equals(curves)

    def test_an_epoch_reported_again_replaces_the_first_report(self, store: Store, specs: list[TrialSpec]) -> None:
        key = specs[0].key
        store.add(specs)
        for event in (epoch(key, 1), epoch(key, 2, error=0.4), epoch(key, 1), epoch(key, 2, error=0.3)):
            assert store.write([event])
        curves = store.curves()
        assert curves[["epoch", "validation_error"]].to_numpy().tolist() == [[1, 0.5], [2, 0.3]]
        assert set(curves["key"]) == {key}

    def test_counts_have_every_status_also_with_zero(self, store: Store, specs: list[TrialSpec]) -> None:
        assert store.counts() == dict.fromkeys(get_args(Status), 0)
        store.add(specs)
        store.write([Started(specs[0].key, "host", "cpu")])
        store.write([complete(specs[1].key)])
        expected = dict.fromkeys(get_args(Status), 0) | {"waiting": 2, "running": 1, "complete": 1}
        assert store.counts() == expected

    def test_reclaim_returns_only_running_trials_to_waiting(self, store: Store, specs: list[TrialSpec]) -> None:
        store.add(specs)
        for spec in specs[:3]:
            store.write([Started(spec.key, "host", "cpu")])
        store.write([complete(specs[0].key)])
        assert store.reclaim() == 2
        assert store.counts() == dict.fromkeys(get_args(Status), 0) | {"waiting": 3, "complete": 1}
        assert only(store, specs[1].key).attempts == 1
        assert store.reclaim() == 0

    def test_retry_returns_only_failed_trials_to_waiting(self, store: Store, specs: list[TrialSpec]) -> None:
        store.add(specs)
        store.write([failed(specs[0].key)])
        store.write([Finished(specs[1].key, "diverged", "loss is nan at step 4")])
        store.write([complete(specs[2].key)])
        assert store.retry() == 1
        assert only(store, specs[0].key).status == "waiting"
        assert store.counts() == dict.fromkeys(get_args(Status), 0) | {"waiting": 2, "complete": 1, "diverged": 1}
        assert store.write([complete(specs[0].key)])
        assert only(store, specs[0].key).status == "complete"
        assert only(store, specs[0].key).traceback == ""

    def test_a_trial_that_waits_again_has_no_reason(self, store: Store, specs: list[TrialSpec]) -> None:
        store.add(specs)
        store.write([failed(specs[0].key)])
        store.retry()
        assert store.run_status().reasons == []
        assert (only(store, specs[0].key).traceback, only(store, specs[0].key).finished) == ("", None)

    def test_reasons_are_grouped_the_most_frequent_first(self, store: Store, specs: list[TrialSpec]) -> None:
        store.add(specs)
        store.write([Finished(specs[0].key, "diverged", "loss is nan at step 4")])
        for spec in specs[1:3]:
            store.write([failed(spec.key)])
        store.write([complete(specs[3].key)])
        assert store.run_status().reasons == [("failed", "OSError: gone", 2), ("diverged", "loss is nan at step 4", 1)]

    def test_records_can_be_selected_by_key(self, store: Store, specs: list[TrialSpec]) -> None:
        store.add(specs)
        keys = [specs[3].key, specs[0].key, "nobody"]
        assert [record.key for record in store.records(keys)] == sorted(keys[:2])
        assert store.records([]) == []

    def test_the_frame_has_one_row_per_trial_and_the_curves_one_per_epoch(
        self, store: Store, specs: list[TrialSpec]
    ) -> None:
        assert store.frame().empty
        assert "test_error" in store.frame()
        store.add(specs)
        store.write([epoch(specs[0].key, 1)])
        store.write([epoch(specs[0].key, 2)])
        store.write([complete(specs[0].key)])
        frame = store.frame().set_index("key")
        assert len(frame) == 4
        assert frame.loc[specs[0].key, "test_error"] == 0.02
        assert frame["test_error"].isna().sum() == 3
        assert "spec" not in frame
        assert store.curves()["step"].tolist() == [7, 14]

    def test_another_connection_reads_what_was_written(self, store: Store, url: str, specs: list[TrialSpec]) -> None:
        store.add(specs)
        store.write([complete(specs[0].key)])
        other = Store(url)
        assert other.records() == store.records()
        other.close()

    def test_a_reader_sees_complete_states_while_the_writer_writes(
        self, store: Store, url: str, specs: list[TrialSpec]
    ) -> None:
        """The reader sees epochs 1..n of each trial in order, its end only after all of them, and never an error."""
        store.add(specs)
        reader, wrong, looks, done = Store(url), [], [0], threading.Event()

        def look() -> None:
            while not done.is_set():
                try:
                    ended = {record.key for record in reader.records() if record.status == "complete"}
                    curves = reader.curves()
                    for key, numbers in curves.groupby("key")["epoch"]:
                        if numbers.tolist() != list(range(1, len(numbers) + 1)) or (key in ended and len(numbers) < 25):
                            wrong.append(numbers.tolist())
                    if sum(reader.counts().values()) != len(specs):
                        wrong.append("trials lost")
                    looks[0] += 1
                except Exception as error:
                    wrong.append(error)
                    return

        thread = threading.Thread(target=look)
        thread.start()
        for spec in specs:
            for number in range(1, 26):
                store.write([epoch(spec.key, number)])
            store.write([complete(spec.key)])
        done.set()
        thread.join()
        reader.close()
        assert wrong == []
        assert looks[0] > 1

    def test_a_database_of_another_schema_is_refused(self, store: Store, url: str) -> None:
        with store.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE about SET schema = {SCHEMA + 1}")
        with pytest.raises(InputError, match=rf"written with schema {SCHEMA + 1}; this version reads schema {SCHEMA}"):
            Store(url)

    def test_the_schema_is_stored_once(self, store: Store, url: str) -> None:
        Store(url).close()
        with store.engine.begin() as connection:
            assert connection.exec_driver_sql("SELECT schema FROM about").all() == [(SCHEMA,)]

    @pytest.mark.slow
    def test_a_written_event_survives_sigkill(self, url: str, store: Store, specs: list[TrialSpec]) -> None:
        store.add(specs)
        code = """
import os, signal, sys
from search.store.store import Store
from search.trials.events import Epoch, Finished
url, *keys = sys.argv[1:]
store = Store(url)
for key in keys:
    store.write([Epoch(key, 1, 7, 0.1, 2.0, 0.5, 0.5, 1.0, 200.0)])
    store.write([Finished(key, "complete", test_error=0.25)])
os.kill(os.getpid(), signal.SIGKILL)
"""
        keys = [spec.key for spec in specs[:3]]
        ran = subprocess.run([sys.executable, "-c", code, url, *keys], check=False)
        assert ran.returncode == -signal.SIGKILL
        found = store.records(keys)
        assert [(record.status, record.test_error) for record in found] == [("complete", 0.25)] * 3
        assert sorted(store.curves()["key"]) == sorted(keys)


moments = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["start", "epoch", "reclaim", "add", *FINISHED]),
    ),
    max_size=25,
)


@given(moments=moments)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_interleaving_of_events_changes_a_finished_trial(
    moments: list[tuple[int, str]], specs: list[TrialSpec]
) -> None:
    """Compare with a model: the first end of each trial, its epochs until then, and its attempts."""
    store = Store("sqlite://")
    store.add(specs[:3])
    ends: dict[str, TrialRecord] = {}
    epochs, attempts = dict.fromkeys((s.key for s in specs[:3]), 0), dict.fromkeys((s.key for s in specs[:3]), 0)
    for number, (trial, what) in enumerate(moments):
        key = specs[trial].key
        if what == "reclaim":
            store.reclaim()
        elif what == "add":
            store.add(specs[:3])
        else:
            event: Event = Finished(key, what, f"reason {number}", test_error=number / 100)  # type: ignore[arg-type]
            if what == "start":
                event = Started(key, f"host {number}", "cpu")
            elif what == "epoch":
                event = epoch(key, epochs[key] + 1)
            news = store.write([event])
            assert bool(news) == (key not in ends)
            if news and what == "epoch":
                epochs[key] += 1
            if news and what == "start":
                attempts[key] += 1
            if news and what in FINISHED:
                ends[key] = only(store, key)
                assert (ends[key].status, ends[key].reason) == (what, f"reason {number}")
        for finished, record in ends.items():
            assert only(store, finished) == record
    assert {record.key: record.attempts for record in store.records()} == attempts
    assert store.curves().groupby("key").size().to_dict() == {key: n for key, n in epochs.items() if n}
    assert sum(store.counts().values()) == 3
    store.close()


def test_a_record_is_equal_to_its_copy(tmp_path: Path, specs: list[TrialSpec]) -> None:
    store = Store.at(tmp_path)
    store.add(specs[:1])
    (record,) = store.records()
    assert record == replace(record)
    assert record != replace(record, attempts=1)
    store.close()
