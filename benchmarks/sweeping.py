"""A list of jobs driven to its end: what benchmarks and tests run, where there is no study with a feed of its own."""

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

News = Callable[[Event], None]
"""Takes in what happened, once each."""


class Listed:
    """The feed of a list that is known beforehand: all of it, or this driver's share."""

    def __init__(self, jobs: Iterable[Job], tell: News, share: Share | None = None) -> None:
        self._todo, self._tell, self._share = deque(jobs), tell, share

    def begin(self, workers: int) -> None:
        """Nothing: the jobs are what they are."""

    def next(self) -> Job | None:
        if self._share is None:
            return self._todo.popleft() if self._todo else None
        self._todo.extend(Job(trials=(spec,)) for spec in self._share.back())
        while self._todo:
            if job := self._share.take(self._todo.popleft()):
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


def sweep(jobs: Sequence[Job], store: Store, runner: Runner, tell: News) -> None:
    """Do what the store does not have finished, beside other drivers that may do the same.

    Events go to the store, and the news among them to `tell`.
    """
    store.add(spec for job in jobs for spec in job.trials)
    store.reclaim()

    def listen(event: Event) -> None:
        if store.write(event):
            tell(event)

    if todo := unfinished(jobs, store):
        runner(Listed(todo, listen, Share(store, note=log.warning, ended=lambda number: None)))
