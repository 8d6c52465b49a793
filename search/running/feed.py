"""Run jobs to their end: finished trials are not repeated, and every event is stored at once."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from search.running.share import Share
from search.store.store import Store
from search.trials.events import FINISHED, Event
from search.trials.trial import Job

log = logging.getLogger(__name__)

Listener = Callable[[Event], None]
"""Receives every event once, for example to display it."""


class Feed(Protocol):
    """Hands out jobs and receives their events. A runner drives it like this:

    feed.begin(workers=1)
    while (job := feed.next()) or not feed.over:
        for event in work(job, ...):
            if feed.tell(event):
                break  # stop this job
    """

    def begin(self, workers: int) -> None:
        """Receive the number of jobs that can run at the same time, before the first `next`."""

    def next(self) -> Job | None:
        """Return the next job, or None if there is none now."""

    @property
    def idle(self) -> bool:
        """Valid before the first `next`: True if there is nothing to do, so no runner is needed."""

    @property
    def over(self) -> bool:
        """Valid after `next` returned None: True if no further job will ever come."""

    def tell(self, event: Event) -> bool:
        """Receive an event, and return whether the trial's job should be stopped now."""


Runner = Callable[[Feed], None]
"""Runs all jobs of a feed, for example `partial(inline.run, resources=resources, checkpoints=folder)`."""


class JobList:
    """A feed of jobs that are known from the start: all of them, or with `share` those that this driver can claim."""

    def __init__(self, jobs: Iterable[Job], tell: Listener, share: Share | None = None) -> None:
        self._todo, self._tell, self._share = deque(jobs), tell, share

    def begin(self, workers: int) -> None:
        """Do nothing: the jobs do not depend on the number of workers."""

    def next(self) -> Job | None:
        if self._share is None:
            return self._todo.popleft() if self._todo else None
        self._todo.extend(Job(trials=(spec,)) for spec in self._share.reclaimed())
        while self._todo:
            if job := self._share.claim(self._todo.popleft()):
                return job
        return None

    @property
    def idle(self) -> bool:
        return not self._todo

    @property
    def over(self) -> bool:
        return not self._todo and not (self._share and self._share.elsewhere)

    def tell(self, event: Event) -> bool:
        self._tell(event)
        return False


def run_unfinished(jobs: Sequence[Job], store: Store, runner: Runner, tell: Listener) -> None:
    """Run the jobs that the store does not have as finished. Other drivers can do the same at the same time.

    Every event goes to the store. `tell` receives those that were new to the store.
    """
    store.add(spec for job in jobs for spec in job.trials)
    store.reclaim()

    def listen(event: Event) -> None:
        if store.write(event):
            tell(event)

    if todo := unfinished(jobs, store):
        runner(JobList(todo, listen, Share(store, note=log.warning, ended=lambda number: None)))


def unfinished(jobs: Sequence[Job], store: Store) -> list[Job]:
    """Return the jobs reduced to their unfinished trials, without jobs that have none."""
    done = {record.key for record in store.records() if record.status in FINISHED}
    left = [tuple(spec for spec in job.trials if spec.key not in done) for job in jobs]
    return [job.model_copy(update={"trials": trials}) for job, trials in zip(jobs, left, strict=True) if trials]
