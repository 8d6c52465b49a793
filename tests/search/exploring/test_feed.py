"""A search feed: proposals, early stopping, events, confirmation and resuming."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from power import watched

from resnet_space import complexity
from search.data import Images
from search.exploring.feed import SearchFeed
from search.exploring.plan import SearchPlan
from search.exploring.run import SearchRun
from search.exploring.study import Search
from search.files.folder import RunFolder
from search.fronts.front import front
from search.running.progress import Progress
from search.store.store import Store
from search.trials.events import FINISHED, Epoch, Event, Finished, Started
from search.trials.record import TrialRecord
from search.trials.trial import TrialSpec

SPACE: dict[str, Any] = {
    "base": "resnet20",
    "set": {"width": 0.25},
    "axes": {f"stages.{stage}.units": [1, 2, 3] for stage in range(3)},
}

Fate = Callable[[TrialSpec, int], Event]
"""The event that a worker reports for a trial and an epoch."""


def study(**changes: Any) -> Search:
    whole = {
        "name": "try",
        "kind": "search",
        "space": SPACE,
        "budget": {"trials": 8},
        "sampler": "random",
        "confirm": 0,
        "data": {"name": "digits", "limit": 200},
        "recipe": {"base": "digits", "epochs": 9},
    }
    return Search.of(whole | changes)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.at(tmp_path)
    yield store
    store.close()


def explore(study: Search, images: Images, store: Store) -> SearchFeed:
    plan = SearchPlan.of(study, images)
    total, already = plan.count_trials(store)
    return SearchFeed(plan, store, Progress(total=total, already=already, steps=plan.steps))


def luck(spec: TrialSpec) -> float:
    """A number between 0 and 1, uniformly distributed, from network and seed."""
    return int(sha256(spec.key.encode()).hexdigest()[:8], 16) / 16**8


def well(spec: TrialSpec, epoch: int, epochs: int = 9) -> Event:
    """Errors that fall over the epochs; the last one is smaller for more MACs, and depends on the seed."""
    error = 1e4 / complexity(spec.architecture).macs + luck(spec) / 100 + 0.5 * (1 - epoch / epochs)
    if epoch > epochs:
        return Finished(spec.key, "complete", test_error=error, validation_error=error, latency_ms=1.0, seconds=1.0)
    return Epoch(spec.key, epoch, 7 * epoch, 0.1, 1.0, error, error, 1.0, 200.0)


def drive(feed: SearchFeed, fate: Fate = well, *, at_once: int = 1, stop_after: float = math.inf) -> list[TrialSpec]:
    """Run a feed's jobs as `at_once` workers would, one event of each in turn; return the trials in order of starts."""
    begun: list[TrialSpec] = []
    running: dict[str, tuple[TrialSpec, int]] = {}
    told = 0
    while True:
        while len(running) < at_once and (job := feed.next()):
            (spec,) = job.trials
            begun.append(spec)
            feed.tell([Started(spec.key, "host", "cpu")])
            running[spec.key] = spec, 1
        if not running:
            assert feed.over
            return begun
        for key, (spec, epoch) in list(running.items()):
            event = fate(spec, epoch)
            stopped = feed.tell([event])
            told += 1
            if told >= stop_after:
                return begun
            if stopped or isinstance(event, Finished):
                del running[key]
            else:
                running[key] = spec, epoch + 1


def numbered(records: list[TrialRecord]) -> list[TrialRecord]:
    asked = [record for record in records if record.proposal]
    return sorted(asked, key=lambda record: (record.proposal or {})["number"])


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_search_starts_as_many_trials_as_its_budget_allows(at_once: int, digits: Images, store: Store) -> None:
    begun = drive(explore(study(), digits, store), at_once=at_once)
    assert len(begun) == len({spec.architecture.key for spec in begun}) == 8
    assert store.counts()["complete"] == 8


def test_a_space_that_is_exhausted_ends_the_search(digits: Images, store: Store) -> None:
    begun = drive(explore(study(budget={"trials": 100}), digits, store))
    assert len({spec.architecture.key for spec in begun}) == len(begun) == 27


def test_hours_end_a_search_too(digits: Images, store: Store) -> None:
    begun = drive(explore(study(budget={"device_hours": 20 / 3600}), digits, store))
    assert len(begun) == 3, "nine epochs of a second each: the third trial passes 20 s"


