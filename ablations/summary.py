"""What a run has found so far: one row an arm, its trials over seeds beside what was published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ablations.published import Published, of_arms
from ablations.study import Ablation
from resnet_space import Architecture, Complexity, complexity
from search.store import TrialRecord
from search.trial import FINISHED

WORST = 1.0
"""The error that stands for no number in a ranking: all such arms tie, behind everything that was measured."""


@dataclass(frozen=True)
class ArmSummary:
    """One arm. Errors are fractions of the test split, over the seeds whose trial is complete."""

    arm: str
    key: str
    complexity: Complexity
    errors: tuple[float, ...]
    ended: Mapping[str, int]
    """Trials by status."""
    planned: int
    fail_above: float
    published: Published | None

    @property
    def n(self) -> int:
        return len(self.errors)

    @property
    def mean(self) -> float | None:
        return fmean(self.errors) if self.errors else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds (n - 1), None below two."""
        return stdev(self.errors) if self.n > 1 else None

    @property
    def unfinished(self) -> int:
        return self.planned - sum(self.ended.get(status, 0) for status in FINISHED)

    @property
    def outcome(self) -> str:
        """What became of the arm: "fail" as the papers use it, trials that did not end well, what is still to come."""
        parts = [
            f"{self.ended[status]} of {self.planned} {status}"
            for status in ("diverged", "failed", "pruned", "infeasible")
            if self.ended.get(status)
        ]
        if self.mean is not None:
            parts.insert(0, "fail" if self.mean > self.fail_above else "trained")
        if self.unfinished:
            parts.append(f"{self.unfinished} of {self.planned} to come")
        return ", ".join(parts)

    @property
    def rank_error(self) -> float | None:
        """The error to rank by: an arm with trials that diverged or failed counts as worst; None before any end."""
        return WORST if self.ended.get("diverged") or self.ended.get("failed") else self.mean


def summarise(study: Ablation, nets: Mapping[str, Architecture], records: Iterable[TrialRecord]) -> list[ArmSummary]:
    """One summary an arm, in the study's order; arms that are the same network share their trials."""
    published = of_arms(study)
    by_net: dict[str, list[TrialRecord]] = {}
    for record in records:
        by_net.setdefault(record.architecture, []).append(record)
    return [
        ArmSummary(
            arm=name,
            key=net.key,
            complexity=complexity(net),
            errors=tuple(r.test_error for r in by_net.get(net.key, []) if r.test_error is not None),
            ended=Counter(r.status for r in by_net.get(net.key, [])),
            planned=study.seeds,
            fail_above=study.fail_above,
            published=published.get(name),
        )
        for name, net in nets.items()
    ]


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b between our ranking of arms and the published one.

    What the paper calls "fail" has no number, and ties as worst there; our arms rank by their mean error, those with
    trials that diverged or failed as worst.
    """

    tau: float
    arms: int


def agreement(summaries: Sequence[ArmSummary]) -> Agreement | None:
    """Rank agreement over the arms that have both; None for fewer than three, or where one side ranks nothing."""
    from scipy.stats import kendalltau

    pairs = [
        (ours.rank_error, WORST if ours.published.fails else ours.published.error)
        for ours in summaries
        if ours.published and ours.rank_error is not None and (ours.published.fails or ours.published.error)
    ]
    if len(pairs) < 3 or any(len({pair[side] for pair in pairs}) < 2 for side in (0, 1)):
        return None
    ours, theirs = zip(*pairs, strict=True)
    return Agreement(tau=float(kendalltau(ours, theirs).statistic), arms=len(pairs))
