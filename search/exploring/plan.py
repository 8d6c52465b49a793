"""A search together with its data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from resnet_space import complexity
from resnet_space.errors import InputError
from search.data import DataSet, Images
from search.exploring.study import Search
from search.running.plan import PlanOnOne
from search.running.variants import check_batch
from search.samplers.survey import survey
from search.store import membership
from search.store.store import Store
from search.trials.events import FINISHED
from search.trials.identity import Identities
from search.trials.joint_space import LIMIT, JointSpace
from search.trials.setup import Setup, changes_shown
from search.trials.trial import TrialSpec

BATCH = "recipe.batch_size"


@dataclass(frozen=True)
class SearchPlan(PlanOnOne):
    """A search, its images, and its space for images of that shape."""

    study: Search
    images: Images
    variants: dict[DataSet, Images] = field(default_factory=dict)
    """The images of data that the search has tried, for an axis `data.limit`: loaded when they are needed."""

    @classmethod
    def of(cls, study: Search, images: Images) -> SearchPlan:
        """Compile the study.

        Raises:
            InputError: the space has no network for these images, or none that satisfies the constraints; or it has a
                batch or a limit that the number of training images does not allow.
        """
        plan = cls(study, images)
        plan._check_training()
        try:
            plan.space.sample(study.seed)
        except InputError:
            # It samples more, and its error says which constraint no network satisfies, and how near they come.
            survey(plan.space)
        return plan

    @cached_property
    def space(self) -> JointSpace:
        return self.study.space_for(self.images.shape, self.images.classes)

    def images_of(self, data: DataSet) -> Images:
        if data == self.study.dataset:
            return self.images
        if data not in self.variants:
            from search.data.loading import load
            from search.data.stand_in import load_or_stand_in

            self.variants[data] = load(data) if self.images.were_read else load_or_stand_in(data)
        return self.variants[data]

    def setup_of(self, point: Setup) -> Setup:
        """Return a point of the space with the fingerprint of its images."""
        return replace(point, fingerprint=self.images_of(point.data).fingerprint)

    def _check_training(self) -> None:
        axes, (recipe, data) = self.space.axes, self.study.trainings[0]
        limits = list(axes[LIMIT].ends()) if LIMIT in axes else [len(self.images.train)]
        if LIMIT in axes:
            whole = self.images_of(data.model_copy(update={"limit": None}))
            if limits[1] > len(whole.train):
                raise InputError(
                    f"space.axes.{LIMIT}: {limits[1]} is more than the {len(whole.train)} training images; "
                    f"give at most {len(whole.train)}"
                )
        if LIMIT in axes or BATCH in axes:
            batches = list(axes[BATCH].ends()) if BATCH in axes else [recipe.batch_size]
            for batch, limit in ((batches[0], limits[0]), (batches[-1], limits[-1])):
                try:
                    check_batch(recipe.model_copy(update={"batch_size": batch}), limit)
                except InputError as error:
                    raise InputError(f"space.axes: {error}") from None

    def identities(self, store: Store) -> Identities:
        """Return the identities of the search's trials in a store."""
        return membership.identities_of(self.study, store, {self.study.dataset: self.images.fingerprint})

    def count_trials(self, store: Store) -> tuple[int, int]:
        own = self.identities(store).own_records(store.records())
        counts = membership.run_status(own, store.run_status()).counts
        ended = sum(counts[status] for status in FINISHED if status != "infeasible")
        there = ended + counts["waiting"] + counts["running"]
        return max(self.study.budget.trials or 0, there), ended

    def name_of(self, spec: TrialSpec) -> str:
        """Return the network's key, its costs, its recipe if that is searched, and the seed.

        For example "ab12 (depth 20, 40.8 M MACs, recipe.lr=0.05), seed 0".
        """
        net, searched = spec.architecture, self.space.searched(spec.recipe, spec.data)
        costs = f"depth {net.depth}, {complexity(net).macs / 1e6:.3g} M MACs"
        return f"{net.key} ({', '.join([costs, *filter(None, [changes_shown(searched)])])}), seed {spec.seed}"
