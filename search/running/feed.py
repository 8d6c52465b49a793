"""What a runner is fed with: jobs, one at a time, and who hears what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from search.store.store import Store
from search.trials.events import FINISHED, Event
from search.trials.trial import Job


class Feed(Protocol):
    """What is to be done, asked for one job at a time, and told what happens."""

    def begin(self, workers: int) -> None:
        """Told ahead of the first `next`: how many jobs there may be side by side."""

    def next(self) -> Job | None:
        """The next job; None if there is none now."""

    @property
    def idle(self) -> bool:
        """Before the first `next`: whether there is nothing to do, so that no runner is needed."""

    @property
    def over(self) -> bool:
        """Valid after `next` returned None: whether no further job will ever come."""

    def tell(self, event: Event) -> bool:
        """Take an event in; whether the trial's job should be stopped here."""


Runner = Callable[[Feed], None]
"""Does a feed's jobs: `inline.run` or `ray_runner.run`, with their settings bound."""


def unfinished(jobs: Sequence[Job], store: Store) -> list[Job]:
    """The jobs with those of their trials that have not ended, without jobs that have none."""
    done = {record.key for record in store.records() if record.status in FINISHED}
    left = [tuple(spec for spec in job.trials if spec.key not in done) for job in jobs]
    return [job.model_copy(update={"trials": trials}) for job, trials in zip(jobs, left, strict=True) if trials]
