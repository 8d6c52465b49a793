"""The plan of an ablation: its architectures and trials, compiled for the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ablations.published import results_of_arms
from ablations.study import Ablation
from resnet_space import Architecture, complexity
from resnet_space.errors import InputError
from search.data import DataSet, Images
from search.running.plan import PlanOnOne, facts_of_variants
from search.running.variants import check_batch, check_variant
from search.store.store import Store
from search.training.jobs import NO_PAST_JOBS, PastJobs, job_length, make_jobs
from search.trials.events import FINISHED
from search.trials.setup import Setup
from search.trials.trial import Job, TrialSpec


@dataclass(frozen=True)
class AblationPlan(PlanOnOne):
    """An ablation compiled for its data: the setup of every arm, and the distinct trials in running order."""

    study: Ablation
    images: Images
    label: str = ""
    """The label of the data set, if the plan is a part of a study on several."""
    variants: Mapping[DataSet, Images] = field(default_factory=dict)
    """The images of the data that arms set, for example with `data.limit`."""

    @classmethod
    def of(
        cls, study: Ablation, images: Images, label: str = "", variants: Mapping[DataSet, Images] | None = None
    ) -> AblationPlan:
        """Compile the study.

        Raises:
            InputError: an arm cannot be built or trained on its data, or a published row does not exist.
        """
        results_of_arms(study)
        own = {data: found for data, found in (variants or {}).items() if data in study.datasets}
        every = {study.dataset: images, **own}
        for name, (recipe, data) in study.trained.items():
            try:
                check_variant(study.dataset, images, data, every[data])
                if (recipe.batch_size, data) != (study.recipe.batch_size, study.dataset):
                    check_batch(recipe, len(every[data].train))
            except InputError as error:
                raise InputError(f"arms.{name}: {error}") from None
        plan = cls(study, images, label, own)
        _ = plan.setups
        return plan

    @cached_property
    def setups(self) -> Mapping[str, Setup]:
        """The setup of every arm."""
        return self.study.setups({self.study.dataset: self.images, **self.variants})

    @cached_property
    def architectures(self) -> Mapping[str, Architecture]:
        """The network of every arm."""
        return {name: setup.net for name, setup in self.setups.items()}

    @cached_property
    def trials(self) -> dict[str, TrialSpec]:
        """All distinct trials that can be needed, by key; each seed of all arms comes before the next seed."""
        trials: dict[str, TrialSpec] = {}
        for seed in range(self.study.most_seeds):
            for setup in self.setups.values():
                spec = setup.spec(seed)
                trials.setdefault(spec.key, spec)
        return trials

    @property
    def first(self) -> list[TrialSpec]:
        """The trials that are always needed: the first seeds of every arm."""
        return [spec for spec in self.trials.values() if spec.seed < self.study.least_seeds]

    @property
    def lengths(self) -> Iterable[int]:
        return {self.steps_of(setup.recipe, setup.data) for setup in self.setups.values()}

    def probes_of(self, spec: TrialSpec) -> tuple[int, ...]:
        """Return the epochs after which the propagation of signals is measured in a trial."""
        return self.study.diagnostics.probes(self.epochs_of(spec.recipe, spec.data))

    def jobs(
        self, specs: Sequence[TrialSpec], *, workers: int, before: PastJobs = NO_PAST_JOBS, measure: bool = False
    ) -> list[Job]:
        """Group waiting trials into jobs, each with trials of one recipe and of the same data; long jobs come first.

        Args:
            measure: order jobs by measured times, where this makes a difference, instead of by MACs.
        """
        from search.training.unit_times import measured_cost

        alike: dict[str, list[TrialSpec]] = {}
        for spec in specs:
            alike.setdefault(spec.identity.training, []).append(spec)
        found: list[tuple[int, Job]] = []
        for group in alike.values():
            recipe, steps = group[0].recipe, self.steps_of(group[0].recipe, group[0].data)
            resources = self.study.resources
            jobs = make_jobs(
                group,
                resources,
                workers=workers,
                steps=steps,
                probes=self.probes_of(group[0]),
                before=before,
                mixed=self.mixed,
                cost=measured_cost(resources, recipe, workers=workers, trials=len(specs)) if measure else None,
            )
            images = recipe.batch_size * steps
            found += [(job_length(job.trials, lambda net: complexity(net).macs * images), job) for job in jobs]  # noqa: B023
        if len(alike) > 1:
            found.sort(key=lambda each: -each[0])
        return [job for _, job in found]

    @property
    def mixed(self) -> bool:
        """Whether arms with different shortcuts may train as one network: not if their times are compared."""
        return not any(measure.of_time for measure in self.study.shown_measures)

    @property
    def folded(self) -> list[tuple[str, ...]]:
        """Groups of arms that are the same network, trained in the same way: it is trained once."""
        return [tuple(names) for names in self._by_setup.values() if len(names) > 1]

    def name_of(self, spec: TrialSpec) -> str:
        """Return the name of a trial for people: its arms and its seed, after the label."""
        name = f"{self._arms[Setup.of(spec).key]}, seed {spec.seed}"
        return f"{self.label}: {name}" if self.label else name

    @cached_property
    def _arms(self) -> dict[str, str]:
        """The names of the arms, by the setup's key."""
        return {key: " = ".join(names) for key, names in self._by_setup.items()}

    @cached_property
    def _by_setup(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, setup in self.setups.items():
            found.setdefault(setup.key, []).append(name)
        return found

    @property
    def notices(self) -> list[str]:
        notices = [f"the same network, trained once: {' = '.join(names)}" for names in self.folded]
        return [*notices, *(self.study.compiled.notes if self.study.compiled else ())]

    @property
    def facts(self) -> dict[str, Any]:
        return {"planned": self.study.plan_hash, **facts_of_variants([self.variants])}

    def count_trials(self, store: Store) -> tuple[int, int]:
        known = {record.key: record.status for record in store.records() if record.key in self.trials}
        total = len(known.keys() | {spec.key for spec in self.first})
        return total, sum(status in FINISHED for status in known.values())
