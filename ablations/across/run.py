"""The results of an ablation on several data sets so far, read from its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ablations.across.findings import FindingAcross, findings_across
from ablations.across.ranks import MIN_ARMS, Ranks, rank_arms
from ablations.run import AblationRun
from ablations.study import Ablation
from search.files.folder import RunFolder
from search.running.liveness import Liveness
from search.store import membership
from search.store.store import Store
from search.trials.record import TrialRecord


@dataclass(frozen=True)
class RunAcross:
    """The results of an ablation on several data sets: on each of them they are those of an ablation as any other."""

    study: Ablation
    folder: RunFolder
    parts: Mapping[str, AblationRun]
    """The results on each data set, by its label."""
    counts: Mapping[str, int]
    reasons: list[tuple[str, str, int]]
    others: int
    """The number of stored trials that do not belong to this run, on any of its data sets."""

    @classmethod
    def of(cls, study: Ablation, folder: RunFolder, store: Store) -> RunAcross:
        """Read the results from the store; the run can still be running.

        Raises:
            InputError: no stored trial belongs to the run on one of its data sets.
        """
        parts = {
            label: AblationRun.of(on_one, folder.at(place), store)
            for place, (label, on_one) in enumerate(study.on_each.items())
        }
        records = [record for part in parts.values() for record in part.records]
        standing = membership.run_status(records, store.run_status())
        others = next(iter(parts.values())).others
        return cls(study, folder, parts, Liveness.of(folder, standing).counts, standing.reasons, others)

    @property
    def records(self) -> list[TrialRecord]:
        """The trials on all data sets."""
        return [record for part in self.parts.values() for record in part.records]

    @cached_property
    def findings(self) -> list[FindingAcross]:
        """The results of all planned contrasts over data sets, then of the other arms against the baseline."""
        return findings_across(
            self.study,
            {label: part.findings for label, part in self.parts.items()},
            {label: part.outcomes_by_measure for label, part in self.parts.items()},
        )

    @cached_property
    def ranked(self) -> dict[str, dict[str, float]]:
        """The errors that arms are ranked by (see `ArmSummary.rank_error`), by arm and data set.

        Arms without an outcome on some data set are left out.
        """
        by_set = {label: {arm.arm: arm for arm in part.summaries} for label, part in self.parts.items()}
        found = {}
        for name in next(iter(by_set.values())):
            arms = {label: arms[name] for label, arms in by_set.items() if name in arms}
            errors = {label: error for label, arm in arms.items() if (error := arm.rank_error) is not None}
            if len(errors) == len(self.parts):
                found[name] = errors
        return found

    @cached_property
    def rank_errors(self) -> dict[str, dict[str, float]]:
        """The same for distinct networks: of arms with one setup on every data set, the first."""
        distinct: dict[tuple[str, ...], str] = {}
        for name in self.ranked:
            distinct.setdefault(tuple(part.setups[name].key for part in self.parts.values()), name)
        return {name: self.ranked[name] for name in distinct.values()}

    @cached_property
    def ranks(self) -> Ranks | None:
        """The ranks of arms over data sets; None for fewer than three arms with a result on every data set."""
        errors = self.rank_errors
        if len(errors) < MIN_ARMS:
            return None
        by_set = {label: [own[label] for own in errors.values()] for label in self.parts}
        return rank_arms(list(errors), by_set, alpha=self.study.planned.alpha)

    @cached_property
    def shared_test_images(self) -> list[str]:
        """The labels of data sets whose test images are those of another data set of the study."""
        facts = {label: part.folder.data for label, part in self.parts.items()}
        digests = {label: data["splits"].get("test", {}).get("sha256") for label, data in facts.items() if data}
        known = Counter(digests.values())
        return [label for label, digest in digests.items() if digest and known[digest] > 1]

    @property
    def as_planned(self) -> bool:
        """Whether the planned contrasts are the same as those stored before the first trial."""
        return all(part.as_planned for part in self.parts.values())

    @property
    def failed(self) -> bool:
        """Whether a trial of this study failed."""
        return any(part.failed for part in self.parts.values())