def test_a_network_over_a_cost_limit_is_never_trained_and_stored_as_infeasible(digits: Images, store: Store) -> None:
    limit = 120_000
    begun = drive(explore(study(constraints=[f"macs <= {limit}"], budget={"trials": 100}), digits, store))
    assert begun
    assert all(complexity(spec.architecture).macs <= limit for spec in begun)
    refused = [record for record in store.records() if record.status == "infeasible"]
    assert refused
    assert all(record.macs > limit and record.attempts == 0 for record in refused)
    assert all(f"macs <= {limit}" in record.reason for record in refused)


def test_every_network_of_the_final_front_is_confirmed_with_fresh_seeds(digits: Images, store: Store) -> None:
    wanted = study(confirm=2)
    begun = drive(explore(wanted, digits, store), at_once=2)
    assert {spec.seed for spec in begun[:8]} == {0}
    assert {spec.seed for spec in begun[8:]} == {1, 2}
    points = front(store.results(), wanted.objectives, seeds=wanted.confirmation_seeds)
    assert points
    assert all(point.confirmed and point.n == 2 for point in points)


def test_a_network_that_diverges_when_it_is_confirmed_is_tried_once(digits: Images, store: Store) -> None:
    def fate(spec: TrialSpec, epoch: int) -> Event:
        return Finished(spec.key, "diverged", "loss is nan at step 3") if spec.seed else well(spec, epoch)

    begun = drive(explore(study(confirm=1), digits, store), fate)
    assert max(Counter(spec.key for spec in begun).values()) == 1
    assert not any(point.confirmed for point in front(store.results(), "error,macs", seeds=[1]))


def test_a_finished_search_has_nothing_to_do(digits: Images, store: Store) -> None:
    assert not explore(study(confirm=1), digits, store).idle
    drive(explore(study(confirm=1), digits, store))
    before = store.records()
    assert explore(study(confirm=1), digits, store).idle
    assert store.records() == before


@pytest.mark.parametrize("sampler", ["random", "tpe", "local"])
@pytest.mark.parametrize("stop_after", [5, 33, 70])
def test_an_interrupted_search_resumes_as_if_undisturbed(
    sampler: str, stop_after: int, digits: Images, store: Store, tmp_path: Path
) -> None:
    wanted = study(sampler=sampler, stopping={"kind": "mo_asha", "grace": 1}, confirm=1)
    (tmp_path / "whole").mkdir()
    whole = Store.at(tmp_path / "whole")
    drive(explore(wanted, digits, whole))
    drive(explore(wanted, digits, store), stop_after=stop_after)
    drive(explore(wanted, digits, store))
    ends = [(r.key, r.status, r.reason, r.proposal) for r in whole.records()]
    assert [(r.key, r.status, r.reason, r.proposal) for r in store.records()] == ends
    whole.close()


@pytest.mark.parametrize("stop_after", [5, 18, 35])
def test_a_search_resumes_after_a_power_cut_as_if_undisturbed(
    stop_after: int, digits: Images, store: Store, tmp_path: Path
) -> None:
    wanted = study(sampler="local", stopping={"kind": "mo_asha", "grace": 1}, confirm=1)
    (tmp_path / "whole").mkdir()
    whole = Store.at(tmp_path / "whole")
    drive(explore(wanted, digits, whole))
    with watched(store, tmp_path / "after") as disk:
        drive(explore(wanted, digits, store), stop_after=stop_after)
    left = disk.cut()
    ended = [record for record in store.records() if record.status in FINISHED]
    assert [record for record in left.records() if record.status in FINISHED] == ended, "no end is lost"
    assert len(left.curves()) < len(store.curves()), "epochs are"
    drive(explore(wanted, digits, left))
    ends = [(r.key, r.status, r.reason, r.proposal) for r in whole.records()]
    assert [(r.key, r.status, r.reason, r.proposal) for r in left.records()] == ends
    left.close()
    whole.close()


def test_a_larger_budget_continues_after_the_smaller_one(digits: Images, store: Store) -> None:
    first = drive(explore(study(budget={"trials": 4}), digits, store))
    more = drive(explore(study(budget={"trials": 8}), digits, store))
    assert not {spec.key for spec in first} & {spec.key for spec in more}
    assert len(more) == 4


def test_another_space_keeps_the_trials_it_still_has_and_sets_the_others_aside(digits: Images, store: Store) -> None:
    drive(explore(study(budget={"trials": 27}), digits, store))
    axes = SPACE["axes"] | {"stages.0.units": [1, 2]}
    smaller = study(space={**SPACE, "axes": axes}, budget={"trials": 27})
    assert drive(explore(smaller, digits, store)) == []
    assert len(store.results()) == 18
    assert store.counts()["complete"] == 18
    drive(explore(study(budget={"trials": 27}), digits, store))
    assert len(store.results()) == 27, "and back again"


