"""Drive a set of jobs to their end: what is stored as finished is not done again, what happens is stored at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from search.store import Store
from search.trial import FINISHED, Event, Job

Runner = Callable[[Sequence[Job], Callable[[Event], None]], None]
"""Does jobs and tells their events: `inline.run` or `ray_runner.run`, with their settings bound."""


def sweep(jobs: Sequence[Job], store: Store, runner: Runner, tell: Callable[[Event], None]) -> None:
    """Do what the store does not have finished. Events go to the store, and the news among them to `tell`."""
    store.add(spec for job in jobs for spec in job.trials)
    store.reclaim()
    todo = unfinished(jobs, store)

    def listen(event: Event) -> None:
        if store.write(event):
            tell(event)

    if todo:
        runner(todo, listen)


def unfinished(jobs: Sequence[Job], store: Store) -> list[Job]:
    """The jobs with those of their trials that have not ended, without jobs that have none."""
    done = {record.key for record in store.records() if record.status in FINISHED}
    left = [tuple(spec for spec in job.trials if spec.key not in done) for job in jobs]
    return [Job(trials=trials) for trials in left if trials]
