"""Simulated results of ablations, and what the statistics of a study say about them.

The error of an arm with a seed is a binomial count over N test images. Its log odds vary over seeds around those of
the arm, normally, with a variance of the arm's own: `SPREAD`² divided by a chi-square with `prior` degrees of freedom
over these. A seed fails with probability `collapse`. Half of the arms equal the baseline except for their spread; the
others differ from it.

Everything after the errors is the code of a run: records of trials, outcomes, interim analyses and findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import pairwise
from math import inf, nan, sqrt
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from ablations.analyses import sides
from ablations.feed import open_contrasts
from ablations.findings import Analyses, Finding, findings
from ablations.outcomes import Outcomes, failed_to_train, outcomes
from ablations.rates import rate
from ablations.study import Ablation
from search.measures.catalogue import MEASURES, Measure
from search.store.membership import StoredImages
from search.trials.record import TrialRecord
from search.trials.setup import Setup

ERROR = MEASURES["test_error"]

SPREAD = 0.15
"""The usual standard deviation over seeds, in log odds."""
SHIFTS = (0.5, 1.0, 2.0, 4.0)
"""The differences of arms that differ, in log odds; each is equally likely."""
ERRORS = (0.01, 0.3)
"""Where a cell has no error of its own, that of the baseline is between these, uniformly."""
COLLAPSED = (0.3, 0.9)
"""The error of a seed that fails, uniformly."""
QUANTILES = ndtri((np.arange(200) + 0.5) / 200)
"""Of the normal distribution."""
REPEATED = 1000
"""Studies of one arm by which its mean error where it trains is found."""
FAILING = 0.9
"""The error of an arm that fails at every seed."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """One setting of a simulation."""

    seeds: int | dict[str, int] = 2
    arms: int = 10
    """Without the baseline."""
    images: int = 359
    error: float | None = None
    """That of the baseline."""
    prior: float = 4
    """Degrees of freedom of the arms' variances; `inf`: all are equal."""
    spread: float = SPREAD
    collapse: float = 0.0
    diverges: bool = False
    """Whether seeds that fail diverge, and so all have the error of a guess."""
    failing: bool = False
    """Whether the last arm fails at every seed, with an error of `FAILING`."""
    correlation: float = 0.0
    """Of different arms at the same seed."""
    margin: float | None = None
    """In log odds, from the baseline: the arms that do not equal it differ by exactly this, and the question is whether
    arms are equivalent within the difference in error that belongs to it."""
    of_means: bool = True
    """Whether the margin is one of mean errors; else of errors at the log odds around which an arm's seeds vary."""
    adjust: str = "holm"
    test: str = "moderated"
    fail_above: float = 0.2

    @cached_property
    def most_seeds(self) -> int:
        return self.seeds["max"] if isinstance(self.seeds, dict) else self.seeds

    @property
    def within(self) -> float | None:
        """The margin of equivalence, in error."""
        if self.margin is None:
            return None
        assert self.error is not None
        return float(expit(logit(self.error) + self.margin)) - self.error

    def study(self) -> Ablation:
        names = [str(arm) for arm in range(self.arms + 1)]
        return Ablation.of(
            {
                "name": "simulated",
                "kind": "ablation",
                "net": "resnet20",
                "arms": {name: {"set": {"width": (16 + place) / 16}} for place, name in enumerate(names)},
                "baseline": "0",
                "data": "digits",
                "recipe": "digits",
                "seeds": self.seeds,
                "fail_above": self.fail_above,
                "planned": {
                    "compare": names[1:],
                    "test": self.test,
                    "adjust": self.adjust,
                    **({} if self.within is None else {"equivalent_within": self.within}),
                },
            }
        )


@dataclass(frozen=True)
class Draw:
    """The errors of one ablation, and the truth."""

    errors: Floats
    """(arms + 1, seeds); the baseline first."""
    collapsed: NDArray[np.bool_]
    """(arms + 1, seeds)."""
    centres: Floats
    """The log odds of each arm, (arms + 1,)."""
    spreads: Floats
    """Their standard deviations over seeds, (arms + 1,)."""

    @property
    def means(self) -> Floats:
        """The mean errors of arms over all seeds that do not collapse, (arms + 1,)."""
        return mean_errors(self.centres, self.spreads)


def mean_errors(centres: Floats, spreads: Floats) -> Floats:
    """Return the mean errors of arms with these log odds and their standard deviations."""
    return np.asarray(expit(centres[:, None] + spreads[:, None] * QUANTILES).mean(axis=1))


