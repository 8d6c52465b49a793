"""The results of an ablation so far: one summary per arm, over its seeds, with the published result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING

from ablations.measured import Curves, by_trial, measured
from ablations.outcomes import FAILED_TO_TRAIN, failed_to_train
from ablations.published import Published, results_of_arms
from ablations.study import Ablation
from resnet_space import complexity
from search.measures.catalogue import MEASURES, Measure
from search.trials.events import FINISHED
from search.trials.record import TrialRecord
from search.trials.setup import Setup

if TYPE_CHECKING:
    import pandas as pd

ENDS = {"diverged": "diverged", "failed": "lost", "pruned": "pruned", "infeasible": "infeasible"}
"""How the state of an arm names trials that ended without a result."""
WORST = 1.0
"""The error of an arm without a number in a ranking: all such arms tie, after all arms with a measured error."""


@dataclass(frozen=True)
class ArmSummary:
    """The results of one arm. Errors are fractions of the test split.

    A trial that diverged or failed to train (see `outcomes`) is an outcome of the arm. One that failed otherwise is
    missing. If an arm failed at some seeds and trained at others, a mean of both would describe neither:
    `errors`, `mean` and `std` are of the trials that trained, next to the number of failures.
    """

    arm: str
    key: str
    params: int
    macs: int
    measured: Mapping[str, Mapping[int, float]]
    """The results of complete trials, by measure and seed, for the measures that the study shows or compares."""
    ended: Mapping[str, int]
    """The number of trials by status."""
    planned: int
    fail_above: float
    published: Published | None
    censored: Mapping[str, Collection[int]] = field(default_factory=dict)
    """The seeds of complete trials that never reached the error of a measure, by measure; they have no value."""

    @cached_property
    def failed_seeds(self) -> Sequence[int]:
        """The seeds at which the arm failed to train."""
        return failed_to_train(self.measured["test_error"], self.fail_above)

    @property
    def errors(self) -> tuple[float, ...]:
        """The errors of complete trials that trained, or of all complete trials if none trained."""
        return self.values(MEASURES["test_error"])

    def values(self, measure: Measure) -> tuple[float, ...]:
        """Return a measure of complete trials that trained, or of all complete trials if none trained."""
        failed = self.failed_seeds if len(self.failed_seeds) < len(self.measured["test_error"]) else ()
        return tuple(value for seed, value in self.measured[measure.name].items() if seed not in failed)

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
    def median(self) -> float | None:
        """The median over all outcomes, with `WORST` for trials that diverged: the statistic of 1603.05027."""
        found = [*self.measured["test_error"].values(), *[WORST] * self.ended.get("diverged", 0)]
        return median(found) if found else None

    @property
    def failures(self) -> int:
        """The number of trials that diverged or failed to train."""
        return self.ended.get("diverged", 0) + len(self.failed_seeds)

    @property
    def outcomes(self) -> int:
        """The number of trials that say something about the arm: complete or diverged."""
        return self.ended.get("complete", 0) + self.ended.get("diverged", 0)

    @property
    def mixed(self) -> bool:
        """Whether the arm failed at some seeds and trained at others."""
        return 0 < self.failures < self.outcomes

    @property
    def lost(self) -> int:
        """The number of trials that failed by a fault of the machine or the program: they are missing data."""
        return self.ended.get("failed", 0)

    @property
    def unfinished(self) -> int:
        return self.planned - sum(self.ended.get(status, 0) for status in FINISHED)

    @property
    def outcome(self) -> str:
        """The state of the arm: "trained" or "fail" (as in the papers), then failures and missing trials."""
        parts = []
        if 0 < len(self.failed_seeds) < self.ended.get("complete", 0):
            parts.append(f"{len(self.failed_seeds)} of {self.planned} {FAILED_TO_TRAIN}")
        parts += [
            f"{self.ended[status]} of {self.planned} {word}" for status, word in ENDS.items() if self.ended.get(status)
        ]
        if self.mean is not None:
            parts.insert(0, "fail" if self.mean > self.fail_above else "trained")
        if self.unfinished:
            parts.append(f"{self.unfinished} of {self.planned} waiting")
        return ", ".join(parts)

    @property
    def rank_error(self) -> float | None:
        """The error to rank by: the mean over all outcomes, with `WORST` for those that are failures of some seeds.

        So arms rank by their rate of failures first. None without an outcome.
        """
        if not self.outcomes:
            return None
        if not self.mean or self.mean > self.fail_above:
            return self.mean if not self.ended.get("diverged") else WORST
        return (WORST * self.failures + self.mean * self.n) / (self.failures + self.n)


def summarise(
    study: Ablation,
    setups: Mapping[str, Setup],
    records: Iterable[TrialRecord],
    curves: pd.DataFrame | None = None,
) -> list[ArmSummary]:
    """Return one summary per arm, in the study's order; arms with the same setup share their trials.

    `records` must be the run's own trials, since other trials with the same network and seed would replace them.
    `curves` is `Store.curves()`, for measures of epochs.
    """
    epochs = {} if curves is None else by_trial(curves)
    published = results_of_arms(study)
    trials: dict[str, list[TrialRecord]] = {}
    for record in sorted(records, key=lambda record: record.seed):
        trials.setdefault(record.setup, []).append(record)
    return [
        _summary(study, name, setup, trials.get(setup.key, []), epochs, published.get(name))
        for name, setup in setups.items()
    ]


def _summary(
    study: Ablation,
    name: str,
    setup: Setup,
    trials: list[TrialRecord],
    curves: Curves,
    published: Published | None,
) -> ArmSummary:
    # A stored trial has its costs; counting is slow.
    cost = trials[0] if trials else complexity(setup.net)
    found = {measure.name: measured(measure, trials, curves) for measure in study.shown_measures}
    return ArmSummary(
        arm=name,
        key=setup.net.key,
        params=cost.params,
        macs=cost.macs,
        measured={measure: each.values for measure, each in found.items()},
        ended=Counter(trial.status for trial in trials),
        planned=max(study.least_seeds, len(trials)),
        fail_above=study.fail_above,
        published=published,
        censored={measure: set(each.beyond) for measure, each in found.items()},
    )
