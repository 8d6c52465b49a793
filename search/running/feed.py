"""What a runner gets its jobs from, one at a time, and tells every event, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from search.store.store import Store
from search.trials.events import Event
from search.trials.trial import Job


class Feed(Protocol):
    """Hands out jobs and receives their events. A runner drives it like this:

    feed.begin(workers=1)
    while (job := feed.next()) or not feed.over:
        for event in work(job, ...):
            if feed.tell([event]):
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

    def tell(self, events: Sequence[Event]) -> set[str]:
        """Receive events of any trials, those of each trial in order; return the keys of trials to stop now.

        A runner stops the job of each returned trial, unless it has ended meanwhile. The events are stored together, in
        one transaction. Workers can send events of a trial before they hear that it was stopped: these change nothing,
        and the trial is returned again.
        """


Runner = Callable[[Feed], None]
"""Runs all jobs of a feed, for example `partial(inline.run, resources=resources, checkpoints=folder)`."""


def unfinished(jobs: Sequence[Job], store: Store) -> list[Job]:
    """Return the jobs reduced to their unfinished trials, without jobs that have none."""
    done = store.ended()
    left = [tuple(spec for spec in job.trials if spec.key not in done) for job in jobs]
    return [job.model_copy(update={"trials": trials}) for job, trials in zip(jobs, left, strict=True) if trials]
