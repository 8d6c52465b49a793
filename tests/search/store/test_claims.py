"""Drivers on one database share its trials: none is done twice, and what a dead one had in hand is done by others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from clocks import Clock

from resnet_space.errors import InputError
from search.store import store as store_module
from search.store.claims import Claims, living, new_driver, shown
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


def test_a_trial_that_one_driver_took_no_other_takes(driver: Open, specs: list[TrialSpec], keys: list[str]) -> None:
    first, second = driver(), driver()
    first.add(specs)
    assert first.claim(keys[:4]) == set(keys[:4])
    assert second.claim(keys[2:]) == set(keys[4:])
    assert first.claim(keys) == set(keys[:4]), "what is its own stays its own"
    assert second.claims.left(keys) == dict.fromkeys(keys[:4], first.claims.driver) | dict.fromkeys(keys[4:])


def test_what_has_ended_and_what_is_not_there_is_not_taken(
    driver: Open, specs: list[TrialSpec], keys: list[str]
) -> None:
    store = driver()
    store.add(specs[:3])
    store.write(complete(keys[0]))
    assert store.claim([*keys[:3], "nobody"]) == set(keys[1:3])
    assert store.claims.left(keys[:1]) == {}
    assert store.claim([]) == set()


def test_a_driver_that_lives_keeps_its_trials_however_long_they_take(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock
) -> None:
    first, second = driver(), driver()
    first.add(specs)
    first.claim(keys[:3])
    first.write(Started(keys[0], "anvil", "cpu"))
    for _ in range(20):
        clock.now += 0.9 * second.claims.lease
        first.claims.beat()
        assert second.reclaim() == 0
        assert second.claim(keys) == set(keys[3:])
    assert status(second, keys[0]) == "running"


def test_a_dead_driver_s_trials_are_free_when_its_lease_is_over_and_not_before(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock
) -> None:
    first, second = driver(), driver()
    first.add(specs)
    first.claim(keys[:3])
    first.write(Started(keys[0], "anvil", "cpu"))
    assert second.reclaim() == 0
    clock.now += second.claims.lease - 1
    assert second.reclaim() == 0
    assert second.claim(keys[:3]) == set()
    clock.now += 1
    assert second.reclaim() == 1, "the one that was begun"
    assert status(second, keys[0]) == "waiting"
    assert second.claim(keys[:3]) == set(keys[:3])


def test_a_driver_that_ends_in_order_leaves_its_trials_at_once(
    driver: Open, specs: list[TrialSpec], keys: list[str]
) -> None:
    first, second = driver(), driver()
    first.add(specs)
    first.claim(keys)
    first.write(Started(keys[0], "anvil", "cpu"))
    first.write(complete(keys[1]))
    first.claims.release()
    assert status(second, keys[0]) == "waiting"
    assert second.claims.others() == []
    assert second.claim(keys) == set(keys) - {keys[1]}


def test_a_driver_that_is_known_to_have_ended_is_not_waited_for(
    driver: Open, specs: list[TrialSpec], keys: list[str]
) -> None:
    """The one before in the same folder, whose lock is free."""
    dead, other, now = driver(), driver(), driver()
    dead.add(specs)
    dead.claim(keys[:2])
    other.claim(keys[2:4])
    with living(now.claims, new_driver(), dead.claims.driver, every=1e6):
        assert now.claim(keys) == set(keys[:2] + keys[4:]), "and others keep what they have"


class SetBack(datetime):
    """A wall clock that was set back by a year."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) - timedelta(days=365)


