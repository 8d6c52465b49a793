"""How many workers are started, and when starting them is given up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clocks import Clock

from search.running.ray.messages import AllLost
from search.running.ray.workforce import MAX_FAILED_STARTS, Demand, WorkerSearcher, Workforce
from search.trials.resources import Resources


def started(searcher: WorkerSearcher) -> int:
    """Suggest as Tune does, until there is nothing more, and return the number of workers."""
    number = 0
    while searcher.suggest(f"{len(searcher.workers)}-{number}") is not None:
        number += 1
        assert number < 1000
    return len(searcher.workers)


def test_as_many_workers_as_places_start_at_once() -> None:
    assert started(WorkerSearcher(Demand(lambda: 4, spare=0))) == 4


def test_another_one_waits_for_a_place_on_a_cluster_that_can_grow() -> None:
    assert started(WorkerSearcher(Demand(lambda: 4, spare=1))) == 5


def test_a_node_that_joins_gets_workers(clock: Clock) -> None:
    places = [2]
    searcher = WorkerSearcher(Demand(lambda: places[0], spare=0, clock=clock))
    assert started(searcher) == 2
    places[0] = 6
    assert started(searcher) == 2, "the places are counted once a second"
    clock.now += 1
    assert started(searcher) == 6


def test_a_lost_worker_is_replaced(clock: Clock) -> None:
    searcher = WorkerSearcher(Demand(lambda: 2, spare=0, clock=clock))
    assert started(searcher) == 2
    lost = next(iter(searcher.workers))
    searcher.on_trial_complete(lost, error=True)
    assert started(searcher) == 2
    assert lost not in searcher.workers


def test_a_worker_on_an_unfit_node_keeps_its_place_and_does_not_count() -> None:
    demand = Demand(lambda: 2, spare=0)
    searcher = WorkerSearcher(demand)
    started(searcher)
    demand.unfit.add(next(iter(searcher.workers)))
    assert started(searcher) == 3


def test_when_the_run_is_over_none_starts() -> None:
    demand = Demand(lambda: 2, spare=0)
    demand.over = True
    searcher = WorkerSearcher(demand)
    assert searcher.suggest("a") == searcher.FINISHED


def test_attempts_to_start_are_further_and_further_apart_until_one_succeeds(clock: Clock) -> None:
    demand = Demand(lambda: 2, spare=0, clock=clock)
    pauses = []
    for _ in range(12):
        demand.note_failed_start()
        pause = 0
        while not demand.wants(1):
            clock.now += 1
            pause += 1
        pauses.append(pause)
    assert pauses == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    demand.note_start()
    demand.note_failed_start()
    assert demand.wants(1)


def test_starting_is_hopeless_if_every_place_and_one_of_them_often_has_failed() -> None:
    demand = Demand(lambda: 4, spare=0)
    for _ in range(4 + MAX_FAILED_STARTS - 2):
        demand.note_failed_start()
        assert not demand.hopeless
    demand.note_failed_start()
    assert demand.hopeless
    demand.note_start()
    assert not demand.hopeless


class Posted:
    """An exchange that keeps what is posted to it; so is its method `post`, as Ray's handles have it."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.post = self

    def remote(self, message: Any) -> None:
        self.messages.append(message)


def test_tune_is_started_again_if_a_lack_of_memory_has_ended_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tune handles the end of a worker's process, but not this reason for it."""
    from ray.exceptions import OutOfMemoryError

    demand, fits = Demand(lambda: 2, spare=0), list[str]()

    def fit(self: Workforce, scratch: str) -> None:
        fits.append(scratch)
        if len(fits) == 1:
            raise RuntimeError("Caught unexpected exception") from OutOfMemoryError(
                "1 worker was killed\n\n more lines"
            )
        demand.over = True

    monkeypatch.setattr(Workforce, "_fit", fit)
    exchange = Posted()
    workforce = Workforce(demand, exchange, resources=Resources(), checkpoints=tmp_path, work=None)
    workforce._thread.start()
    workforce._thread.join(30)
    workforce.check()
    assert len(fits) == 2
    assert exchange.messages == [AllLost(("1 worker was killed", "more lines"))]


def test_another_error_of_tune_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(self: Workforce, scratch: str) -> None:
        raise RuntimeError("another reason")

    monkeypatch.setattr(Workforce, "_fit", fit)
    demand = Demand(lambda: 2, spare=0)
    workforce = Workforce(demand, None, resources=Resources(), checkpoints=tmp_path, work=None)
    workforce._thread.start()
    workforce._thread.join(30)
    with pytest.raises(RuntimeError, match="another reason"):
        workforce.check()
