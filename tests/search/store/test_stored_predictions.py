"""Predictions are stored with the end of their trial, in every kind of database, also in one of an earlier version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from search.store.store import Store
from search.trials.events import Finished
from search.trials.record import TrialRecord
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]


def complete(key: str) -> Finished:
    return Finished(key, "complete", test_error=0.02, validation_error=0.03, seconds=9.0)


def record(store: Store, key: str) -> TrialRecord:
    (found,) = store.records([key])
    return found


def test_the_end_of_a_trial_stores_its_predictions(store: Store, specs: list[TrialSpec]) -> None:
    store.add(specs)
    content = bytes(range(256)) * 500
    store.write([replace(complete(specs[0].key), predictions=content)])
    store.write([complete(specs[1].key)])
    store.write([Finished(specs[2].key, "failed", "OSError: gone")])
    assert store.predictions([spec.key for spec in specs]) == {specs[0].key: content}
    assert store.predictions([]) == {}
    assert record(store, specs[0].key).test_error == 0.02


def test_predictions_are_those_of_the_first_end(store: Store, specs: list[TrialSpec]) -> None:
    store.add(specs)
    assert store.write([replace(complete(specs[0].key), predictions=b"first")])
    assert not store.write([replace(complete(specs[0].key), predictions=b"second")])
    assert store.predictions([specs[0].key]) == {specs[0].key: b"first"}


def test_a_store_of_an_earlier_version_is_read_and_continued(store: Store, url: str, specs: list[TrialSpec]) -> None:
    """It has no table of predictions: a reader finds none, and a driver adds the table."""
    store.add(specs)
    store.write([complete(specs[0].key)])
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE predictions")
    reader = Store(url, new=False)
    assert reader.predictions([specs[0].key]) == {}
    assert record(reader, specs[0].key).test_error == 0.02
    reader.close()
    driver = Store(url)
    driver.write([replace(complete(specs[1].key), predictions=b"now")])
    assert driver.predictions([spec.key for spec in specs]) == {specs[1].key: b"now"}
    driver.close()
