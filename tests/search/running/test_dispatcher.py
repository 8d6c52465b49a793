"""What the driver does with the messages of its workers, without the processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sweeping import Listed

from resnet_space.errors import InputError
from search.running.ray.attempts import Retries
from search.running.ray.dispatcher import Dispatcher
from search.running.ray.messages import AllLost, Joined, Lost, Reply, Report
from search.running.ray.workforce import MAX_FAILED_STARTS, Demand
from search.trials.events import Epoch, Event, Finished, Notice, Started
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]

GONE = Lost("a", ("The actor died unexpectedly.",))


@dataclass
class Force:
    """A workforce whose workers send what a test says."""

    demand: Demand = field(default_factory=lambda: Demand(lambda: 2, spare=0))

    def check(self) -> None:
        """Tune is not needed."""


@dataclass
class Office:
    """A dispatcher with its feed, and what both have said."""

    jobs: Sequence[Job]
    folder: Path
    retries: int = 1
    events: list[Event] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    stop: set[str] = field(default_factory=set)
    unfit: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        office = self

        class Stopping(Listed):
            def tell(self, events: Sequence[Event]) -> set[str]:
                return super().tell(events) | office.stop

        self.dispatcher = Dispatcher(
            Stopping(self.jobs, self.events.append),
            None,
            Force(),  # type: ignore[arg-type]
            Retries(Resources(retries=self.retries), self.folder),
            is_fit=lambda joined: joined.worker not in self.unfit,
            say=self.said.append,
        )

    def hear(self, *messages: Joined | Report | Lost | AllLost) -> dict[str, Reply]:
        """Return the replies and orders to these messages."""
        self.dispatcher.handle(messages)
        sent = {**self.dispatcher.replies, **self.dispatcher.orders}
        self.dispatcher.replies, self.dispatcher.orders = {}, {}
        return sent

    def begin(self, worker: str) -> Job:
        """Let a worker start, and return its first job."""
        assert self.hear(Joined(worker, "n", {}, f"{worker}0")) == {worker: Reply()}
        return job_of(self.hear(Report(worker, needs_job=True))[worker])


def job_of(reply: Reply) -> Job:
    assert reply.job
    return Job.from_json(reply.job)


def ended(spec: TrialSpec) -> Finished:
    return Finished(spec.key, "complete", "", 0.5, 0.5)


def epoch(spec: TrialSpec, number: int) -> Epoch:
    return Epoch(spec.key, number, number, 0.1, 2.0, 0.5, 0.5, 1.0, 200.0)


@pytest.fixture
def office(trial: Trial, tmp_path: Path) -> Office:
    """Two jobs: one of three trials, one of a single one."""
    return Office([Job(trials=tuple(trial(seed=seed) for seed in range(3))), Job(trials=(trial(seed=3),))], tmp_path)


def test_jobs_are_given_out_in_order_until_none_is_left(office: Office) -> None:
    assert office.begin("a") == office.jobs[0]
    assert office.begin("b") == office.jobs[1]
    assert office.hear(Report("a", (), needs_job=True)) == {}, "it waits: the other job can come back"
    assert not office.dispatcher.over
    assert office.hear(Report("b", (), needs_job=True)) == {}
    assert office.dispatcher.over


def test_events_of_all_workers_are_reported_in_order_and_answered(office: Office) -> None:
    first, second = office.begin("a"), office.begin("b")
    told = [
        Report("a", (Started(first.trials[0].key, "h", "cpu"), epoch(first.trials[0], 1))),
        Report("b", (Started(second.trials[0].key, "h", "cpu"),)),
    ]
    assert office.hear(*told) == {"a": Reply(), "b": Reply()}
    assert office.events == [event for report in told for event in report.events]


def test_a_trial_that_is_to_stop_is_in_the_reply_or_if_its_worker_is_busy_in_an_order(office: Office) -> None:
    (one, *_), (other,) = office.begin("a").trials, office.begin("b").trials
    office.stop = {one.key, other.key, "of nobody"}
    office.dispatcher.handle([Report("a", (epoch(one, 1),))])
    assert office.dispatcher.replies == {"a": Reply(stop=frozenset({one.key}))}
    assert office.dispatcher.orders == {"b": Reply(stop=frozenset({other.key}))}


def test_the_unfinished_trials_of_a_lost_worker_go_to_the_next_one(office: Office) -> None:
    first = office.begin("a")
    office.hear(Report("a", (ended(first.trials[1]),)))
    office.hear(GONE)
    left = first.trials[::2]
    text = "its worker was lost, and is replaced: The actor died unexpectedly."
    assert [event for event in office.events if isinstance(event, Notice)] == [Notice(spec.key, text) for spec in left]
    again = office.begin("b")
    assert (again.trials, again.name) == (left, first.name)


def test_a_job_that_loses_too_many_workers_fails_with_the_reason(office: Office) -> None:
    office.begin("a")
    office.hear(GONE)
    office.begin("b")
    office.hear(Lost("b", GONE.error))
    ends = [event for event in office.events if isinstance(event, Finished)]
    reason = "worker lost 2 times: The actor died unexpectedly."
    assert ends == [Finished(spec.key, "failed", reason) for spec in office.jobs[0].trials]
    assert office.begin("c") == office.jobs[1], "its losses are counted for itself"


def test_a_worker_that_is_lost_after_all_its_trials_ended_takes_nothing_with_it(office: Office) -> None:
    first = office.begin("a")
    office.hear(Report("a", tuple(ended(spec) for spec in first.trials)))
    office.hear(GONE)
    assert all(isinstance(event, Finished) for event in office.events)
    second = office.begin("b")
    office.hear(Report("b", tuple(ended(spec) for spec in second.trials)))
    office.hear(Lost("b", GONE.error))
    assert office.dispatcher.over, "without a worker that asks for more"


def test_a_late_report_of_a_lost_worker_is_stored_and_gets_no_job(office: Office) -> None:
    first = office.begin("a")
    late = ended(first.trials[0])
    assert office.hear(GONE, Report("a", (late,), needs_job=True)) == {}
    assert late in office.events
    assert office.begin("b").trials == first.trials


def test_an_idle_worker_that_is_lost_gets_no_job(office: Office) -> None:
    office.hear(Joined("a", "n", {}), Joined("b", "n", {}))
    office.dispatcher.hurried = True
    office.hear(Report("a", needs_job=True), GONE, Report("b", needs_job=True))
    assert set(office.dispatcher.attempts) == {"b"}


def test_a_worker_on_an_unfit_node_gets_no_reply_and_no_job(office: Office) -> None:
    office.unfit = {"a"}
    assert office.hear(Joined("a", "n", {})) == {}
    assert office.dispatcher.workforce.demand.unfit == {"a"}
    office.hear(GONE)
    assert office.dispatcher.workforce.demand.unfit == set()
    assert office.dispatcher.workforce.demand.failed_starts == 0


def test_workers_that_are_lost_before_they_are_ready_end_the_run(office: Office) -> None:
    lost = [Lost(f"w{number}", ("No module named 'x'",)) for number in range(4)]
    office.hear(*(Joined(each.worker, "n", {}) for each in lost), *lost[:-1])
    with pytest.raises(InputError, match=r"^4 workers in a row were lost before they had started: No module named 'x'"):
        office.hear(lost[-1])
    assert office.events == []


def test_while_others_work_the_run_continues_with_them_and_this_is_said_once(office: Office) -> None:
    office.begin("a")
    for number in range(9):
        office.hear(Lost(f"w{number}", ("No module named 'x'",)))
    assert office.said == [
        "4 workers in a row were lost before they had started: No module named 'x'; the run continues with 1"
    ]


def memory(*actors: str) -> AllLost:
    """Ray's message about a lack of memory, as it writes it."""
    lines = [f"Selected to kill: (Actor({actor}): job ID=01000000, task name=W.__init__, pid=7)" for actor in actors]
    head = f"{len(actors)} worker(s) were killed due to the node running low on memory."
    return AllLost((head, "Considered workers: [", *lines, "]"))


