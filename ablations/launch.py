"""From an ablation to its trials, and from its stored trials to what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ablations.factor_effects import Term, terms, variance_notes
from ablations.findings import Finding, best, findings
from ablations.published import of_arms
from ablations.resolving import Resolving
from ablations.study import Ablation
from ablations.summary import Agreement, ArmSummary, agreement, summarise
from resnet_space import Architecture
from search import membership
from search.data import Images
from search.events import FINISHED, Probe
from search.folder import RunFolder
from search.plan import Plan
from search.presence import Presence
from search.progress import Progress
from search.record import TrialRecord
from search.store import Store
from search.sweep import Runner
from search.trial import TrialSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class AblationPlan(Plan):
    """An ablation with its data at hand: every arm's architecture, and the distinct trials in the order they run."""

    study: Ablation
    images: Images
    architectures: Mapping[str, Architecture]

    @classmethod
    def of(cls, study: Ablation, images: Images) -> AblationPlan:
        """Compile the study.

        Raises:
            InputError: an arm that is no network, or a published row that is not there.
        """
        of_arms(study)
        return cls(study, images, study.architectures(images.shape, images.classes))

    @cached_property
    def trials(self) -> dict[str, TrialSpec]:
        """Distinct trials by key that there may be, a seed of every arm before the next seed."""
        trials: dict[str, TrialSpec] = {}
        for seed in range(self.study.most_seeds):
            for net in self.architectures.values():
                spec = self.spec(net, seed)
                trials.setdefault(spec.key, spec)
        return trials

    @property
    def first(self) -> list[TrialSpec]:
        """Those that there will be, whatever is found."""
        return [spec for spec in self.trials.values() if spec.seed < self.study.least_seeds]

    @property
    def probes(self) -> tuple[int, ...]:
        return self.study.diagnostics.probes(self.epochs)

    @property
    def folded(self) -> list[tuple[str, ...]]:
        """Arms that are one and the same network, and are trained once."""
        by_key: dict[str, list[str]] = {}
        for name, net in self.architectures.items():
            by_key.setdefault(net.key, []).append(name)
        return [tuple(names) for names in by_key.values() if len(names) > 1]

    def name_of(self, key: str) -> str:
        """A trial's name for people: its arms, and its seed."""
        trial = self.trials[key]
        arms = [name for name, net in self.architectures.items() if net.key == trial.architecture.key]
        return f"{' = '.join(arms)}, seed {trial.seed}"

    @property
    def notices(self) -> list[str]:
        notices = [f"the same network, trained once: {' = '.join(names)}" for names in self.folded]
        return [*notices, *(self.study.compiled.notes if self.study.compiled else ())]

    @property
    def facts(self) -> dict[str, Any]:
        return {"planned": self.study.plan_hash}

    def begin(self, store: Store) -> None:
        store.add(self.first)

    def counted(self, store: Store) -> tuple[int, int]:
        known = {record.key: record.status for record in store.records() if record.key in self.trials}
        return len(known), sum(status in FINISHED for status in known.values())

    def drive(self, store: Store, runner: Runner, progress: Progress) -> None:
        feed = Resolving(self, store, progress)
        if not feed.idle:
            runner(feed)


@dataclass(frozen=True)
class AblationRun:
    """An ablation's folder, read: the study, and its trials as they are stored now."""

    study: Ablation
    folder: RunFolder
    nets: Mapping[str, Architecture]
    summaries: list[ArmSummary]
    records: list[TrialRecord]
    curves: pd.DataFrame
    probes: list[Probe]
    counts: Mapping[str, int]
    reasons: list[tuple[str, str, int]]
    others: int
    """Stored trials that are not of this run, and in none of the above."""

    @classmethod
    def of(cls, study: Ablation, folder: RunFolder, store: Store) -> AblationRun:
        """What is stored, also while it runs.

        Raises:
            InputError: no stored trial is of the run.
        """
        _, mine, others = membership.own(study.recipe, folder, store)
        some = mine[0].network
        nets = study.architectures(some.input_shape, some.classes)
        # Several studies may share a database, also the data and the recipe.
        arms = {net.key for net in nets.values()}
        wanted = [record for record in mine if record.architecture in arms and record.seed < study.most_seeds]
        standing, curves = membership.standing(wanted, store.standing()), store.curves()
        keys = {record.key for record in wanted}
        return cls(
            study,
            folder,
            nets,
            summarise(study, nets, wanted),
            wanted,
            curves[curves["key"].isin(keys)],
            [probe for probe in store.propagation() if probe.key in keys],
            Presence.of(folder, standing).counts,
            standing.reasons,
            others,
        )

    @cached_property
    def findings(self) -> list[Finding]:
        """Every planned contrast, then the other arms against the baseline."""
        found = findings(self.study, self.summaries)
        return found if self.as_planned else [replace(each, planned=False) for each in found]

    @cached_property
    def _told(self) -> dict[str, Finding]:
        # Planned ones stand first.
        return {found.arm: found for found in reversed(self.findings)}

    def about(self, arm: str) -> Finding | None:
        """What was found of an arm: the planned comparison, or else that with the baseline."""
        return self._told.get(arm)

    @cached_property
    def best(self) -> str | None:
        """The arm that is better than every other, if there is one."""
        return best(self.study, self.summaries)

    @cached_property
    def agreement(self) -> Agreement | None:
        """How far the arms rank as the published ones do."""
        return agreement(self.summaries)

    @cached_property
    def terms(self) -> list[tuple[Term, tuple[str, ...]]]:
        """Effects of a design's factors, each with what it cannot be told from; none without main effects."""
        return terms(self.study, self.summaries)

    @cached_property
    def variance_notes(self) -> list[str]:
        """What the effects of factors rest on."""
        return variance_notes(self.study, self.summaries)

    @property
    def as_planned(self) -> bool:
        """Whether the contrasts are those that were stored before the first trial."""
        sessions = self.folder.read_manifest().get("sessions", [])
        return bool(sessions) and sessions[0].get("planned") == self.study.plan_hash

    @property
    def failed(self) -> bool:
        """Whether a trial of this study failed."""
        return any(arm.ended.get("failed") for arm in self.summaries)
