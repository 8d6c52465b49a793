"""The feed of an ablation on several data sets: the feeds of its data sets, one after another."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.across.plan import PlanAcross
from ablations.feed import AblationFeed
from search.running.progress import Progress
from search.store.store import Store
from search.trials.events import Event, Finished
from search.trials.trial import Job


class FeedAcross:
    """The jobs of each data set in turn: a worker then reads few data sets, and every data set has its own analyses.

    With `seeds: {min, max}`, arms get more seeds on those data sets on which their comparisons are open. While one data
    set waits for the results of an analysis, workers take jobs of the next one.
    """

    def __init__(self, plan: PlanAcross, store: Store, progress: Progress) -> None:
        self.store, self.progress = store, progress
        self.feeds = [AblationFeed(part, store, progress) for part in plan.parts.values()]
        self.owners = {key: feed for feed in self.feeds for key in feed.plan.trials}
        """The feed of each trial, by the trial's key."""

    @property
    def idle(self) -> bool:
        return all(feed.idle for feed in self.feeds)

    @property
    def over(self) -> bool:
        return all(feed.over for feed in self.feeds)

    def begin(self, workers: int) -> None:
        for feed in self.feeds:
            feed.begin(workers)

    def next(self) -> Job | None:
        return next((job for feed in self.feeds if (job := feed.next())), None)

    def tell(self, events: Sequence[Event]) -> set[str]:
        # In one transaction for all data sets.
        for event in self.store.write(events):
            self.progress.tell(event)
        for event in events:
            if isinstance(event, Finished):
                self.owners[event.key].note_end(event.key)
        return set()
