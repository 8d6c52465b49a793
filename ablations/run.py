"""The results of an ablation so far, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ablations.agreement import Agreement, agreement
from ablations.factor_effects import Effect, effect_notes, effects
from ablations.findings import Finding, best, findings
from ablations.outcomes import Outcomes, outcomes
from ablations.predicted_arms import PredictedArms
from ablations.study import Ablation
from ablations.summary import ArmSummary, summarise
from ablations.two_way import TwoWay
from resnet_space import Architecture
from search.files.folder import RunFolder
from search.measures.catalogue import MEASURES, Measure
from search.running.liveness import Liveness
from search.store import membership
from search.store.store import Store
from search.trials.events import Probe
from search.trials.record import TrialRecord
from search.trials.setup import Setup

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class AblationRun:
    """An ablation's results: the study, and its trials as they are stored now."""

    study: Ablation
    folder: RunFolder
    setups: Mapping[str, Setup]
    """The setup of every arm."""
    summaries: list[ArmSummary]
    records: list[TrialRecord]
    curves: pd.DataFrame
    probes: list[Probe]
    counts: Mapping[str, int]
    reasons: list[tuple[str, str, int]]
    others: int
    """The number of stored trials that do not belong to this run; they are in none of the fields above."""
    predictions: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The predictions of complete trials for the test images, as they are stored, by trial key."""

    @classmethod
    def of(cls, study: Ablation, folder: RunFolder, store: Store) -> AblationRun:
        """Read the results from the store; the run can still be running.

        Raises:
            InputError: no stored trial belongs to the run.
        """
        _, own, others = membership.own_trials(study, folder, store)
        setups = study.setups(membership.images_of(study, folder, [(f"trial {r.key}", r.spec) for r in own]))
        # Several studies can share a database, and also data and recipe.
        arms = {setup.key for setup in setups.values()}
        wanted = [record for record in own if record.seed < study.most_seeds and record.setup in arms]
        standing, curves = membership.run_status(wanted, store.run_status()), store.curves()
        keys = {record.key for record in wanted}
        curves = curves[curves["key"].isin(keys)]
        return cls(
            study,
            folder,
            setups,
            summarise(study, setups, wanted, curves),
            wanted,
            curves,
            [probe for probe in store.propagation() if probe.key in keys],
            Liveness.of(folder, standing).counts,
            standing.reasons,
            others,
            store.predictions(keys),
        )

    @cached_property
    def nets(self) -> Mapping[str, Architecture]:
        """The network of every arm."""
        return {name: setup.net for name, setup in self.setups.items()}

    @cached_property
    def outcomes_by_measure(self) -> Mapping[Measure, Outcomes]:
        """The outcomes of all arms by the measures that are shown or compared."""
        splits = (self.folder.data or {}).get("splits", {})

        def by(measure: Measure) -> Outcomes:
            images = (splits.get(measure.split) or {}).get("images")
            above = self.study.fail_above
            return outcomes(self.setups, self.records, measure, fail_above=above, images=images, curves=self.curves)

        return {measure: by(measure) for measure in self.study.shown_measures}

    @property
    def outcomes(self) -> Outcomes:
        """The outcomes of all arms by the measure of the study."""
        return self.outcomes_by_measure[self.study.measure]

    @cached_property
    def findings(self) -> list[Finding]:
        """The results of all planned contrasts, then of the other arms against the baseline."""
        found = findings(self.study, self.outcomes_by_measure, self.nets)
        return found if self.as_planned else [replace(each, planned=False) for each in found]

    @cached_property
    def _finding_by_arm(self) -> dict[str, Finding]:
        # Planned contrasts come first, and replace later findings of the same arm.
        return {found.arm: found for found in reversed(self.findings) if found.measure == self.study.measure}

    def finding_of(self, arm: str) -> Finding | None:
        """Return the finding of an arm by the measure of the study: planned, or else against the baseline."""
        return self._finding_by_arm.get(arm)

    @cached_property
    def best(self) -> str | None:
        """The arm that is better than every other arm; None if there is none."""
        complete = [arm.arm for arm in self.summaries if not arm.unfinished and not arm.lost]
        return best(self.study, self.outcomes, complete)

    @cached_property
    def predicted(self) -> PredictedArms:
        """The predictions of arms for the test images."""
        splits = [facts["splits"]["test"]["sha256"] for facts in (self.folder.data, *self._variants) if facts]
        return PredictedArms.of(
            self.setups,
            self.records,
            self.predictions,
            by_seed=self.study.dataset.split == "seed",
            same=dict.fromkeys(splits, splits[0]) if splits else {},
        )

    @property
    def _variants(self) -> list[dict[str, Any]]:
        """The facts of the data that arms set; their test images are those of the study."""
        return [each["facts"] for each in self.folder.variants]

    def image_interval(self, found: Finding) -> TwoWay | None:
        """Return the interval of a comparison on images like the test images; None if it cannot be computed."""
        failures = self.outcomes_by_measure[found.measure].failures
        failed = {seed for arm in (found.arm, found.versus) for seed in failures[arm]}
        facts = self.folder.data
        return self.predicted.interval(
            found,
            failed=failed if found.mixed else (),
            train=facts["splits"]["train"]["images"] if facts else None,
        )

    @cached_property
    def agreement(self) -> Agreement | None:
        """The rank agreement between our arms and the published ones."""
        return agreement(self.study, self.outcomes_by_measure[MEASURES["test_error"]], self.summaries)

    @cached_property
    def effects(self) -> list[Effect]:
        """The effects of a design's factors; empty if the design has no main effects."""
        return effects(self.study, self.outcomes)

    @cached_property
    def effect_notes(self) -> list[str]:
        """Notes on the effects of factors, such as their definition and missing cells."""
        return effect_notes(self.study, self.outcomes)

    @property
    def compared_with_medians(self) -> bool:
        """Whether the published error of an arm is a median, so that ours is shown too."""
        return any(arm.published and arm.published.statistic == "median" for arm in self.summaries)

    @property
    def as_planned(self) -> bool:
        """Whether the planned contrasts are the same as those stored before the first trial."""
        sessions = self.folder.read_manifest().get("sessions", [])
        return bool(sessions) and sessions[0].get("planned") == self.study.plan_hash

    @property
    def failed(self) -> bool:
        """Whether a trial of this study failed."""
        return any(arm.ended.get("failed") for arm in self.summaries)
