"""The plan of an ablation: its architectures and trials, compiled for the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ablations.published import results_of_arms
from ablations.study import Ablation
from resnet_space import Architecture
from search.data import Images
from search.running.plan import PlanOnOne
from search.store.store import Store
from search.trials.events import FINISHED
from search.trials.trial import TrialSpec


@dataclass(frozen=True)
class AblationPlan(PlanOnOne):
    """An ablation compiled for its data: the architecture of every arm, and the distinct trials in running order."""

    study: Ablation
    images: Images
    architectures: Mapping[str, Architecture]
    label: str = ""
    """The label of the data set, if the plan is a part of a study on several."""

    @classmethod
    def of(cls, study: Ablation, images: Images, label: str = "") -> AblationPlan:
        """Compile the study.

        Raises:
            InputError: an arm cannot be built, or a published row does not exist.
        """
        results_of_arms(study)
        return cls(study, images, study.architectures(images.shape, images.classes), label)

    @cached_property
    def trials(self) -> dict[str, TrialSpec]:
        """All distinct trials that can be needed, by key; each seed of all arms comes before the next seed."""
        trials: dict[str, TrialSpec] = {}
        for seed in range(self.study.most_seeds):
            for net in self.architectures.values():
                spec = self.spec(net, seed)
                trials.setdefault(spec.key, spec)
        return trials

    @property
    def first(self) -> list[TrialSpec]:
        """The trials that are always needed: the first seeds of every arm."""
        return [spec for spec in self.trials.values() if spec.seed < self.study.least_seeds]

    @property
    def probes(self) -> tuple[int, ...]:
        return self.study.diagnostics.probes(self.epochs)

    @property
    def mixed(self) -> bool:
        """Whether arms with different shortcuts may train as one network: not if their times are compared."""
        return not any(measure.of_time for measure in self.study.shown_measures)

    @property
    def folded(self) -> list[tuple[str, ...]]:
        """Groups of arms that are the same network, which is trained once."""
        return [tuple(names) for names in self._by_network.values() if len(names) > 1]

    def name_of(self, spec: TrialSpec) -> str:
        """Return the name of a trial for people: its arms and its seed, after the label."""
        name = f"{self._arms[spec.architecture.key]}, seed {spec.seed}"
        return f"{self.label}: {name}" if self.label else name

    @cached_property
    def _arms(self) -> dict[str, str]:
        """The names of the arms, by the network's key."""
        return {key: " = ".join(names) for key, names in self._by_network.items()}

    @cached_property
    def _by_network(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, net in self.architectures.items():
            found.setdefault(net.key, []).append(name)
        return found

    @property
    def notices(self) -> list[str]:
        notices = [f"the same network, trained once: {' = '.join(names)}" for names in self.folded]
        return [*notices, *(self.study.compiled.notes if self.study.compiled else ())]

    @property
    def facts(self) -> dict[str, Any]:
        return {"planned": self.study.plan_hash}

    def count_trials(self, store: Store) -> tuple[int, int]:
        known = {record.key: record.status for record in store.records() if record.key in self.trials}
        total = len(known.keys() | {spec.key for spec in self.first})
        return total, sum(status in FINISHED for status in known.values())
