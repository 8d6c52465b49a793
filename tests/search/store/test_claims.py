"""Drivers on one database share its trials: none runs twice, and other drivers run those of a dead driver."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clocks import Clock
from power import watched

from resnet_space.errors import InputError
from search.store import event_writer
from search.store.claims import Claims, driver_label, new_driver, registered
from search.store.store import Store
from search.trials.events import Epoch, Finished, Started
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]
Open = Callable[[], Store]


@pytest.fixture(scope="module")
def specs(trial: Trial) -> list[TrialSpec]:
    return [trial(seed=seed) for seed in range(6)]


@pytest.fixture(scope="module")
def keys(specs: list[TrialSpec]) -> list[str]:
    return [spec.key for spec in specs]


def complete(key: str, error: float = 0.25) -> Finished:
    return Finished(key, "complete", test_error=error, validation_error=error, seconds=1.0)


def status(store: Store, key: str) -> str:
    return store.records([key])[0].status


def test_a_trial_is_claimed_by_one_driver_only(driver: Open, specs: list[TrialSpec], keys: list[str]) -> None:
    first, second = driver(), driver()
    first.add(specs)
    assert first.claim(keys[:4]) == set(keys[:4])
    assert second.claim(keys[2:]) == set(keys[4:])
    assert first.claim(keys) == set(keys[:4]), "a driver keeps its own trials"
    assert second.claims.unfinished(keys) == dict.fromkeys(keys[:4], first.claims.driver) | dict.fromkeys(keys[4:])


def test_finished_and_unknown_trials_cannot_be_claimed(driver: Open, specs: list[TrialSpec], keys: list[str]) -> None:
    store = driver()
    store.add(specs[:3])
    store.write([complete(keys[0])])
    assert store.claim([*keys[:3], "nobody"]) == set(keys[1:3])
    assert store.claims.unfinished(keys[:1]) == {}
    assert store.claim([]) == set()


def test_a_living_driver_keeps_its_trials_for_any_length_of_time(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock
) -> None:
    first, second = driver(), driver()
    first.add(specs)
    first.claim(keys[:3])
    first.write([Started(keys[0], "anvil", "cpu")])
    for _ in range(20):
        clock.now += 0.9 * second.claims.lease
        first.claims.heartbeat()
        assert second.reclaim() == 0
        assert second.claim(keys) == set(keys[3:])
    assert status(second, keys[0]) == "running"


def test_a_dead_drivers_trials_are_free_when_its_lease_expires_and_not_before(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock
) -> None:
    first, second = driver(), driver()
    first.add(specs)
    first.claim(keys[:3])
    first.write([Started(keys[0], "anvil", "cpu")])
    assert second.reclaim() == 0
    clock.now += second.claims.lease - 1
    assert second.reclaim() == 0
    assert second.claim(keys[:3]) == set()
    clock.now += 1
    assert second.reclaim() == 1, "the trial that had started"
    assert status(second, keys[0]) == "waiting"
    assert second.claim(keys[:3]) == set(keys[:3])


def test_a_driver_that_ends_normally_frees_its_trials_at_once(
    driver: Open, specs: list[TrialSpec], keys: list[str]
) -> None:
    first, second = driver(), driver()
    first.add(specs)
    first.claim(keys)
    first.write([Started(keys[0], "anvil", "cpu")])
    first.write([complete(keys[1])])
    first.claims.release()
    assert status(second, keys[0]) == "waiting"
    assert second.claims.other_drivers() == []
    assert second.claim(keys) == set(keys) - {keys[1]}


def test_nobody_waits_for_a_driver_that_has_certainly_ended(
    driver: Open, specs: list[TrialSpec], keys: list[str]
) -> None:
    """The previous driver of the same folder, whose lock is free."""
    dead, other, now = driver(), driver(), driver()
    dead.add(specs)
    dead.claim(keys[:2])
    other.claim(keys[2:4])
    with registered(now.claims, new_driver(), dead.claims.driver, every=1e6):
        assert now.claim(keys) == set(keys[:2] + keys[4:]), "and others keep what they have"


class SetBack(datetime):
    """A wall clock that is set back by a year."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) - timedelta(days=365)