def test_removing_a_constraint_allows_the_networks_it_refused(digits: Images, store: Store) -> None:
    drive(explore(study(constraints=["macs <= 120000"], budget={"trials": 27}), digits, store))
    assert store.counts()["infeasible"]
    drive(explore(study(budget={"trials": 27}), digits, store))
    assert store.counts()["complete"] == 27
    assert store.counts()["infeasible"] == 0


def test_trials_that_confirmed_count_when_more_replicates_ask_for_them(digits: Images, store: Store) -> None:
    drive(explore(study(confirm=1, budget={"trials": 27}), digits, store))
    before = store.counts()["complete"]
    begun = drive(explore(study(replicates=2, budget={"trials": 54}), digits, store))
    assert before + len(begun) == store.counts()["complete"] == 54


def test_constraints_on_results_hold_on_the_front_and_not_before(digits: Images, store: Store) -> None:
    wanted = study(constraints=["error <= 0.05"], budget={"trials": 27})
    assert len(drive(explore(wanted, digits, store))) == 27
    run = SearchRun.of(wanted, RunFolder(Path()), store)
    assert run.front
    assert all(point.error <= 0.05 for point in run.front)


def test_pruned_trials_are_stored_with_their_rung_and_are_on_no_front(digits: Images, store: Store) -> None:
    wanted = study(stopping={"kind": "asha", "grace": 1, "reduction": 3}, budget={"trials": 27})
    drive(explore(wanted, digits, store), at_once=3)
    pruned = [record for record in store.records() if record.status == "pruned"]
    assert pruned
    assert all("epoch 1 of 9" in record.reason or "epoch 3 of 9" in record.reason for record in pruned)
    run = SearchRun.of(wanted, RunFolder(Path()), store)
    assert not {point.key for point in run.front} & {record.architecture for record in pruned}
    assert set(run.stopped_at.values()) <= {1, 3}
    assert 0 < run.saved.fraction < 1


def test_trials_are_stopped_only_at_epochs_that_their_jobs_name(digits: Images, store: Store) -> None:
    """A worker waits for the feed's answer at these, and nowhere else."""
    stopping = {"kind": "asha", "grace": 1, "reduction": 2}
    feed = explore(study(stopping=stopping, budget={"trials": 12}, confirm=2), digits, store)
    stops = list[int]()
    while job := feed.next():
        (spec,), proposed = job.trials, bool(feed.proposals.get(job.trials[0].key))
        assert job.judged == ((1, 2, 4, 8) if proposed else ()), "a confirming trial is never stopped"
        feed.tell([Started(spec.key, "host", "cpu")])
        for number in range(1, 11):
            if feed.tell([well(spec, number)]):
                assert number in job.judged
                stops.append(number)
                break
    assert len(set(stops)) > 1


def test_events_of_a_trial_after_it_was_stopped_change_nothing(digits: Images, store: Store) -> None:
    wanted = study(stopping={"kind": "asha", "grace": 1, "reduction": 2}, budget={"trials": 27})
    feed = explore(wanted, digits, store)
    drive(feed, at_once=2)
    pruned = next(record for record in store.records() if record.status == "pruned")
    spec = TrialSpec.of(pruned.spec)
    assert feed.tell([well(spec, 5)]) == {spec.key}, "stop it again"
    feed.tell([well(spec, 10)])
    assert [record for record in store.records() if record.key == spec.key] == [pruned]


def test_events_told_together_are_judged_one_after_another(digits: Images, store: Store, tmp_path: Path) -> None:
    """A worker can be epochs ahead of the decision to stop its trial: the search is as if it had stopped at once."""
    wanted = study(stopping={"kind": "asha", "grace": 1, "reduction": 2}, budget={"trials": 27})
    (tmp_path / "at once").mkdir()
    at_once = Store.at(tmp_path / "at once")
    drive(explore(wanted, digits, at_once))
    feed = explore(wanted, digits, store)
    while job := feed.next():
        (spec,) = job.trials
        ran = [well(spec, number) for number in range(1, 11)]
        stopped = feed.tell([Started(spec.key, "host", "cpu"), *ran])
        assert not feed.running
        (record,) = store.records([spec.key])
        assert stopped == ({spec.key} if record.status == "pruned" else set())
    ends = [(r.key, r.status, r.reason, r.seconds, r.proposal) for r in store.records()]
    assert ends == [(r.key, r.status, r.reason, r.seconds, r.proposal) for r in at_once.records()]
    assert {status for _, status, *_ in ends} == {"pruned", "complete"}
    assert store.curves().equals(at_once.curves())
    at_once.close()


