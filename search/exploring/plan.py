"""A search together with its data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from resnet_space import Space, complexity
from resnet_space.errors import InputError
from search.data import Images
from search.exploring.study import Search
from search.running.plan import PlanOnOne
from search.samplers.survey import survey
from search.store import membership
from search.store.store import Store
from search.trials.events import FINISHED
from search.trials.trial import TrialSpec


@dataclass(frozen=True)
class SearchPlan(PlanOnOne):
    """A search, its images, and its space for images of that shape."""

    study: Search
    images: Images

    @classmethod
    def of(cls, study: Search, images: Images) -> SearchPlan:
        """Compile the study.

        Raises:
            InputError: the space has no network for these images, or none that satisfies the constraints.
        """
        plan = cls(study, images)
        try:
            plan.space.sample(study.seed)
        except InputError:
            # It samples more, and its error says which constraint no network satisfies, and how near they come.
            survey(plan.space)
        return plan

    @cached_property
    def space(self) -> Space:
        return self.study.space_for(self.images.shape, self.images.classes)

    def count_trials(self, store: Store) -> tuple[int, int]:
        counts = membership.run_status(self.identity.own_records(store.records()), store.run_status()).counts
        ended = sum(counts[status] for status in FINISHED if status != "infeasible")
        there = ended + counts["waiting"] + counts["running"]
        return max(self.study.budget.trials or 0, there), ended

    def name_of(self, spec: TrialSpec) -> str:
        """Return the network's key, its costs and the seed: "ab12 (depth 20, 40.8 M MACs), seed 0"."""
        net = spec.architecture
        return f"{net.key} (depth {net.depth}, {complexity(net).macs / 1e6:.3g} M MACs), seed {spec.seed}"
