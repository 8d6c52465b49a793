"""Unfinished trials are run, and every event is stored at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from power import watched
from sweeping import Listed, sweep

from search.running import inline
from search.running.feed import Feed, unfinished
from search.running.feed import Runner as SweepRunner
from search.store.store import Store
from search.trials.events import FINISHED, Epoch, Event, Finished, Started, Status
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.at(tmp_path)
    yield store
    store.close()


@pytest.fixture(scope="module")
def specs(trial: Trial) -> list[TrialSpec]:
    return [trial(seed=seed, epochs=1) for seed in range(4)]


class Runner:
    """A runner that completes every trial immediately, and records which."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __call__(self, feed: Feed) -> None:
        while job := feed.next():
            for spec in job.trials:
                self.done.append(spec.key)
                feed.tell([Started(spec.key, "host", "cpu")])
                feed.tell([Epoch(spec.key, 1, 7, 0.1, 2.0, 0.5, 0.5, 1.0, 200.0)])
                feed.tell([Finished(spec.key, "complete", test_error=spec.seed / 10)])


def singly(specs: Sequence[TrialSpec]) -> list[Job]:
    return [Job(trials=(spec,)) for spec in specs]


def ignore(_: Event) -> None:
    """No display."""


def test_a_run_ends_with_every_trial_stored(store: Store, specs: list[TrialSpec]) -> None:
    runner, told = Runner(), list[Event]()
    sweep(singly(specs), store, runner, told.append)
    assert store.counts()["complete"] == 4
    assert runner.done == [spec.key for spec in specs], "in the order given"
    assert len(told) == 12
    assert {record.seed: record.test_error for record in store.records()} == {0: 0.0, 1: 0.1, 2: 0.2, 3: 0.3}


def test_finished_trials_are_not_repeated(store: Store, specs: list[TrialSpec]) -> None:
    sweep(singly(specs[:2]), store, Runner(), ignore)
    before, runner = store.records(), Runner()
    sweep(singly(specs), store, runner, ignore)
    assert runner.done == [spec.key for spec in specs[2:]]
    assert [record for record in store.records() if record in before] == before


def test_a_run_with_nothing_to_do_starts_no_runner(store: Store, specs: list[TrialSpec]) -> None:
    sweep(singly(specs), store, Runner(), ignore)
    sweep(singly(specs), store, lambda *_: pytest.fail("started"), ignore)


@pytest.mark.parametrize("status", FINISHED)
def test_a_trial_with_any_end_is_not_repeated(status: Status, store: Store, specs: list[TrialSpec]) -> None:
    store.add(specs[:1])
    store.write([Finished(specs[0].key, status, "why")])
    assert unfinished(singly(specs[:2]), store) == singly(specs[1:2])


def test_running_trials_of_a_dead_driver_are_run_again(store: Store, specs: list[TrialSpec]) -> None:
    store.add(specs)
    store.write([Started(specs[0].key, "host", "cpu")])
    runner = Runner()
    sweep(singly(specs[:1]), store, runner, ignore)
    assert runner.done == [specs[0].key]
    (record,) = store.records([specs[0].key])
    assert (record.status, record.attempts) == ("complete", 2)


def test_running_trials_of_a_dead_driver_wait_while_the_runner_starts(store: Store, specs: list[TrialSpec]) -> None:
    store.add(specs[:2])
    store.write([Started(specs[0].key, "host", "cpu")])
    counts: list[dict[str, int]] = []
    sweep(singly(specs[:2]), store, lambda *_: counts.append(store.counts()), ignore)
    assert (counts[0]["running"], counts[0]["waiting"]) == (0, 2)


def test_a_job_with_some_finished_seeds_runs_the_others(store: Store, specs: list[TrialSpec]) -> None:
    jobs = [Job(trials=tuple(specs[:3])), Job(trials=tuple(specs[3:]))]
    store.add(specs)
    store.write([Finished(specs[1].key, "complete", test_error=0.5)])
    assert unfinished(jobs, store) == [Job(trials=(specs[0], specs[2])), jobs[1]]
    runner = Runner()
    sweep(jobs, store, runner, ignore)
    assert runner.done == [specs[0].key, specs[2].key, specs[3].key]
    (kept,) = store.records([specs[1].key])
    assert kept.test_error == 0.5


