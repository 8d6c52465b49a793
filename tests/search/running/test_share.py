"""Two drivers share jobs: each runs what the other does not hold, and waits for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from clocks import Clock
from sweeping import Listed, sweep

from search.running.feed import Feed
from search.running.share import PAUSE_SECONDS, Share
from search.store.store import Store
from search.trials.events import Event, Finished, Started
from search.trials.trial import Job, TrialSpec

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


def does(store: Store, done: list[str]) -> Callable[[Feed], None]:
    """A runner that completes every job of its feed, and records which."""

    def run(feed: Feed) -> None:
        while job := feed.next():
            for spec in job.trials:
                done.append(spec.key)
                feed.tell([Started(spec.key, "host", "cpu")])
                feed.tell([complete(spec.key)])

    return run


def ignore(_: Event) -> None:
    """No display."""


def test_two_drivers_at_the_same_time_run_each_trial_once(driver: Open, specs: list[TrialSpec]) -> None:
    first, second = driver(), driver()
    jobs = [Job(trials=tuple(specs[begin : begin + 2])) for begin in (0, 2, 4)]
    done: list[str] = []

    def half_way(feed: Feed) -> None:
        job = feed.next()
        assert job
        sweep(jobs, second, does(second, done), ignore)
        assert sorted(done) == sorted(spec.key for spec in specs[2:]), "all except those that the first holds"
        does(first, done)(Listed([job], lambda event: feed.tell([event])))
        assert feed.next() is None

    sweep(jobs, first, half_way, ignore)
    assert Counter(done) == dict.fromkeys((spec.key for spec in specs), 1)
    assert first.counts()["complete"] == len(specs)


def test_trials_of_another_driver_are_waited_for_and_claimed_if_it_dies(
    driver: Open, specs: list[TrialSpec], keys: list[str], clock: Clock
) -> None:
    first, second = driver(), driver()
    first.claims.driver = "anvil:77:x"
    first.add(specs)
    first.claim(keys[:3])
    notes: list[str] = []
    ended: list[int] = []
    share = Share(second, note=notes.append, ended=ended.append, clock=clock)
    feed = Listed([Job(trials=tuple(specs))], ignore, share, second)
    job = feed.next()
    assert job
    assert job.trials == tuple(specs[3:])
    assert feed.next() is None
    assert not feed.over
    where = "held by another driver (process 77 on anvil); this one waits for them when it has nothing else to do"
    assert notes == [f"3 trials are {where}"]

    first.write([complete(keys[0])])
    assert feed.next() is None
    assert ended == [], "not looked for at every call"
    clock.now += PAUSE_SECONDS
    assert feed.next() is None
    assert (ended, len(notes)) == ([1], 1)

    clock.now += second.claims.lease
    taken = [feed.next(), feed.next()]
    assert [job.trials for job in taken if job] == [(specs[1],), (specs[2],)]
    assert feed.next() is None
    assert feed.over
