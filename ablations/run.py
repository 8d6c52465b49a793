"""An ablation's folder, read: what was found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ablations.factor_effects import Term, terms, variance_notes
from ablations.findings import Finding, best, findings
from ablations.study import Ablation
from ablations.summary import Agreement, ArmSummary, agreement, summarise
from resnet_space import Architecture
from search.files.folder import RunFolder
from search.running.liveness import Presence
from search.store import membership
from search.store.store import Store
from search.trials.events import Probe
from search.trials.record import TrialRecord

if TYPE_CHECKING:
    import pandas as pd


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
        _, mine, others = membership.own_trials(study.recipe, folder, store)
        some = mine[0].network
        nets = study.architectures(some.input_shape, some.classes)
        # Several studies may share a database, also the data and the recipe.
        arms = {net.key for net in nets.values()}
        wanted = [record for record in mine if record.architecture in arms and record.seed < study.most_seeds]
        standing, curves = membership.run_status(wanted, store.run_status()), store.curves()
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
