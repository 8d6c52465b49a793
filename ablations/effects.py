"""Paired differences between arms: effect, interval, p-value, or the reason why there is none.

An arm's results are errors by seed. Seed k gives all arms the same data order, so arms are compared seed by seed. With
d = arm - other over the n seeds that both arms have, delta the mean of d and std its sample standard deviation,
t = delta / (std / √n).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, lgamma, sqrt

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError, unknown

Values = Mapping[int, float]
"""The values of a measure by seed. An error is a fraction; smaller is better."""

MIN_PAIRS = 3
"""With fewer pairs there is no p-value: the spread of two differences contains almost no information."""
MIN_BOOTSTRAP_PAIRS = 5
"""With fewer pairs, the bootstrap interval is far too short."""
BOOTSTRAP_DRAWS = 9999
"""The number of resamples of the bootstrap. They are always the same, so that equal results have equal intervals."""
MAX_HELD_NUMBERS = 10_000_000
"""The maximum number of resampled values in memory at a time."""
MAX_SIGN_FLIP_PAIRS = 40
"""The maximum number of pairs of `sign_flip`: it computes 2^20 sums of each half."""
DECIMALS = 12
"""Differences are rounded to this many decimals, which removes floating-point noise only: 0.3 - 0.2 is 0.2 - 0.1."""


@dataclass(frozen=True)
class Difference:
    """arm - other, over the seeds that both have."""

    n: int
    """The number of pairs."""
    missing: tuple[int, ...]
    """Planned seeds that one of the two lacks."""
    delta: float | None
    """The mean difference; None without a pair."""
    std: float | None
    """The sample standard deviation of the differences; None below two pairs."""
    low: float | None
    """The paired t interval, delta ± t(n - 1) * std / √n; None below two pairs, of zero width if std is 0."""
    high: float | None
    boot_low: float | None
    """The interval of `bootstrap`; None below `MIN_BOOTSTRAP_PAIRS` pairs."""
    boot_high: float | None
    p: float | None
    """The two-sided p-value; None below `MIN_PAIRS` pairs, or if the test gives none."""
    why_no_p: str
    """The reason if p is None, else empty."""
    size: float | None
    """J(n - 1) * delta / std, the standardised mean difference of pairs, corrected for its bias in small samples.

    J(m) = Γ(m/2) / (√(m/2) * Γ((m - 1)/2)), Hedges 1981, Journal of Educational Statistics 6, 107-128. None if std is
    0, and below three pairs, for which J is 0.
    """


Test = Callable[[NDArray[np.float64]], float | str]
"""From at least `MIN_PAIRS` differences, not all 0, to the two-sided p-value, or to the reason why there is none."""


def paired_t(d: NDArray[np.float64]) -> float | str:
    """Return P(|T| >= |t|) for Student's t with n - 1 degrees of freedom; no p-value if all differences are equal."""
    from scipy import stats

    mean, std = _mean_and_std(d)
    if not std:
        return f"all {len(d)} differences are {mean:g}: without spread there is no t"
    return float(2 * stats.t.sf(abs(mean) / (std / sqrt(len(d))), len(d) - 1))


def wilcoxon(d: NDArray[np.float64]) -> float:
    """Return the p-value of the signed-rank test with W, the sum of the ranks of positive differences.

    It is exact, also with ties: W is compared with its values for all 2^n signs. Differences of 0 are left out; equal
    ones share their mean rank. The smallest p-value of n pairs is 2^(1 - n): 0.25 for three pairs, below 0.05 from six.
    Wilcoxon 1945, Biometrics Bulletin 1, 80-83.
    """
    from scipy import stats

    d = d[d != 0]
    ranks = np.rint(2 * stats.rankdata(np.abs(d))).astype(int)  # twice, so that shared ranks are whole
    ways = np.ones(1)
    for rank in ranks:
        with_it = np.concatenate([np.zeros(rank), ways])
        with_it[: len(ways)] += ways
        ways = with_it / 2
    seen = int(ranks[d > 0].sum())
    tail = min(seen, int(ranks.sum()) - seen)
    return min(1.0, float(2 * ways[: tail + 1].sum()))


