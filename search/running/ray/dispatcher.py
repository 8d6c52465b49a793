"""The driver's side of the exchange: gives the feed's jobs to workers, and their events to the feed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError

from resnet_space.errors import InputError
from search.running.feed import Feed
from search.running.ray.attempts import Attempt, Retries
from search.running.ray.lost_workers import failure_cause, killed_actors
from search.running.ray.messages import AllLost, Joined, Lost, Message, Reply, Report
from search.running.ray.workforce import Workforce
from search.trials.events import Finished
from search.trials.trial import Job

TURN_SECONDS = 0.5
"""How long to wait for messages before the feed is asked again: it can have been asked to stop, or have new jobs."""

ASSIGN_SECONDS = 0.05
"""How long jobs are given out before workers get them: a sampler can take this long for one proposal."""


class Dispatcher:
    """Drives a feed by the workers' messages. In each turn it fetches all that have arrived, and answers them."""

    def __init__(
        self,
        feed: Feed,
        exchange: Any,
        workforce: Workforce,
        retries: Retries,
        *,
        is_fit: Callable[[Joined], bool],
        say: Callable[[str], None],
    ) -> None:
        """`is_fit` is whether a worker that has joined gets jobs. `say` receives lines for people."""
        self.feed, self.exchange, self.workforce, self.retries = feed, exchange, workforce, retries
        self.is_fit, self.say = is_fit, say
        self.ready: set[str] = set()
        """The workers that have started: they take jobs."""
        self.actors: dict[str, str] = {}
        """Ray's ID of each worker's process."""
        self.lost: set[str] = set()
        """The workers that were lost. Their last reports can arrive later."""
        self.idle: deque[str] = deque()
        """Those of them that wait for a job, in the order of their reports."""
        self.attempts: dict[str, Attempt] = {}
        """The job of each worker that has one."""
        self.workers: dict[str, str] = {}
        """The worker of each trial that one has, by the trial's key."""
        self.again: deque[Attempt] = deque()
        """Jobs that have lost their workers, or that wait for the first ones."""
        self.begun, self.hurried, self.over = False, False, False
        self.replies: dict[str, Reply] = {}
        self.orders: dict[str, Reply] = {}

    def prepare(self, number: int) -> list[Job]:
        """Get up to this number of jobs from the feed before the first workers ask for them, and return the jobs."""
        while len(self.again) < number and (job := self.feed.next()):
            self.again.append(Attempt(job, self.retries.resources.retries))
        return [attempt.job for attempt in self.again]

    def run(self) -> None:
        """Run all jobs of the feed.

        Raises:
            InputError: workers cannot start, or the exchange was lost.
        """
        while not self.over:
            self.handle(self._turn())

    def _turn(self) -> list[Message]:
        self.workforce.check()
        replies, orders, self.replies, self.orders = self.replies, self.orders, {}, {}
        seconds = 0.0 if self.hurried else TURN_SECONDS
        try:
            messages: list[Message] = ray.get(self.exchange.turn.remote(replies, orders, seconds))
        except (RayActorError, OutOfMemoryError) as error:
            why = str(error).partition("\n")[0]
            raise InputError(f"the process that exchanges messages with workers was lost: {why}") from None
        return messages

    def handle(self, messages: Sequence[Message]) -> None:
        """Report the messages' events to the feed, all at once, and give jobs to the workers that need one."""
        reports = [message for message in messages if isinstance(message, Report)]
        # Also without events: the run can have been asked to stop.
        stopped = self.feed.tell([event for report in reports for event in report.events])
        for message in messages:
            match message:
                case Joined():
                    self._join(message)
                case Report():
                    self._note(message)
                case Lost():
                    self._lose(message)
                case AllLost():
                    self._lose_all(message)
        self._stop(stopped)
        self._assign()

    def _join(self, joined: Joined) -> None:
        self.actors[joined.worker] = joined.actor
        if self.is_fit(joined):
            self.replies[joined.worker] = Reply()
        else:
            # Without a reply it keeps its place. Otherwise Tune would start another one there, again and again.
            self.workforce.demand.unfit.add(joined.worker)

    def _note(self, report: Report) -> None:
        worker = report.worker
        if attempt := self.attempts.get(worker):
            attempt.ended |= {event.key for event in report.events if isinstance(event, Finished)}
        if not report.needs_job:
            self.replies[worker] = Reply()
            return
        if worker in self.lost:
            return
        self._release(worker)
        self.idle.append(worker)
        if worker not in self.ready:
            self.ready.add(worker)
            self.workforce.demand.note_start()

    def _lose(self, lost: Lost) -> None:
        worker, unfit = lost.worker, self.workforce.demand.unfit
        self.lost.add(worker)
        if worker in unfit:
            unfit.discard(worker)
            return
        if worker not in self.ready:
            self._note_failed_start(lost)
            return
        self.ready.discard(worker)
        if worker in self.idle:
            self.idle.remove(worker)
        attempt = self._release(worker)
        if attempt and attempt.left:
            again, events = self.retries.after_loss(attempt, lost.error)
            self.again.extend([again] if again else [])
            self.feed.tell(events)

    def _lose_all(self, lost: AllLost) -> None:
        """Note the loss of all workers. It counts only for the jobs of those that Ray killed."""
        killed = {worker for worker in self.ready if self.actors[worker] in killed_actors(lost.error)}
        for worker in self.ready - killed:
            if (attempt := self._release(worker)) and (again := attempt.without_ended()):
                self.again.append(again)
        for worker in killed:
            self._lose(Lost(worker, lost.error))
        if not killed:
            # It was killed before it was ready. If that happens again and again, the run ends.
            self._note_failed_start(Lost("", lost.error))
        self.lost |= self.ready | self.workforce.demand.unfit
        self.ready.clear()
        self.idle.clear()
        self.workforce.demand.unfit.clear()

    def _note_failed_start(self, lost: Lost) -> None:
        demand, was_hopeless = self.workforce.demand, self.workforce.demand.hopeless
        demand.note_failed_start()
        if not demand.hopeless:
            return
        why = f"{demand.failed_starts} workers in a row were lost before they had started: {failure_cause(lost.error)}"
        if not self.ready:
            raise InputError(why)
        if not was_hopeless:
            self.say(f"{why}; the run continues with {len(self.ready)}")

    def _release(self, worker: str) -> Attempt | None:
        """Return the job that the worker had, and forget that it had it."""
        attempt = self.attempts.pop(worker, None)
        for key in attempt.keys if attempt else ():
            del self.workers[key]
        return attempt

    def _stop(self, keys: set[str]) -> None:
        for worker in {self.workers[key] for key in keys & self.workers.keys()}:
            stop = Reply(stop=self.attempts[worker].keys & keys)
            # Without a report to reply to, an order reaches the worker during its epoch.
            (self.replies if worker in self.replies else self.orders)[worker] = stop

    def _assign(self) -> None:
        """Give jobs to idle workers, and note whether the run is over."""
        end = time.monotonic() + ASSIGN_SECONDS
        self.hurried = False
        while self.idle and not self.hurried:
            if (attempt := self._next()) is None:
                break
            worker = self.idle.popleft()
            self.attempts[worker] = attempt
            self.workers |= dict.fromkeys(attempt.keys, worker)
            self.replies[worker] = Reply(job=attempt.job.to_json())
            self.begun, self.hurried = True, time.monotonic() > end
        if self.begun and not self.idle and not self.attempts and (attempt := self._next()):
            # The last worker is lost: the next one gets this job, if there is one.
            self.again.append(attempt)

    def _next(self) -> Attempt | None:
        """Return the next job; if there is none, note whether any will come."""
        if self.again:
            return self.again.popleft()
        if job := self.feed.next():
            return Attempt(job, self.retries.resources.retries)
        self.over = not self.attempts and self.feed.over
        return None
