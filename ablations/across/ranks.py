"""All arms compared over data sets by their ranks: Friedman's test, and Nemenyi's critical difference.

On each of N data sets the k arms are ranked by their error: 1 is the best, and equal ones share their mean rank. Errors
on different data sets are on different scales, ranks are not. After Demšar 2006, Statistical comparisons of classifiers
over multiple data sets, Journal of Machine Learning Research 7, 1-30.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial, inf, sqrt

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError

MIN_ARMS = 3
"""Two arms are compared by their difference: ranks of two only count wins."""
DRAWS = 99_999
"""The number of permutations of ranks that are drawn, if there are more in all. They are always the same."""
MAX_HELD_NUMBERS = 2_000_000
"""The maximum number of permuted ranks in memory at a time."""


@dataclass(frozen=True)
class Ranks:
    """The ranks of arms over data sets, and what can be said by them."""

    arms: Sequence[str]
    by_set: Mapping[str, Sequence[float]]
    """The rank of each arm, in the order of `arms`, by data set."""
    alpha: float
    chi2: float
    """Friedman's χ², corrected for ties, with k - 1 degrees of freedom."""
    f: float
    """F = (N - 1) χ² / (N (k - 1) - χ²), with k - 1 and (k - 1)(N - 1) degrees of freedom; infinite if arms have the
    same order on every data set. Iman and Davenport 1980, Communications in Statistics A 9, 571-595."""
    p: float
    """Friedman's test by permutation: of all orders of the ranks on each data set, the share with at least this χ²."""

    @property
    def average(self) -> list[float]:
        """The average rank of each arm."""
        return [float(rank) for rank in np.mean(list(self.by_set.values()), axis=0)]

    @property
    def critical_difference(self) -> float:
        return critical_difference(len(self.arms), len(self.by_set), self.alpha)

    @property
    def smallest_p(self) -> Fraction:
        """The p-value of arms that have the same order on every data set: no results can have a smaller one."""
        return Fraction(1, factorial(len(self.arms)) ** (len(self.by_set) - 1))

    @property
    def can_test(self) -> bool:
        """Whether Friedman's test can have p <= alpha with so few arms and data sets."""
        return self.smallest_p <= self.alpha

    @property
    def can_separate(self) -> bool:
        """Whether two average ranks can differ by the critical difference: they differ by at most k - 1."""
        return self.critical_difference < len(self.arms) - 1

    @property
    def resolved(self) -> bool:
        """Whether arms are shown to differ."""
        return self.can_test and self.p <= self.alpha

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """Sets of arms whose average ranks differ by less than the critical difference, by their places in `arms`.

        Each is as large as possible and has at least two arms; from best to worst.
        """
        rank, widest = self.average, self.critical_difference
        order = sorted(range(len(rank)), key=rank.__getitem__)
        found: list[tuple[int, ...]] = []
        reached = 0
        for at, first in enumerate(order):
            last = max(place for place, arm in enumerate(order) if rank[arm] - rank[first] < widest)
            if last > max(at, reached):
                found.append(tuple(order[at : last + 1]))
            reached = max(reached, last)
        return found


def rank_arms(arms: Sequence[str], errors: Mapping[str, Sequence[float]], *, alpha: float = 0.05) -> Ranks:
    """Rank arms by their errors on each data set, in the order of `arms`.

    Raises:
        InputError: fewer than three arms or two data sets, or a data set without a number for each arm.
    """
    from scipy import stats

    if len(arms) < MIN_ARMS or len(errors) < 2:
        raise InputError(f"{len(arms)} arms on {len(errors)} data sets; ranks need at least {MIN_ARMS} and 2")
    for name, row in errors.items():
        if len(row) != len(arms) or not np.isfinite(row).all():
            raise InputError(f"data set {name}: needs a number for each of {len(arms)} arms; got {list(row)}")
    ranks = np.array([stats.rankdata(row) for row in errors.values()])
    (n, k), chi2 = ranks.shape, friedman(ranks)
    rest = n * (k - 1) - chi2
    return Ranks(
        arms=tuple(arms),
        by_set={name: tuple(map(float, row)) for name, row in zip(errors, ranks, strict=True)},
        alpha=alpha,
        chi2=chi2,
        f=(n - 1) * chi2 / rest if rest > 1e-9 * chi2 else inf if chi2 else 0.0,
        p=_permuted_p(ranks),
    )


def friedman(ranks: NDArray[np.float64]) -> float:
    """Return Friedman's χ² of ranks (N, k), corrected for ties; 0 if on every data set all arms are equal."""
    from scipy import stats

    if (ranks == ranks[:, :1]).all():
        return 0.0
    return float(stats.friedmanchisquare(*ranks.T).statistic)


def critical_difference(arms: int, datasets: int, alpha: float = 0.05) -> float:
    """Return q(alpha; k, ∞) / √2 * √(k (k + 1) / (6 N)), with q of the studentised range. Nemenyi 1963.

    Two of k arms differ if their average ranks over N data sets differ by at least this.
    """
    from scipy import stats

    q = float(stats.studentized_range.isf(alpha, arms, inf))
    return q / sqrt(2) * sqrt(arms * (arms + 1) / (6 * datasets))


def datasets_needed(arms: int, alpha: float = 0.05) -> int:
    """Return the smallest number of data sets with which the critical difference is less than k - 1 ranks."""
    return next(n for n in range(2, 1000) if critical_difference(arms, n, alpha) < arms - 1)


def _permuted_p(ranks: NDArray[np.float64]) -> float:
    """Return the share of permutations of each row whose column sums vary at least as much as those of the ranks.

    χ² rises with Σ_j (Σ_i r_ij)², and nothing else in it changes by a permutation within a row. The share is exact if
    there are at most `DRAWS` permutations, and else over `DRAWS` random ones and the ranks themselves.
    """
    n, k = ranks.shape
    seen = float((ranks.sum(axis=0) ** 2).sum())
    # Only the ranks in each row matter, and neither their order nor that of the rows.
    rows = np.sort(ranks, axis=1)
    rows = rows[np.lexsort(rows.T)]
    if factorial(k) ** (n - 1) <= DRAWS:
        from itertools import permutations

        # The first row can keep its order: only orders relative to it matter.
        sums = rows[:1]
        orders = np.array(list(permutations(range(k))))
        for row in rows[1:]:
            sums = (sums[:, None, :] + row[orders][None, :, :]).reshape(-1, k)
        return float(np.mean((sums**2).sum(axis=1) >= seen - 1e-9))
    random, most, found = np.random.default_rng(0), max(1, MAX_HELD_NUMBERS // (n * k)), 1
    for done in range(0, DRAWS, most):
        drawn = random.permuted(np.tile(rows, (min(most, DRAWS - done), 1, 1)), axis=2)
        found += int(np.sum((drawn.sum(axis=1) ** 2).sum(axis=1) >= seen - 1e-9))
    return found / (DRAWS + 1)