def test_a_clock_that_is_set_back_takes_no_trial_from_anybody_and_changes_no_result(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = driver(), driver()
    first.add(specs)
    first.claim(keys[:3])
    first.write(Started(keys[0], "anvil", "cpu"))
    monkeypatch.setattr(store_module, "datetime", SetBack)
    first.claims.beat()
    assert second.reclaim() == 0
    assert second.claim(keys) == set(keys[3:])
    assert first.write(complete(keys[0], 0.5))
    record = first.records([keys[0]])[0]
    assert (record.status, record.test_error) == ("complete", 0.5)
    assert record.started
    assert record.finished
    assert record.finished < record.started, "the clock was set back between"
    clock.now += second.claims.lease
    second.reclaim()
    assert second.claim(keys[1:3]) == set(keys[1:3]), "and a dead driver's trials are free as they would have been"


def test_a_zombie_that_reports_late_changes_nothing(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock
) -> None:
    zombie, other = driver(), driver()
    zombie.add(specs)
    zombie.claim(keys[:1])
    zombie.write(Started(keys[0], "anvil", "cpu"))
    other.reclaim()
    clock.now += other.claims.lease
    other.reclaim()
    assert other.claim(keys[:1]) == set(keys[:1])
    assert other.write(Started(keys[0], "bellows", "cpu"))
    assert other.write(complete(keys[0], 0.25))
    before = other.records()
    for late in (
        Epoch(keys[0], 1, 7, 0.1, 2.0, 0.5, 0.5, 1.0, 200.0),
        complete(keys[0], 0.75),
        Started(keys[0], "anvil", "cpu"),
    ):
        assert not zombie.write(late)
    assert other.records() == before
    assert other.curves().empty


def test_a_zombie_that_is_first_wins(driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock) -> None:
    zombie, other = driver(), driver()
    zombie.add(specs)
    zombie.claim(keys[:1])
    other.reclaim()
    clock.now += other.claims.lease
    assert other.claims.others() == []
    other.claim(keys[:1])
    assert zombie.write(complete(keys[0], 0.75))
    assert not other.write(complete(keys[0], 0.25))
    assert [record.test_error for record in other.records(keys[:1])] == [0.75]


def test_who_was_taken_for_dead_and_lives_is_told_and_goes_on(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    asleep, other = driver(), driver()
    asleep.add(specs)
    asleep.claim(keys[:2])
    other.reclaim()
    clock.now += other.claims.lease
    assert other.claims.others() == []
    other.claim(keys[:1])
    assert asleep.claim(keys) == set(keys[1:])
    assert "was taken for dead: others may have taken up its trials; what ends first counts" in caplog.text
    assert other.claims.others() == [asleep.claims.driver]


@pytest.mark.parametrize("many", [4])
def test_drivers_that_take_at_the_same_time_never_take_the_same(
    many: int, driver: Open, trial: Trial, url: str
) -> None:
    specs = [trial(seed=seed) for seed in range(24)]
    stores = [driver() for _ in range(many)]
    stores[0].add(specs)
    taken: list[str] = []
    ready = threading.Barrier(many)

    def take(store: Store, step: int) -> None:
        ready.wait()
        # Each in another order, in pairs, so that rows are locked crosswise.
        order = sorted(specs, key=lambda spec: (spec.seed * (2 * step + 5)) % 29)
        for one, two in zip(order[::2], order[1::2], strict=True):
            mine = store.claim([one.key, two.key])
            for key in mine:
                store.write(Started(key, f"host {step}", "cpu"))
                if store.write(complete(key)):
                    taken.append(key)

    threads = [threading.Thread(target=take, args=(store, step)) for step, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(spec.key for spec in specs)
    assert {record.attempts for record in stores[0].records()} == {1}


def test_of_two_ends_told_at_the_same_time_one_is_news(driver: Open, trial: Trial) -> None:
    specs = [trial(seed=seed) for seed in range(12)]
    stores = [driver(), driver()]
    stores[0].add(specs)
    news: list[tuple[str, float]] = []
    ready = threading.Barrier(2)

    def tell(store: Store, error: float) -> None:
        for spec in specs:
            ready.wait()
            if store.write(complete(spec.key, error)):
                news.append((spec.key, error))

    threads = [threading.Thread(target=tell, args=(store, number / 4)) for number, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {record.key: record.test_error for record in stores[0].records()} == dict(news)
    assert len(news) == len(specs)


def test_signs_of_life_are_given_until_the_end_and_trouble_with_them_is_told_once(
    driver: Open, caplog: pytest.LogCaptureFixture
) -> None:
    store, other = driver(), driver()
    beats, enough, troubled = [0], threading.Event(), Claims.beat

    def counted(claims: Claims) -> None:
        beats[0] += 1
        if beats[0] in (2, 3):
            raise InputError("the server is gone")
        troubled(claims)
        if beats[0] > 4:
            enough.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Claims, "beat", counted)
        with living(store.claims, "anvil:7:x", None, every=0.001):
            assert enough.wait(60)
            assert other.claims.others() == ["anvil:7:x"]
    assert other.claims.others() == []
    assert caplog.text.count("no sign of life could be given (the server is gone)") == 1


def test_a_driver_that_lives_is_not_joined_in_a_search_and_is_named(driver: Open) -> None:
    first, second = driver(), driver()
    first.claims.driver = "anvil:77:x"
    first.claims.beat()
    told: list[str] = []

    def meanwhile(_: float) -> None:
        first.claims.beat()

    with pytest.raises(InputError, match="process 77 on anvil drives this search already, and a search has one driver"):
        second.claims.alone(told=told.append, wait=meanwhile)
    assert told == ["process 77 on anvil drove this search; waiting 60 s for a sign of life from it"]
    assert first.claims.others() == [], "who was refused is no driver"


def test_a_search_goes_on_alone_when_the_driver_before_has_been_silent_for_long_enough(
    driver: Open, clock: Clock
) -> None:
    first, second = driver(), driver()
    first.claims.beat()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.now += seconds

    second.claims.alone(told=lambda _: None, wait=wait)
    assert sum(waits) == second.claims.lease


def test_a_driver_is_named_by_its_host_and_process() -> None:
    assert new_driver() != new_driver()
    assert shown("anvil:7:0123") == "process 7 on anvil"
    assert shown("::1:7:0123") == "process 7 on ::1"
