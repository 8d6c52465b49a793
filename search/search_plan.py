"""A search with its data at hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from resnet_space import Space, complexity
from resnet_space.errors import InputError
from search import membership
from search.data import Images
from search.events import FINISHED
from search.explore import Exploration
from search.plan import Plan
from search.progress import Progress
from search.reach import reach
from search.search_study import Search
from search.store import Store
from search.sweep import Runner
from search.trial import TrialSpec


@dataclass(frozen=True)
class SearchPlan(Plan):
    """A search, its images, and its space as they make it."""

    study: Search
    images: Images

    @classmethod
    def of(cls, study: Search, images: Images) -> SearchPlan:
        """Compile the study.

        Raises:
            InputError: the space has no network for these images, or none that keeps the constraints.
        """
        plan = cls(study, images)
        try:
            plan.space.sample(study.seed)
        except InputError:
            # Looks further, and says which constraint nothing meets, and what comes nearest.
            reach(plan.space)
        return plan

    @cached_property
    def space(self) -> Space:
        return self.study.bounded(self.images.shape, self.images.classes)

    def begin(self, store: Store) -> None:
        """Nothing: what is tried depends on what is found."""

    def counted(self, store: Store) -> tuple[int, int]:
        counts = membership.standing(self.identity.own(store.records()), store.standing()).counts
        ended = sum(counts[status] for status in FINISHED if status != "infeasible")
        there = ended + counts["waiting"] + counts["running"]
        return max(self.study.budget.trials or 0, there), ended

    def name_of(self, key: str) -> str:
        return self._names.get(key, key)

    @cached_property
    def _names(self) -> dict[str, str]:
        return {}

    def christen(self, spec: TrialSpec) -> None:
        """Give a trial its name for people: what the network costs, which it is, and the seed."""
        net = spec.architecture
        cost = complexity(net)
        self._names[spec.key] = f"{net.key} (depth {net.depth}, {cost.macs / 1e6:.3g} M MACs), seed {spec.seed}"

    def drive(self, store: Store, runner: Runner, progress: Progress) -> None:
        """Search until the budget is spent, then confirm the front.

        Raises:
            InputError: another driver is at it. What is asked for next depends on all that was asked for before, so two
                would ask for the same.
        """
        if store.shared:
            store.claims.alone(told=progress.note)
        exploration = Exploration(self, store, progress)
        if not exploration.idle:
            runner(exploration)
