"""The feed of an ablation with tuned arms: the tuning and the shared recipe, then every arm at its own recipe."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ablations.feed import AblationFeed
from ablations.tuning.arm_search import ArmSearch
from ablations.tuning.plan import TunedPlan
from search.running.progress import Progress
from search.store.store import Store
from search.trials.events import Event, Finished
from search.trials.trial import Job, TrialSpec


class TunedFeed:
    """The jobs of the tuning first; arms at the shared recipe while it waits for results; then arms at their own.

    Everything follows from stored results, so a resumed run asks for the same trials.

    Raises:
        InputError: another driver runs this study: the next recipes depend on all results before.
    """

    def __init__(self, plan: TunedPlan, store: Store, progress: Progress) -> None:
        self.plan, self.store, self.progress = plan, store, progress
        if store.shared:
            store.claims.require_sole_driver(report=progress.note)
        self.shared = AblationFeed(plan.shared, store, progress)
        self.searches = plan.searches(store.records())
        self.of_key: dict[str, ArmSearch] = {}
        """The search of each trial of the tuning, by the trial's key."""
        self.waiting: list[TrialSpec] = []
        self.jobs = deque[Job]()
        self.own: AblationFeed | None = None
        self.workers = 1
        self.expected = len(plan.shared.first)
        """The trials at the arms' own recipes that the progress counts so far."""
        for search in self.distinct:
            for key, proposal in search.proposals.items():
                self.of_key[key] = search
                if key not in search.outcomes:
                    self.waiting.append(search.spec(proposal))
        if self.tuned:
            # Known from the start of this session.
            self.expected = plan.count_new(plan.own(self.searches))

    @property
    def distinct(self) -> list[ArmSearch]:
        """The searches; arms that are the same have one."""
        return list({id(search): search for search in self.searches.values()}.values())

    @property
    def tuned(self) -> bool:
        """Whether the tuning is over."""
        return all(search.over for search in self.searches.values())

    @property
    def idle(self) -> bool:
        self._ask()
        return not self.waiting and not self.jobs and self.shared.idle and self._own is not None and self._own.idle

    @property
    def over(self) -> bool:
        return self.tuned and self.shared.over and self._own is not None and self._own.over

    def begin(self, workers: int) -> None:
        self.workers = workers
        for feed in filter(None, (self.shared, self.own)):
            feed.begin(workers)

    def next(self) -> Job | None:
        self._ask()
        if self.waiting:
            self.jobs.extend(self.plan.tuning_jobs(self.waiting, self.workers))
            self.waiting = []
        if self.jobs:
            job = self.jobs.popleft()
            keys = {spec.key: spec for spec in job.trials}
            self.progress.names |= {key: self.plan.name_of(spec) for key, spec in keys.items()}
            self.progress.lengths |= {
                key: self.plan.shared.steps_of(spec.recipe, spec.data) for key, spec in keys.items()
            }
            return job
        return self.shared.next() or (self._own.next() if self._own else None)

    def tell(self, events: Sequence[Event]) -> set[str]:
        for event in self.store.write(events):
            self.progress.tell(event)
        for event in events:
            if not isinstance(event, Finished):
                continue
            if event.key in self.of_key:
                self.of_key[event.key].tell(event)
            for feed in filter(None, (self.shared, self.own)):
                if event.key in feed.plan.trials:
                    feed.note_end(event.key)
        return set()

    def _ask(self) -> None:
        """Ask every arm's sampler for what can be trained now, and store the proposals."""
        for search in self.distinct:
            for spec, proposal in search.ask():
                self.of_key[spec.key] = search
                by = self.plan.study.tune.sampler.kind if self.plan.study.tune else ""
                self.store.propose(spec, {"number": proposal.number, "assignment": proposal.assignment, "by": by})
                self.waiting.append(spec)

    @property
    def _own(self) -> AblationFeed | None:
        """The feed of the arms at their own recipes, once the tuning is over.

        Also not before the shared recipe is over: if an arm's own recipe is the shared one, their trials are the same.
        """
        if self.own is None and self.tuned and self.shared.over:
            plan = self.plan.own(self.searches)
            self.progress.add_trials(self.plan.count_new(plan) - self.expected)
            self.expected = self.plan.count_new(plan)
            self.own = AblationFeed(plan, self.store, self.progress, reclaim=False)
            self.own.begin(self.workers)
        return self.own