def test_a_lack_of_memory_counts_only_for_the_job_of_the_worker_that_was_killed(office: Office) -> None:
    first, second = office.begin("a"), office.begin("b")
    office.hear(memory("a0"))
    assert {type(event) for event in office.events} == {Notice}
    assert {event.key for event in office.events} == {spec.key for spec in first.trials}
    assert not office.dispatcher.ready
    again = [office.begin("c"), office.begin("d")]
    assert sorted(job.name for job in again) == sorted([first.name, second.name])
    office.hear(memory("c0") if again[0].name == first.name else memory("d0"))
    failed = [event for event in office.events if isinstance(event, Finished)]
    assert {event.key for event in failed} == {spec.key for spec in first.trials}
    assert all(event.reason.startswith("out of memory: worker lost 2 times") for event in failed)
    assert office.begin("e").name == second.name


def test_a_blameless_worker_s_job_goes_on_with_its_unfinished_trials(office: Office) -> None:
    first = office.begin("a")
    office.begin("b")
    office.hear(Report("a", (ended(first.trials[0]),)))
    office.hear(memory("b0"))
    again = [office.begin("c"), office.begin("d")]
    (left,) = [job for job in again if job.name == first.name]
    assert left.trials == first.trials[1:]


def test_workers_that_are_killed_again_and_again_before_they_are_ready_end_the_run(office: Office) -> None:
    places, more = 2, MAX_FAILED_STARTS - 2
    for _ in range(places + more):
        office.hear(memory("unknown"))
    with pytest.raises(InputError, match="workers in a row were lost before they had started: 1 worker"):
        office.hear(memory("unknown"))
