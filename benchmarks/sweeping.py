"""Run a list of jobs to its end, for benchmarks and tests that have no study with a feed of its own."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from search.running.feed import Runner, unfinished
from search.running.share import Share
from search.store.store import Store
from search.trials.events import Event
from search.trials.trial import Job

log = logging.getLogger(__name__)

Listener = Callable[[Event], None]
"""Receives every event once."""


class Listed:
    """A feed of jobs that are known from the start: all of them, or with `share` those that this driver can claim.

    With a `store`, events are stored, and `tell` receives those that were new to it.
    """

    def __init__(
        self, jobs: Iterable[Job], tell: Listener, share: Share | None = None, store: Store | None = None
    ) -> None:
        self._todo, self._tell, self._share, self._store = deque(jobs), tell, share, store

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

    def tell(self, events: Sequence[Event]) -> set[str]:
        for event in self._store.write(events) if self._store else events:
            self._tell(event)
        return set()


def sweep(jobs: Sequence[Job], store: Store, runner: Runner, tell: Listener) -> None:
    """Run the jobs that the store does not have as finished. Other drivers can do the same at the same time.

    Every event goes to the store. `tell` receives those that were new to the store.
    """
    store.add(spec for job in jobs for spec in job.trials)
    store.reclaim()
    if todo := unfinished(jobs, store):
        runner(Listed(todo, tell, Share(store, note=log.warning, ended=lambda number: None), store))