def test_only_new_events_are_reported(store: Store, specs: list[TrialSpec]) -> None:
    def twice(feed: Feed) -> None:
        job = feed.next()
        assert job
        for _ in range(2):
            Runner()(Listed([job], lambda event: feed.tell([event])))

    told: list[Event] = []
    sweep(singly(specs[:1]), store, twice, told.append)
    assert len(told) == 3


def test_an_event_is_stored_before_it_is_reported(store: Store, specs: list[TrialSpec]) -> None:
    statuses: list[str] = []
    sweep(singly(specs[:1]), store, Runner(), lambda _: statuses.append(store.records()[0].status))
    assert statuses == ["running", "running", "complete"]


@pytest.mark.parametrize("error", [RuntimeError("cluster gone"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_a_runner_that_raises_leaves_the_store_readable(
    error: BaseException, store: Store, specs: list[TrialSpec], tmp_path: Path
) -> None:
    def dies(feed: Feed) -> None:
        first, second = feed.next(), feed.next()
        assert first
        assert second
        Runner()(Listed([first], lambda event: feed.tell([event])))
        feed.tell([Started(second.trials[0].key, "host", "cpu")])
        raise error

    with pytest.raises(type(error)):
        sweep(singly(specs), store, dies, ignore)
    other = Store.at(tmp_path)
    counts = other.counts()
    other.close()
    assert (counts["complete"], counts["running"], counts["waiting"]) == (1, 1, 2)
    runner = Runner()
    sweep(singly(specs), store, runner, ignore)
    assert runner.done == [spec.key for spec in specs[1:]]


def test_a_run_stopped_inline_and_resumed_has_the_numbers_of_an_undisturbed_one(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    jobs = singly([trial(seed=seed, epochs=3) for seed in range(2)])

    def runner(folder: str) -> SweepRunner:
        return partial(inline.run, resources=Resources(), checkpoints=tmp_path / folder)

    def interrupt(event: Event) -> None:
        if isinstance(event, Epoch) and event.key == jobs[1].trials[0].key and event.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(jobs, store, runner("a"), interrupt)
    again: list[Event] = []
    sweep(jobs, store, runner("a"), again.append)
    assert {event.key for event in again} == {jobs[1].trials[0].key}
    assert isinstance(again[0], Started)
    assert again[0].step == 14
    (tmp_path / "whole").mkdir()
    whole = Store.at(tmp_path / "whole")
    sweep(jobs, whole, runner("b"), ignore)
    columns = ["key", "epoch", "loss", "train_error", "validation_error"]
    assert store.curves()[columns].equals(whole.curves()[columns])
    assert store.frame()["test_error"].equals(whole.frame()["test_error"])
    whole.close()


def test_a_resume_after_a_power_cut_tells_the_epochs_again_that_the_store_has_lost(
    store: Store, trial: Trial, tmp_path: Path
) -> None:
    """Checkpoints are synced by those who write them, so the store can be epochs behind them."""
    (job,) = singly([trial(epochs=4)])
    runner = partial(inline.run, resources=Resources(checkpoint_seconds=0), checkpoints=tmp_path / "checkpoints")

    def interrupt(event: Event) -> None:
        if isinstance(event, Epoch) and event.epoch == 3:
            raise KeyboardInterrupt

    with watched(store, tmp_path / "after") as disk, pytest.raises(KeyboardInterrupt):
        sweep([job], store, runner, interrupt)
    before = store.curves()
    assert before["epoch"].tolist() == [1, 2, 3]
    left = disk.cut()
    assert left.counts()["running"] == 1, "its start was waited for"
    assert left.curves().empty
    again: list[Event] = []
    sweep([job], left, runner, again.append)
    assert isinstance(again[0], Started)
    assert again[0].step == 21, "from the checkpoint of its third epoch"
    assert left.curves()[:3].equals(before), "the same epochs, which were not trained again"
    assert left.curves()["epoch"].tolist() == [1, 2, 3, 4]
    assert left.counts()["complete"] == 1
    left.close()
