"""The results of an ablation so far: one summary per arm, over its seeds, with the published result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ablations.contrasts import MEASURES
from ablations.published import Published, results_of_arms
from ablations.study import Ablation
from resnet_space import Architecture, complexity
from search.trials.events import FINISHED
from search.trials.record import TrialRecord

WORST = 1.0
"""The error of an arm without a number in a ranking: all such arms tie, after all arms with a measured error."""


@dataclass(frozen=True)
class ArmSummary:
    """The results of one arm. Errors are fractions of the test split, over the seeds whose trial is complete."""

    arm: str
    key: str
    params: int
    macs: int
    measured: Mapping[str, Mapping[int, float]]
    """The results of complete trials, by measure and seed."""
    ended: Mapping[str, int]
    """The number of trials by status."""
    planned: int
    fail_above: float
    published: Published | None

    @property
    def errors(self) -> tuple[float, ...]:
        return tuple(self.measured["test_error"].values())

    @property
    def n(self) -> int:
        return len(self.errors)

    @property
    def mean(self) -> float | None:
        return fmean(self.errors) if self.errors else None

    @property
    def std(self) -> float | None:
        """The sample standard deviation over seeds (n - 1); None below two seeds."""
        return stdev(self.errors) if self.n > 1 else None

    @property
    def bad(self) -> int:
        """The number of trials that diverged or failed; they are not part of the mean."""
        return self.ended.get("diverged", 0) + self.ended.get("failed", 0)

    @property
    def unfinished(self) -> int:
        return self.planned - sum(self.ended.get(status, 0) for status in FINISHED)

    @property
    def outcome(self) -> str:
        """The state of the arm: "trained" or "fail" (as in the papers), then trials that are incomplete or waiting."""
        parts = [
            f"{self.ended[status]} of {self.planned} {status}"
            for status in ("diverged", "failed", "pruned", "infeasible")
            if self.ended.get(status)
        ]
        if self.mean is not None:
            parts.insert(0, "fail" if self.mean > self.fail_above else "trained")
        if self.unfinished:
            parts.append(f"{self.unfinished} of {self.planned} waiting")
        return ", ".join(parts)

    @property
    def rank_error(self) -> float | None:
        """The error to rank by: `WORST` if trials diverged or failed, else the mean; None if no trial has ended."""
        return WORST if self.bad else self.mean


def summarise(study: Ablation, nets: Mapping[str, Architecture], records: Iterable[TrialRecord]) -> list[ArmSummary]:
    """Return one summary per arm, in the study's order; arms that are the same network share their trials.

    `records` must be the run's own trials, since other trials with the same network and seed would replace them.
    """
    published = results_of_arms(study)
    by_net: dict[str, list[TrialRecord]] = {}
    for record in sorted(records, key=lambda record: record.seed):
        by_net.setdefault(record.architecture, []).append(record)
    return [_summary(study, name, net, by_net.get(net.key, []), published.get(name)) for name, net in nets.items()]


def _summary(
    study: Ablation, name: str, net: Architecture, trials: list[TrialRecord], published: Published | None
) -> ArmSummary:
    # A stored trial has its costs; counting is slow.
    cost = trials[0] if trials else complexity(net)
    measured = {
        measure: {
            trial.seed: value
            for trial in trials
            if trial.status == "complete" and (value := getattr(trial, MEASURES[measure].column)) is not None
        }
        for measure in MEASURES
    }
    return ArmSummary(
        arm=name,
        key=net.key,
        params=cost.params,
        macs=cost.macs,
        measured=measured,
        ended=Counter(trial.status for trial in trials),
        planned=max(study.least_seeds, len(trials)),
        fail_above=study.fail_above,
        published=published,
    )


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b between our ranking of arms and the published one.

    Arms that the paper reports as "fail" have no number and tie as worst. Our arms rank by their mean error, those with
    trials that diverged or failed as worst. The interval is over bootstrap draws of our seeds, within each arm.
    """

    tau: float
    arms: int
    low: float | None = None
    high: float | None = None


def agreement(summaries: Sequence[ArmSummary], *, draws: int = 500, seed: int = 0) -> Agreement | None:
    """Return the agreement over arms with both results; None for fewer than three arms, or if all of one side tie."""
    import numpy as np
    from scipy.stats import kendalltau

    both = [
        arm
        for arm in summaries
        if arm.published and arm.rank_error is not None and (arm.published.fails or arm.published.error)
    ]
    theirs = [WORST if arm.published.fails else arm.published.error for arm in both if arm.published]
    ours = [arm.rank_error for arm in both]
    if len(both) < 3 or any(len(set(side)) < 2 for side in (ours, theirs)):
        return None
    tau = float(kendalltau(ours, theirs).statistic)
    if any(arm.n < 2 and not arm.bad for arm in both):
        return Agreement(tau, len(both))
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        again = [WORST if arm.bad else float(rng.choice(arm.errors, arm.n).mean()) for arm in both]
        if len(set(again)) > 1:
            drawn.append(float(kendalltau(again, theirs).statistic))
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (tau, tau)
    return Agreement(tau, len(both), float(low), float(high))