def test_a_clock_that_is_set_back_frees_no_claimed_trial_and_changes_no_result(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = driver(), driver()
    first.add(specs)
    first.claim(keys[:3])
    first.write([Started(keys[0], "anvil", "cpu")])
    monkeypatch.setattr(event_writer, "datetime", SetBack)
    first.claims.heartbeat()
    assert second.reclaim() == 0
    assert second.claim(keys) == set(keys[3:])
    assert first.write([complete(keys[0], 0.5)])
    record = first.records([keys[0]])[0]
    assert (record.status, record.test_error) == ("complete", 0.5)
    assert record.started
    assert record.finished
    assert record.finished < record.started, "the clock was set back between"
    clock.now += second.claims.lease
    second.reclaim()
    assert second.claim(keys[1:3]) == set(keys[1:3]), "and a dead driver's trials are free as they would have been"


def test_a_driver_that_counted_as_dead_and_reports_late_changes_nothing(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock
) -> None:
    zombie, other = driver(), driver()
    zombie.add(specs)
    zombie.claim(keys[:1])
    zombie.write([Started(keys[0], "anvil", "cpu")])
    other.reclaim()
    clock.now += other.claims.lease
    other.reclaim()
    assert other.claim(keys[:1]) == set(keys[:1])
    assert other.write([Started(keys[0], "bellows", "cpu")])
    assert other.write([complete(keys[0], 0.25)])
    before = other.records()
    for late in (
        Epoch(keys[0], 1, 7, 0.1, 2.0, 0.5, 0.5, 1.0, 200.0),
        complete(keys[0], 0.75),
        Started(keys[0], "anvil", "cpu"),
    ):
        assert not zombie.write([late])
    assert other.records() == before
    assert other.curves().empty


def test_a_driver_that_counted_as_dead_and_reports_first_wins(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock
) -> None:
    zombie, other = driver(), driver()
    zombie.add(specs)
    zombie.claim(keys[:1])
    other.reclaim()
    clock.now += other.claims.lease
    assert other.claims.other_drivers() == []
    other.claim(keys[:1])
    assert zombie.write([complete(keys[0], 0.75)])
    assert not other.write([complete(keys[0], 0.25)])
    assert [record.test_error for record in other.records(keys[:1])] == [0.75]


def test_a_living_driver_that_counted_as_dead_is_warned_and_continues(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    asleep, other = driver(), driver()
    asleep.add(specs)
    asleep.claim(keys[:2])
    other.reclaim()
    clock.now += other.claims.lease
    assert other.claims.other_drivers() == []
    other.claim(keys[:1])
    assert asleep.claim(keys) == set(keys[1:])
    said = "counted as dead: other drivers can have claimed its trials; the result that is stored first counts"
    assert said in caplog.text
    assert other.claims.other_drivers() == [asleep.claims.driver]


@pytest.mark.parametrize("many", [4])
def test_drivers_that_claim_at_the_same_time_never_get_the_same_trial(
    many: int, driver: Open, trial: Trial, url: str
) -> None:
    specs = [trial(seed=seed) for seed in range(24)]
    stores = [driver() for _ in range(many)]
    stores[0].add(specs)
    taken: list[str] = []
    ready = threading.Barrier(many)

    def take(store: Store, step: int) -> None:
        ready.wait()
        # Each driver in its own order, in pairs, so that two drivers lock the same rows in opposite orders.
        order = sorted(specs, key=lambda spec: (spec.seed * (2 * step + 5)) % 29)
        for one, two in zip(order[::2], order[1::2], strict=True):
            mine = store.claim([one.key, two.key])
            for key in mine:
                store.write([Started(key, f"host {step}", "cpu")])
                if store.write([complete(key)]):
                    taken.append(key)

    threads = [threading.Thread(target=take, args=(store, step)) for step, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(spec.key for spec in specs)
    assert {record.attempts for record in stores[0].records()} == {1}


def test_what_nobody_needs_after_a_power_cut_does_not_wait_for_the_disk(tmp_path: Path, specs: list[TrialSpec]) -> None:
    """No driver of a file is alive then, so that all trials are free; a search proposes again."""
    store = Store.at(tmp_path)
    with watched(store, tmp_path / "after") as disk:
        store.add(specs)
        assert (disk.transactions, disk.waited) == (1, 1)
        store.claims.heartbeat()
        store.claim([specs[0].key])
        store.propose(specs[1], {"number": 0})
        assert (disk.transactions, disk.waited) == (4, 1)
    left = disk.cut()
    assert {record.status for record in left.records()} == {"waiting"}
    assert left.claim([spec.key for spec in specs]) == {spec.key for spec in specs}
    left.close()
    store.close()


def test_of_two_ends_reported_at_the_same_time_one_is_stored(driver: Open, trial: Trial) -> None:
    specs = [trial(seed=seed) for seed in range(12)]
    stores = [driver(), driver()]
    stores[0].add(specs)
    news: list[tuple[str, float]] = []
    ready = threading.Barrier(2)

    def tell(store: Store, error: float) -> None:
        for spec in specs:
            ready.wait()
            if store.write([complete(spec.key, error)]):
                news.append((spec.key, error))

    threads = [threading.Thread(target=tell, args=(store, number / 4)) for number, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {record.key: record.test_error for record in stores[0].records()} == dict(news)
    assert len(news) == len(specs)


def test_heartbeats_are_sent_until_the_end_and_an_error_is_logged_once(
    driver: Open, caplog: pytest.LogCaptureFixture
) -> None:
    store, other = driver(), driver()
    beats, enough, troubled = [0], threading.Event(), Claims.heartbeat

    def counted(claims: Claims) -> None:
        beats[0] += 1
        if beats[0] in (2, 3):
            raise InputError("the server is gone")
        troubled(claims)
        if beats[0] > 4:
            enough.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Claims, "heartbeat", counted)
        with registered(store.claims, "anvil:7:x", None, every=0.001):
            assert enough.wait(60)
            assert other.claims.other_drivers() == ["anvil:7:x"]
    assert other.claims.other_drivers() == []
    assert caplog.text.count("could not send a heartbeat (the server is gone)") == 1


def test_a_second_driver_of_a_search_is_refused_and_the_living_one_named(driver: Open) -> None:
    first, second = driver(), driver()
    first.claims.driver = "anvil:77:x"
    first.claims.heartbeat()
    told: list[str] = []

    def meanwhile(_: float) -> None:
        first.claims.heartbeat()

    with pytest.raises(InputError, match="process 77 on anvil already drives this search, and a search has one driver"):
        second.claims.require_sole_driver(report=told.append, wait=meanwhile)
    assert told == ["process 77 on anvil drove this search before; waiting 60 s for its heartbeat"]
    assert first.claims.other_drivers() == [], "a driver that was refused is not registered"


def test_a_search_resumes_after_its_former_driver_was_silent_for_a_lease(driver: Open, clock: Clock) -> None:
    first, second = driver(), driver()
    first.claims.heartbeat()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.now += seconds

    second.claims.require_sole_driver(report=lambda _: None, wait=wait)
    assert sum(waits) == second.claims.lease


def test_a_drivers_name_has_its_host_and_process() -> None:
    assert new_driver() != new_driver()
    assert driver_label("anvil:7:0123") == "process 7 on anvil"
    assert driver_label("::1:7:0123") == "process 7 on ::1"