def trained_mean(cell: Cell, drawn: Draw, arm: int, seeds: int, fails: bool, rng: np.random.Generator) -> float:
    """Return the mean error of an arm where it trains, over repeated studies with this number of its seeds.

    Of these studies, those count in which some seeds are taken for failures although none collapses (`fails`), or none
    is; the mean is that of the other seeds. That is what an interval is about: if errors of an arm vary between 0 and
    100 %, a study that finds one of five seeds at 90 % reports that one fails, and the mean of the other four.
    """
    noise = rng.standard_normal((REPEATED, seeds))
    rates = expit(drawn.centres[arm] + drawn.spreads[arm] * noise)
    errors = rng.binomial(cell.images, rates) / cell.images
    kept, others = [], rates.mean(axis=1)
    high = errors.max(axis=1) > cell.fail_above
    for row, own in zip(errors[high].tolist(), rates[high], strict=True):
        failed = failed_to_train(dict(enumerate(row)), cell.fail_above)
        if 0 < len(failed) < seeds and fails:
            kept.append(float(np.delete(own, failed).mean()))
        elif not failed and not fails:
            kept.append(float(own.mean()))
    if not fails:
        kept += others[~high].tolist()
    # Where no study is like the one that was drawn, or all are, the mean is exact.
    return fmean(kept) if 0 < len(kept) < REPEATED else float(drawn.means[arm])


def _centres(means: Floats, spreads: Floats) -> Floats:
    """The log odds of arms with these mean errors, by bisection."""
    low, high = np.full(len(means), -100.0), np.full(len(means), 100.0)
    for _ in range(50):
        middle = (low + high) / 2
        under = mean_errors(middle, spreads) < means
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return low


