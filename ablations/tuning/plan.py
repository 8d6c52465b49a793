"""The plan of an ablation with tuned arms: arms at the study's recipe, the tuning, arms at their own recipes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ablations.plan import AblationPlan
from ablations.study import Ablation
from ablations.tune import FIRST_SEED
from ablations.tuning.arm_search import ArmSearch, values
from resnet_space.errors import InputError
from search.data import DataSet, Images
from search.running.plan import Plan
from search.running.variants import check_batch
from search.store.store import Store
from search.trials.events import FINISHED
from search.trials.record import TrialRecord
from search.trials.setup import Setup, changes_text
from search.trials.trial import Job, TrialSpec

SHARED, OWN = "shared recipe", "own recipes"
"""The labels of the two parts of a study with tuned arms."""

BATCH = "recipe.batch_size"


@dataclass(frozen=True)
class TunedPlan(Plan):
    """An ablation whose arms are compared twice: at the recipe of the study, and each at its own."""

    study: Ablation
    shared: AblationPlan
    """The arms at the recipe that the study gives them."""

    @classmethod
    def of(cls, study: Ablation, images: Images, variants: Mapping[DataSet, Images] | None = None) -> TunedPlan:
        """Compile the study.

        Raises:
            InputError: as `AblationPlan.of`; or an axis of the tuning has a batch larger than the training set.
        """
        plan = cls(study, AblationPlan.of(study.at_shared, images, variants=variants))
        assert study.tune is not None
        if BATCH in study.tune.axes:
            for setup in plan.shared.setups.values():
                largest = study.tune.axes[BATCH].ends()[1]
                try:
                    check_batch(
                        setup.recipe.model_copy(update={"batch_size": largest}),
                        len(plan.shared.images_of(setup.data).train),
                    )
                except InputError as error:
                    raise InputError(f"tune.axes: {error}") from None
        return plan

    def searches(self, records: Iterable[TrialRecord]) -> dict[str, ArmSearch]:
        """Return the search of every arm as it is stored, by the arm's name; arms that are the same share one."""
        assert self.study.tune is not None
        stored, found = list(records), dict[str, ArmSearch]()
        for name, setup in self.shared.setups.items():
            alike = next((each for each in found.values() if _alike(each, setup)), None)
            found[name] = alike or ArmSearch(setup, self.study.tune)
            if alike is None:
                found[name].restore(stored)
        return found

    @cached_property
    def _untried(self) -> Mapping[str, ArmSearch]:
        """The search of every arm before its first trial."""
        return self.searches(())

    def own(self, searches: Mapping[str, ArmSearch]) -> AblationPlan:
        """Return the plan of the arms at their own recipes, after the tuning."""
        study = self.study.at_own({name: values(search.best) for name, search in searches.items()})
        return AblationPlan.of(study, self.shared.images, OWN, variants=self.shared.variants)

    def tuning_jobs(self, specs: Sequence[TrialSpec], workers: int) -> list[Job]:
        """Group trials of the tuning into jobs: those of one recipe, of different arms, can train together."""
        return [job.model_copy(update={"probes": ()}) for job in self.shared.jobs(specs, workers=workers)]

    @property
    def loaded(self) -> Mapping[str, tuple[DataSet, Images]]:
        return self.shared.loaded

    @property
    def data(self) -> Sequence[tuple[DataSet, Images]]:
        return self.shared.data

    @property
    def steps(self) -> int:
        return self.shared.steps

    @cached_property
    def budgets(self) -> Sequence[int]:
        """The number of recipes that each arm tries; arms that are the same are tuned once, and count once."""
        return [search.budget for search in {id(each): each for each in self._untried.values()}.values()]

    @property
    def tuning_trials(self) -> int:
        return sum(self.budgets)

    def count_trials(self, store: Store) -> tuple[int, int]:
        total, ended = self.shared.count_trials(store)
        records = store.records()
        searches = self.searches(records)
        tuning = [record for record in records if record.seed == FIRST_SEED]
        # As many as at the shared recipe, as long as the arms' own are not known.
        expected = len(self.shared.first)
        own = list[TrialRecord]()
        if all(search.over for search in searches.values()):
            plan = self.own(searches)
            keys = plan.trials.keys() - self.shared.trials.keys()
            own = [record for record in records if record.key in keys]
            expected = max(self.count_new(plan), len(own))
        return total + max(self.tuning_trials, len(tuning)) + expected, ended + sum(
            record.status in FINISHED for record in [*tuning, *own]
        )

    def count_new(self, own: AblationPlan) -> int:
        """Return the number of first trials of the arms at their own recipes that are not those of the shared one."""
        return sum(spec.key not in self.shared.trials for spec in own.first)

    def name_of(self, spec: TrialSpec) -> str:
        """Return "gated, tuning (recipe.lr=0.05)" for a trial of the tuning, and "gated, seed 2" for others."""
        if spec.key in self.shared.trials:
            return self.shared.name_of(spec)
        arms = self._arms[spec.architecture.key]
        changes = changes_text(Setup.of(spec).changes_from(self.study.recipe, self.study.dataset))
        return f"{arms}, tuning ({changes or 'recipe of the study'})"

    @cached_property
    def _arms(self) -> dict[str, str]:
        names: dict[str, list[str]] = {}
        for name, setup in self.shared.setups.items():
            names.setdefault(setup.net.key, []).append(name)
        return {key: " = ".join(each) for key, each in names.items()}

    @property
    def notices(self) -> list[str]:
        outside = [
            name
            for name, search in self._untried.items()
            if search.space.locate(search.space.point_of(search.setup)) is None
        ]
        note = f"tuning does not try the study's own recipe, which is not in the axes, for {', '.join(outside)}"
        return [*self.shared.notices, *([note] if outside else [])]

    @property
    def facts(self) -> dict[str, Any]:
        return self.shared.facts


def _alike(search: ArmSearch, setup: Setup) -> bool:
    """Whether an arm has the recipes of another: the same network, and recipes that differ in nothing but the axes."""
    same = search.setup.net.key == setup.net.key and search.setup.data.identifying == setup.data.identifying
    return same and search.space.makes(setup.recipe, setup.data)