def test_the_training_time_of_a_stopped_trial_is_the_sum_over_its_epochs(digits: Images, store: Store) -> None:
    feed = explore(study(stopping={"kind": "asha", "grace": 2, "reduction": 1.5}), digits, store)
    for number in range(8):
        job = feed.next()
        assert job
        key = job.trials[0].key
        # A resumed trial reports its first epoch again.
        told = [Epoch(key, epoch, 7, 0.1, 1.0, 0.5, number / 10, 1.5, 200.0) for epoch in (1, 1, 2)]
        feed.tell([Started(key, "host", "cpu"), *told])
    seconds = {record.seconds for record in store.records() if record.status == "pruned"}
    assert seconds == {3.0}


def test_the_sampler_does_not_learn_what_a_stopped_trial_reports_later(
    digits: Images, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = explore(study(stopping={"kind": "asha", "grace": 1, "reduction": 2}, budget={"trials": 27}), digits, store)
    drive(feed, at_once=2)
    pruned = next(record for record in store.records() if record.status == "pruned")
    monkeypatch.setattr(feed.sampler, "tell", lambda *_: pytest.fail("told"))
    before, curves = store.records(), store.curves()
    spec = TrialSpec.of(pruned.spec)
    assert feed.tell([well(spec, 5), well(spec, 10)]) == {spec.key}
    assert feed.tell([well(spec, 10)]) == set(), "nothing is left to stop"
    assert store.records() == before
    assert store.curves().equals(curves)


@pytest.mark.long
def test_of_two_thousand_trials_that_end_in_every_way_none_is_in_a_wrong_state(digits: Images, store: Store) -> None:
    """A tenth have NaN, a tenth are lost, a tenth are stopped early. Four run at a time, and the run is interrupted."""
    axes = {f"stages.{stage}.units": {"low": 1, "high": 13} for stage in range(3)}
    wanted = study(
        space={**SPACE, "axes": axes},
        sampler="random",
        budget={"trials": 2000},
        stopping={"kind": "asha", "grace": 1, "reduction": 1.125},
        recipe={"base": "digits", "epochs": 2},
        confirm=1,
    )
    fates: dict[str, str] = {}

    def fate(spec: TrialSpec, epoch: int) -> Event:
        share = 0.5 if spec.seed else luck(spec)
        if share < 0.1:
            fates[spec.key] = "diverged"
            return Finished(spec.key, "diverged", "loss is nan at step 3")
        if share < 0.2:
            fates[spec.key] = "failed"
            return Finished(spec.key, "failed", "worker lost 3 times: killed")
        fates[spec.key] = "complete"
        return well(spec, epoch, epochs=2)

    drive(explore(wanted, digits, store), fate, at_once=4, stop_after=2500)
    feed = explore(wanted, digits, store)
    drive(feed, fate, at_once=4)
    records = store.records()
    searched = numbered(records)
    assert len(searched) == 2000
    assert len({record.architecture for record in searched}) == 2000
    ends = Counter(record.status for record in searched)
    assert ends["diverged"] == pytest.approx(200, abs=50)
    assert ends["failed"] == pytest.approx(200, abs=50)
    assert ends["pruned"] == pytest.approx(200, abs=100)
    assert set(ends) == {"diverged", "failed", "pruned", "complete"}
    for record in records:
        expected = {"complete", "pruned"} if fates[record.key] == "complete" else {fates[record.key]}
        assert record.status in expected
        assert (record.test_error is not None) == (record.status == "complete")
        assert record.status == "complete" or not record.proposal or record.reason
    assert not feed.running


def test_trials_of_another_recipe_are_not_counted_and_change_nothing(
    digits: Images, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "alone").mkdir()
    alone = Store.at(tmp_path / "alone")
    undisturbed = drive(explore(study(confirm=1), digits, alone))
    run = SearchRun.of(study(confirm=1), RunFolder(tmp_path / "alone"), alone)
    alone.close()

    def perfect(spec: TrialSpec, epoch: int) -> Event:
        return Finished(spec.key, "complete", test_error=0.0, validation_error=0.0, latency_ms=1.0, seconds=1.0)

    others = drive(explore(study(recipe={"base": "digits", "epochs": 8}), digits, store), perfect)
    plan = SearchPlan.of(study(confirm=1), digits)
    assert plan.count_trials(store) == (8, 0)
    assert drive(explore(study(confirm=1), digits, store)) == undisturbed
    beside = SearchRun.of(study(confirm=1), RunFolder(tmp_path), store)
    assert [point.key for point in beside.front] == [point.key for point in run.front]
    assert beside.counts == run.counts
    assert (run.others, beside.others) == (0, len(others))