def draw(cell: Cell, rng: np.random.Generator) -> Draw:
    shape = cell.arms + 1, cell.most_seeds
    base = float(logit(rng.uniform(*ERRORS) if cell.error is None else cell.error))
    spreads = np.full(shape[0], float(cell.spread))
    if cell.prior != inf:
        spreads *= np.sqrt(cell.prior / rng.chisquare(cell.prior, shape[0]))
    centres = np.full(shape[0], base)
    differing = slice(1 + cell.arms // 2, None)
    number = len(centres[differing])
    if cell.within is None:
        centres[differing] += rng.choice(SHIFTS, number)
    else:
        counted = spreads if cell.of_means else np.zeros_like(spreads)
        errors = np.full(shape[0], float(mean_errors(centres[:1], counted[:1])[0]))
        errors[differing] += cell.within * rng.choice([-1, 1] if errors[0] > 2 * cell.within else [1], number)
        centres[1:] = _centres(errors[1:], counted[1:])
    common = np.sqrt(cell.correlation) * rng.standard_normal(shape[1])
    own = np.sqrt(1 - cell.correlation) * rng.standard_normal(shape)
    rates = expit(centres[:, None] + spreads[:, None] * (common + own))
    collapsed = rng.random(shape) < cell.collapse
    rates = np.where(collapsed, rng.uniform(*COLLAPSED, shape), rates)
    if cell.failing:
        rates[-1], centres[-1], spreads[-1] = FAILING, float(logit(FAILING)), 0.0
    return Draw(rng.binomial(cell.images, rates) / cell.images, collapsed, centres, spreads)


@dataclass
class Simulation:
    """Repetitions of one cell."""

    cell: Cell
    study: Ablation = field(init=False)
    setups: Mapping[str, Setup] = field(init=False)

    def __post_init__(self) -> None:
        self.study = self.cell.study()
        self.setups = self.study.setups({self.study.dataset: StoredImages((1, 8, 8), 10, "0" * 16)})
        self._planned = [self.study.resolved_contrast(each, self.setups) for each in self.study.planned.compare]

    def findings(self, drawn: Draw) -> list[Finding]:
        """Return the findings on the baseline against every arm, after all interim analyses."""
        seeds = dict.fromkeys(self.setups, self.study.least_seeds)
        for now, more in pairwise(self.study.analyses):
            known = {measure: each.first(now) for measure, each in self.outcomes(drawn, seeds).items()}
            for contrast in open_contrasts(Analyses(self.study, known), self._planned):
                seeds |= dict.fromkeys(sides(contrast), more)
        return findings(self.study, self.outcomes(drawn, seeds), self.setups)

    def outcomes(self, drawn: Draw, seeds: dict[str, int]) -> dict[Measure, Outcomes]:
        """Return the outcomes of the first seeds of every arm."""
        records, above = self._records(drawn, seeds), self.study.fail_above
        return {ERROR: outcomes(self.setups, records, ERROR, fail_above=above, images=self.cell.images)}

    def _records(self, drawn: Draw, seeds: dict[str, int]) -> Iterable[TrialRecord]:
        failed = (drawn.collapsed & self.cell.diverges).tolist()
        for errors, diverged, (name, number) in zip(drawn.errors.tolist(), failed, seeds.items(), strict=True):
            for seed in range(number):
                yield _record(self.setups[name], seed, None if diverged[seed] else errors[seed])


def _record(setup: Setup, seed: int, error: float | None) -> TrialRecord:
    """A complete trial, or without an error one that diverged. Fields that no statistic reads are empty."""
    known: dict[str, Any] = {
        **EMPTY,
        "key": f"{setup.net.key} {seed}",
        "architecture": setup.net.key,
        "training": setup.identity.training,
        "seed": seed,
        "status": "diverged" if error is None else "complete",
        "test_error": error,
    }
    return TrialRecord(**known)


EMPTY = dict.fromkeys(each.name for each in fields(TrialRecord))


@dataclass
class Tally:
    """What was claimed in all repetitions of a cell."""

    cell: Cell
    repetitions: int = 0
    false_families: int = 0
    """Repetitions with a false claim."""
    claimable: int = 0
    """Differences that could be claimed rightly: equal arms if the question is equivalence."""
    claimed: int = 0
    """Those that were."""
    shares: list[float] = field(default_factory=list)
    """Of each repetition with intervals: the share of them that contain the true difference, where both arms train."""
    shares_of_all: list[float] = field(default_factory=list)
    """The same for the difference over all seeds that do not collapse, also those that are taken for failures."""
    confidence: list[float] = field(default_factory=list)
    """The confidence levels of all these intervals."""
    rates: int = 0
    """Intervals of rates of failure."""
    rates_covering: int = 0
    repeated: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    """Draws the repeated studies of arms, so that they do not change what is drawn otherwise."""

    def add(self, drawn: Draw, found: Sequence[Finding]) -> None:
        equivalence, half = self.cell.within is not None, self.cell.arms // 2
        claims = [each.equivalent if equivalence else each.resolved for each in found]
        wrong, right = (claims[half:], claims[:half]) if equivalence else (claims[:half], claims[half:])
        self.repetitions += 1
        self.false_families += any(wrong)
        self.claimable += len(right)
        self.claimed += sum(right)
        known: dict[tuple[int, int, bool], float] = {}
        covering = [inside for each in found if (inside := self._covers(drawn, each, known)) is not None]
        for shares, own in zip((self.shares, self.shares_of_all), zip(*covering, strict=True), strict=False):
            shares.append(fmean(own))
        for each in found[:half] if self.cell.collapse else ():
            failures = each.failures[each.arm]
            low, high = rate(failures.number, failures.seeds)
            self.rates += 1
            self.rates_covering += low <= self.cell.collapse <= high

    def _covers(
        self, drawn: Draw, found: Finding, known: dict[tuple[int, int, bool], float]
    ) -> tuple[bool, bool] | None:
        """Whether an interval contains the true difference where both train, and that over all seeds.

        Seeds that collapse are in neither. None if there is no interval, or if an arm always failed. `known` are mean
        errors by arm, seeds and failure.
        """
        low, high = found.difference.low, found.difference.high
        if low is None or high is None or any(each.number == each.seeds for each in found.failures.values()):
            return None
        self.confidence.append(found.difference.confidence)
        means, trained = [], []
        for name in (found.arm, found.versus):
            arm, failures = int(name), found.failures[name]
            fails = failures.number > drawn.collapsed[arm, : failures.seeds].sum()
            key = arm, failures.seeds, bool(fails)
            if key not in known:
                known[key] = trained_mean(self.cell, drawn, *key, self.repeated)
            trained.append(known[key])
            means.append(float(drawn.means[arm]))
        return low <= trained[0] - trained[1] <= high, low <= means[0] - means[1] <= high

    @property
    def false_alarms(self) -> float:
        return self.false_families / self.repetitions

    @property
    def false_alarms_range(self) -> tuple[float, float]:
        """The interval of `false_alarms`, 95 %."""
        return rate(self.false_families, self.repetitions)

    @property
    def power(self) -> float:
        return self.claimed / max(self.claimable, 1)

    @property
    def coverage(self) -> float:
        return fmean(self.shares) if self.shares else nan

    @property
    def coverage_of_all(self) -> float:
        """That of the differences over all seeds, also those that are taken for failures."""
        return fmean(self.shares_of_all) if self.shares_of_all else nan

    @property
    def coverage_error(self) -> float:
        """The standard error of `coverage`; intervals of one repetition have the baseline in common."""
        return stdev(self.shares) / sqrt(len(self.shares)) if len(self.shares) > 1 else nan


def simulate(cell: Cell, repetitions: int, seed: int = 0) -> Tally:
    """Return what the study of a cell claims in this many repetitions."""
    rng, simulation, tally = np.random.default_rng(seed), Simulation(cell), Tally(cell)
    for _ in range(repetitions):
        drawn = draw(cell, rng)
        tally.add(drawn, simulation.findings(drawn))
    return tally
