"""Events are stored together as they are one by one, and only what is not reported again waits for the disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.store.store import Store
from search.trials.events import FINISHED, Epoch, Event, Finished, Notice, Probe, Started
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]


def epoch(key: str, number: int = 1, error: float = 0.5) -> Epoch:
    return Epoch(key, number, 7 * number, 0.1, 2.0, 0.5, error, 1.0, 200.0)


def complete(key: str) -> Finished:
    return Finished(key, "complete", test_error=0.02, validation_error=0.03, seconds=9.0)


@given(
    told=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["start", "epoch", *FINISHED])), max_size=25),
    cuts=st.sets(st.integers(1, 24)),
)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_stored_together_are_stored_as_one_by_one(
    told: list[tuple[int, str]], cuts: set[int], specs: list[TrialSpec]
) -> None:
    events = list[Event]()
    for number, (trial, what) in enumerate(told):
        key = specs[trial].key
        event: Event = Finished(key, what, f"reason {number}", test_error=number / 100)  # type: ignore[arg-type]
        if what == "start":
            event = Started(key, f"host {number}", "cpu", together=number)
        elif what == "epoch":
            event = epoch(key, 1 + number % 3, number / 100)
        events.append(event)
    ends = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    together, one_by_one = Store("sqlite://"), Store("sqlite://")
    for store in (together, one_by_one):
        store.add(specs[:3])
    new = [event for begin, end in pairwise(ends) for event in together.write(events[begin:end])]
    assert new == [event for event in events if one_by_one.write([event])]
    timeless = [
        [replace(record, started=None, finished=None) for record in store.records()] for store in (together, one_by_one)
    ]
    assert timeless[0] == timeless[1]
    assert together.curves().equals(one_by_one.curves())
    together.close()
    one_by_one.close()


def test_nothing_is_stored_of_events_of_which_one_is_wrong(store: Store, specs: list[TrialSpec]) -> None:
    store.add(specs[:1])
    before = store.records()
    with pytest.raises(KeyError, match="nobody"):
        store.write([epoch(specs[0].key), complete(specs[0].key), epoch("nobody")])
    assert store.records() == before
    assert store.curves().empty


def test_only_what_is_told_again_is_stored_without_waiting_for_the_disk(store: Store, specs: list[TrialSpec]) -> None:
    """The rest of a transaction waits with what is not reported again."""
    store.add(specs)
    key = specs[0].key
    asked = list[str]()

    def look(connection: sql.Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(("INSERT", "UPDATE")):
            setting = "PRAGMA synchronous" if connection.dialect.name == "sqlite" else "SHOW synchronous_commit"
            # 2 is FULL, and 1 is NORMAL.
            asked.append({2: "on", 1: "off"}.get(level := raw(connection, setting), level))

    def raw(connection: sql.Connection, query: str) -> Any:
        cursor = connection.connection.cursor()
        ((found,),) = cursor.execute(query).fetchall()
        return found

    sql.event.listen(store.engine, "before_cursor_execute", look)
    for events in (
        [epoch(key)],
        [epoch(key, 2), Notice(key, "its worker was lost"), epoch(specs[1].key)],
        [Started(key, "anvil", "cpu")],
        [epoch(key, 3)],
        [Probe(key, 3, [0.5], [1.0], [2.0], [0.0])],
        [epoch(key, 4), complete(key)],
        [Finished(specs[1].key, "infeasible", "macs <= 1e6")],
    ):
        store.write(events)
    assert asked == ["off", "off", "on", "off", "on", "on", "on", "off"]


def test_no_events_are_stored_as_nothing(store: Store) -> None:
    assert store.write([]) == []


def test_of_events_told_together_those_after_an_end_are_not_stored(store: Store, specs: list[TrialSpec]) -> None:
    first, second = (spec.key for spec in specs[:2])
    store.add(specs)
    before = [Started(first, "anvil", "cpu"), epoch(first), epoch(second), complete(first)]
    late = [epoch(first, 2), Finished(first, "failed", "OSError: gone"), Started(first, "other", "cpu")]
    assert store.write([*before, *late, epoch(second, 2)]) == [*before, epoch(second, 2)]
    (end,) = store.records([first])
    assert (end.status, end.host, end.attempts, end.reason) == ("complete", "anvil", 1, "")
    curves = store.curves()
    assert sorted(zip(curves["key"], curves["epoch"], strict=True)) == sorted([(first, 1), (second, 1), (second, 2)])