def sign_flip(d: NDArray[np.float64]) -> float | str:
    """Return the share of all 2^n choices of signs whose |sum| is at least that of the differences.

    It is exact and assumes no distribution. The smallest p-value of n pairs is 2^(1 - n), as for `wilcoxon`. Above
    `MAX_SIGN_FLIP_PAIRS` pairs there is no p-value, since there are too many choices to count. Fisher 1935, The Design
    of Experiments, § 21.
    """
    if len(d) > MAX_SIGN_FLIP_PAIRS:
        return f"sign_flip takes at most {MAX_SIGN_FLIP_PAIRS} pairs, and there are {len(d)}"
    # Each sum is one of the 2^(n/2) sums of the first half plus one of the second half, which are sorted.
    first, second = _signed_sums(d[: len(d) // 2]), np.sort(_signed_sums(d[len(d) // 2 :]))
    least = abs(d.sum()) - 1e-9 * np.abs(d).sum()  # sums that differ by rounding are the same
    inside = np.searchsorted(second, least - first, side="left") - np.searchsorted(second, -least - first, side="right")
    return 1 - float(np.maximum(inside, 0).sum()) / 2.0 ** len(d)


TESTS: dict[str, Test] = {"paired_t": paired_t, "wilcoxon": wilcoxon, "sign_flip": sign_flip}
"""The tests by their names in a study. If all differences are 0, every test has p = 1."""


def difference(
    arm: Values,
    other: Values,
    *,
    planned: Collection[int],
    test: str = "paired_t",
    confidence: float = 0.95,
    resampled: bool = True,
) -> Difference:
    """Compare an arm with another over the seeds that both have; `planned` are the seeds that both should have.

    With `resampled`, compute the bootstrap interval too, which takes milliseconds.

    Raises:
        InputError: an unknown test, a confidence outside (0, 1), or a result that is not a finite number.
    """
    if test not in TESTS:
        raise unknown("test", test, TESTS, path="test")
    _check_fraction("confidence", confidence)
    for values in (arm, other):
        for seed, value in values.items():
            if not isfinite(value):
                raise InputError(f"seed {seed}: {value} is not a finite number; leave out seeds without a result")
    seeds = sorted(set(arm) & set(other))
    missing = tuple(sorted(set(planned) - set(seeds)))
    d = np.round(np.array([arm[seed] - other[seed] for seed in seeds], dtype=float), DECIMALS) + 0.0
    n = len(d)
    few = f"{n} {'pair' if n == 1 else 'pairs'} of seeds; a test needs {MIN_PAIRS}" if n < MIN_PAIRS else ""
    if n < 2:
        delta = float(d[0]) if n else None
        return Difference(n, missing, delta, None, None, None, None, None, None, few, None)
    from scipy import stats

    mean, std = _mean_and_std(d)
    half = float(stats.t.isf((1 - confidence) / 2, n - 1)) * std / sqrt(n)
    boot_low, boot_high = bootstrap(d, confidence) if resampled and n >= MIN_BOOTSTRAP_PAIRS else (None, None)
    p = few or (TESTS[test](d) if d.any() else 1.0)
    return Difference(
        n=n,
        missing=missing,
        delta=mean,
        std=std,
        low=mean - half,
        high=mean + half,
        boot_low=boot_low,
        boot_high=boot_high,
        p=None if isinstance(p, str) else p,
        why_no_p=p if isinstance(p, str) else "",
        size=_hedges(n - 1) * mean / std if std and n >= MIN_PAIRS else None,
    )


def bootstrap(d: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Return the expanded percentile interval of the mean, of `BOOTSTRAP_DRAWS` resamples. Hesterberg 2014, 1411.5279.

    The quantiles are q = Φ(-√(n / (n - 1)) * t(n - 1; 1 - (1 - confidence) / 2)) and 1 - q. They are wider than the
    plain ones, which corrects the too small spread of the resamples. The share of 3,000 samples of n = 5, 8, 10 and 20
    whose 95 % interval contained the mean:

        normal       this .93 .94 .94 .95   plain percentile .85 .88 .91 .93   BCa .84 .88 .91 .92   t .96 .95 .95 .95
        exponential  this .88 .90 .91 .92   plain percentile .79 .85 .86 .90   BCa .81 .86 .88 .91   t .89 .89 .90 .92

    If all differences are equal, the interval has zero width.
    """
    from scipy import stats

    mean, std = _mean_and_std(d)
    if not std:
        return mean, mean
    n = len(d)
    outside = 2 * stats.norm.sf(sqrt(n / (n - 1)) * stats.t.isf((1 - confidence) / 2, n - 1))
    # Resample the sorted values, or their negatives if these sort later: the interval must depend neither on the order
    # of seeds nor on which of the two arms comes first.
    up, down = sorted(d.tolist()), sorted((-d).tolist())
    found = stats.bootstrap(
        (np.array(max(up, down)),),
        np.mean,
        n_resamples=BOOTSTRAP_DRAWS,
        batch=max(1, MAX_HELD_NUMBERS // n),
        confidence_level=1 - outside,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (low, high) if up >= down else (-high, -low)


def no_worse(difference: Difference, margin: float) -> float | None:
    """Return the one-sided p-value of H0: delta >= margin, P(T <= (delta - margin) / (std / √n)).

    A small p-value shows that the arm is not worse by the margin. It is always a t test, also if the difference used
    another test. None below `MIN_PAIRS` pairs, or if std is 0.

    Raises:
        InputError: a margin that is not above 0.
    """
    return _one_sided_p(difference, margin, 1)


def equivalent(difference: Difference, margin: float) -> float | None:
    """Return the p-value of H0: |delta| >= margin, the larger one of the t tests of delta >= margin and <= -margin.

    Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680. None if `no_worse` is None.

    Raises:
        InputError: a margin that is not above 0.
    """
    above, below = _one_sided_p(difference, margin, 1), _one_sided_p(difference, margin, -1)
    return None if above is None or below is None else max(above, below)


def _one_sided_p(found: Difference, margin: float, sign: int) -> float | None:
    """The p-value of H0: sign * delta >= margin."""
    from scipy import stats

    if not (isfinite(margin) and margin > 0):
        raise InputError(f"margin: {margin}; must be above 0, as a fraction: 0.003 is 0.3 points")
    if found.delta is None or not found.std or found.n < MIN_PAIRS:
        return None
    return float(stats.t.cdf((sign * found.delta - margin) / (found.std / sqrt(found.n)), found.n - 1))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Return Holm's adjusted p-values: in ascending order, max over j <= i of min(1, (m - j + 1) * p_j), of m p-values.

    If claims are made for adjusted p_i <= alpha, the probability of a false claim in the family is at most alpha, for
    every dependence between the tests. Holm 1979, Scandinavian Journal of Statistics 6, 65-70. A p-value of None stays
    None and counts in m; otherwise an arm whose seeds fail would make claims about the others easier.

    Raises:
        InputError: a p-value outside 0 to 1.
    """
    known = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    if wrong := [p for p, _ in known if not 0 <= p <= 1]:
        raise InputError(f"p: {wrong[0]}; must be between 0 and 1")
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for before, (p, place) in enumerate(known):
        largest = adjusted[place] = max(largest, min(1.0, (len(ps) - before) * p))
    return adjusted


def unadjusted(ps: Sequence[float | None]) -> list[float | None]:
    """Return the p-values unchanged: alpha then holds for each comparison separately, not for the family."""
    return list(ps)


@dataclass(frozen=True)
class Adjustment:
    """An adjustment of p-values for a family of comparisons."""

    adjusted: Callable[[Sequence[float | None]], list[float | None]]
    """From the p-values of a family to those that are compared with alpha."""
    strictest: Callable[[float, int], float]
    """From alpha and the size of the family to the level that is enough for each of its comparisons."""
    holds: str
    """The text in a footnote on what the level of a claim applies to."""
    mark: str = ""
    """The text after an adjusted p-value."""


ADJUSTMENTS: dict[str, Adjustment] = {
    "holm": Adjustment(holm, lambda alpha, family: alpha / family, "by Holm over its family", ", adjusted"),
    "none": Adjustment(unadjusted, lambda alpha, family: alpha, "for each comparison separately"),
}
"""The adjustments by their names in a study."""


def pairs_needed(std: float, delta: float, *, alpha: float = 0.05, power: float = 0.8, most: int = 1000) -> int | None:
    """Return the smallest n >= `MIN_PAIRS` with which a paired t test detects delta with this power; None above `most`.

    P(|T'| > t(n - 1; 1 - alpha / 2)) >= power, with T' noncentral t with n - 1 degrees of freedom and noncentrality
    √n * delta / std. For an observed delta it is only a rough guide, since the observed delta is itself uncertain.

    Raises:
        InputError: std is not above 0, delta is not finite, or alpha or power is outside (0, 1).
    """
    from scipy import stats

    if not (isfinite(std) and std > 0):
        raise InputError(f"std: {std}; must be above 0")
    if not isfinite(delta):
        raise InputError(f"delta: {delta}; must be a number")
    _check_fraction("alpha", alpha)
    _check_fraction("power", power)

    def enough(n: int) -> bool:
        # Use T'², which has a noncentral F distribution: scipy's noncentral t is NaN in its tails.
        bound = stats.t.isf(alpha / 2, n - 1) ** 2
        return bool(stats.ncf.sf(bound, 1, n - 1, n * (delta / std) ** 2) >= power)

    found = MIN_PAIRS + bisect_left(range(MIN_PAIRS, most), True, key=enough)
    return found if found <= most and enough(found) else None


def rate(events: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a rate by Clopper and Pearson 1934 (Biometrika 26, 404-413); 0 to 1 without trials.

    Raises:
        InputError: a negative number, more events than trials, or a confidence outside (0, 1).
    """
    from scipy import stats

    _check_fraction("confidence", confidence)
    _check_events(events, of)
    if not of:
        return 0.0, 1.0
    found = stats.binomtest(events, of).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)


def rates_differ(events_a: int, of_a: int, events_b: int, of_b: int) -> float:
    """Return Fisher's exact two-sided p-value of H0: two rates are equal; 1 if one of them has no trials.

    Raises:
        InputError: a negative number, or more events than trials.
    """
    from scipy import stats

    _check_events(events_a, of_a)
    _check_events(events_b, of_b)
    table = [[events_a, of_a - events_a], [events_b, of_b - events_b]]
    return min(1.0, float(stats.fisher_exact(table).pvalue))


def _mean_and_std(d: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and sample standard deviation; exact if all are equal, for which rounding would give a spread above 0."""
    if (d == d[0]).all():
        return float(d[0]), 0.0
    return float(d.mean()), float(d.std(ddof=1))


def _hedges(m: int) -> float:
    return exp(lgamma(m / 2) - lgamma((m - 1) / 2)) / sqrt(m / 2)


def _signed_sums(d: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums of all 2^n choices of signs."""
    sums = np.zeros(1)
    for each in d:
        sums = np.concatenate([sums + each, sums - each])
    return sums


def _check_fraction(what: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError(f"{what}: {value}; must be between 0 and 1")


def _check_events(events: int, of: int) -> None:
    if not 0 <= events <= of:
        raise InputError(f"{events} of {of}: events must be between 0 and the number of trials")
