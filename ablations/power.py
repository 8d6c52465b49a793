"""The power of a study's test, before the run: how likely is it that a difference of this size is claimed?

An arm of error p has transformed errors x ~ N(log odds of p, v), with the variance v of `Expected`. With n seeds and a
level a, the moderated test claims a difference D of transformed means if |D| > h, where h depends on the variances that
the study happens to see. Means and variances of normal samples are independent, so its power at a true D is

    mean over h of Φ((D - h) / s) + Φ((-D - h) / s)        s² = (v_a + v_b - 2 r √(v_a v_b)) / n

over simulated studies, each with all arms. This takes far fewer studies than counting claims would. Where variances are
those of sampling, they follow the observed errors, so that h increases by a slope with the observed difference.

Tests of pairs depend on the effect size δ / std only, std that of the difference at one seed. Student's t test is
noncentral t. Tests of signs and ranks have few levels at few seeds, so they are simulated there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import product
from math import floor, pi, sqrt
from typing import NamedTuple, Protocol

import numpy as np

from ablations import effects
from ablations.expected import Expected
from ablations.moderated import Mixture, Moderated
from ablations.scales import Floats
from ablations.transformed import Ends

POWER = 0.8
"""The power at which a difference counts as one that the study can find."""
MAX_SEEDS = 1000
SEEDS_OF_STUDIES = 600
"""Simulated studies have about this number of seeds in all, but there are at least `MIN_STUDIES` of them: half-widths
differ most between studies with few seeds."""
MIN_STUDIES = 24
TOLERANCE = 1e-3
"""The relative precision of half-widths."""
MAX_STEPS = 50
MAX_PAIRS = 2
"""The maximum number of comparisons that are taken from one simulated study."""
STEP = 1.0
"""The step of the transformed errors of simulated arms."""
MAX_ARMS = 16
"""The maximum number of arms in a simulated study. More arms hardly make the variances better known."""
DRAWS = 2000
"""Simulated experiments of the tests of signs and ranks."""
QUANTILES = 400
"""Steps of the mean over observed standard deviations."""
MAX_SIMULATED = {"wilcoxon": 25, "sign_flip": 12}
"""The largest number of pairs that is simulated. Above it, the power is that of the t test with the largest possible
level or, for `wilcoxon`, with 3 / π as many pairs, its efficiency for normal differences."""
SEED = 0


class Power(Protocol):
    """The power of a test of two arms: of `versus`, whose error is `Expected`, and of an arm with another error.

    Differences and margins are fractions; `level` is that of a two-sided test of a difference, and that of each
    one-sided test of a margin.
    """

    def difference(self, seeds: int, level: float, delta: float) -> float:
        """Return the probability of a claim if the arm's error is larger by delta."""

    def no_worse(self, seeds: int, level: float, margin: float) -> float:
        """Return the probability that the arm is shown to be worse by less than the margin, if errors are equal."""

    def equivalent(self, seeds: int, level: float, margin: float) -> float:
        """Return the probability that the difference is shown to be below the margin, if both errors are equal."""


@dataclass(frozen=True)
class PowerOfPairs:
    """The power of a test of pairs. Margins are tested by Student's t, whatever the test."""

    claims: Callable[[int, float, float], float]
    """From n, level and effect size to the probability of a claim."""
    expected: Expected
    error: float
    arms: int

    def difference(self, seeds: int, level: float, delta: float) -> float:
        return self.claims(seeds, level, delta / self._std(min(self.error + delta, 1.0)))

    def no_worse(self, seeds: int, level: float, margin: float) -> float:
        from scipy import stats

        return float(stats.norm.cdf(self._room(seeds, level, margin)).mean())

    def equivalent(self, seeds: int, level: float, margin: float) -> float:
        from scipy import stats

        return float(np.maximum(2 * stats.norm.cdf(self._room(seeds, level, margin)) - 1, 0).mean())

    def _room(self, seeds: int, level: float, margin: float) -> Floats:
        """(margin - t * s / √n) / (std / √n) for observed standard deviations s, at the middles of equally likely parts
        of their distribution."""
        from scipy import stats

        df = seeds - 1
        observed = np.sqrt(stats.chi2.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES, df) / df)
        room: Floats = sqrt(seeds) * margin / self._std(self.error) - stats.t.isf(level, df) * observed
        return room

    def _std(self, error: float) -> float:
        """The standard deviation over seeds of the difference from an arm with this error."""
        a, b = self.expected.std(self.error), self.expected.std(error)
        return sqrt(a * a + b * b - 2 * self.expected.correlation * a * b)


def paired_t(n: int, level: float, effect: float) -> float:
    """Return P(|T'| > t(n - 1; 1 - level / 2)) of noncentral t with noncentrality √n * effect."""
    from scipy import stats

    # T'² has a noncentral F distribution: scipy's noncentral t is NaN in its tails.
    return float(stats.ncf.sf(stats.t.isf(level / 2, n - 1) ** 2, 1, n - 1, n * effect**2))


def wilcoxon(n: int, level: float, effect: float) -> float:
    """Return the power of the signed-rank test."""
    if n > MAX_SIMULATED["wilcoxon"]:
        return paired_t(n, level, effect * sqrt(3 / pi))
    tails = np.ones(1)
    for rank in range(1, n + 1):
        with_it = np.concatenate([np.zeros(rank), tails])
        with_it[: len(tails)] += tails
        tails = with_it / 2
    ps = np.minimum(1, 2 * np.cumsum(tails))
    d = effect + _normal(n)
    ranks = np.abs(d).argsort(axis=1).argsort(axis=1) + 1
    positive = (ranks * (d > 0)).sum(axis=1)
    return float((ps[np.minimum(positive, n * (n + 1) // 2 - positive)] <= level).mean())


def sign_flip(n: int, level: float, effect: float) -> float:
    """Return the power of the sign-flip test; 0 above `effects.MAX_SIGN_FLIP_PAIRS` pairs, where it has no p-value."""
    if n > effects.MAX_SIGN_FLIP_PAIRS:
        return 0.0
    if n > MAX_SIMULATED["sign_flip"]:
        return paired_t(n, floor(level * 2 ** (n - 1)) / 2 ** (n - 1), effect)
    # The first sign is +: all choices of signs with - have the same absolute sums.
    signs = np.array([(1, *rest) for rest in product((1, -1), repeat=n - 1)])
    d = effect + _normal(n)
    sums = np.abs(d @ signs.T)
    # Sums that differ by rounding are the same.
    return float(((sums >= sums[:, :1] - 1e-9).mean(axis=1) <= level).mean())


@cache
def _normal(n: int) -> Floats:
    """Standard normal differences at n seeds, in `DRAWS` experiments; always the same, so that power is smooth."""
    return np.random.default_rng(SEED).standard_normal((DRAWS, n))


class Simulated(NamedTuple):
    """The half-widths of the moderated test in simulated studies, and the standard error of the difference in them."""

    halves: Floats
    """At the true difference."""
    slope: float
    """Their increase with the observed difference: the variance by sampling is taken from the observed errors."""
    error: float


@dataclass(frozen=True)
class PowerOfSharedVariances:
    """The power of the moderated test; `arms` are those of the study."""

    expected: Expected
    error: float
    arms: int
    _mixtures: dict[tuple[int, int], list[Mixture]] = field(default_factory=dict)
    _halves: dict[tuple[int, int, float], Simulated] = field(default_factory=dict)

    def difference(self, seeds: int, level: float, delta: float) -> float:
        from scipy import stats

        if self.error + delta >= 1:
            return 1.0
        shift = self._transformed(self.error + delta) - self._transformed(self.error)
        halves, slope, error = self._at(seeds, 1 - level, round(shift / STEP))
        # Between steps, the half-width is taken to be proportional to the standard error.
        now = self._standard_error(seeds, self.error + delta)
        room = [(side * shift - halves * now / error) / (now * (1 - side * slope)) for side in (1, -1)]
        return float(stats.norm.cdf(room).sum(axis=0).mean())

    def no_worse(self, seeds: int, level: float, margin: float) -> float:
        from scipy import stats

        halves, _, error = self._at(seeds, 1 - 2 * level)
        return float(stats.norm.cdf((self._half_width_to(margin) - halves) / error).mean())

    def equivalent(self, seeds: int, level: float, margin: float) -> float:
        from scipy import stats

        halves, _, error = self._at(seeds, 1 - 2 * level)
        room = self._half_width_to(margin) - halves
        return float(np.maximum(2 * stats.norm.cdf(room / error) - 1, 0).mean())

    def _half_width_to(self, margin: float) -> float:
        """The half-width on the scale at which the interval of two arms of equal errors ends at the margin."""
        means = np.full(2, self._transformed(self.error))
        return Ends(0.0, np.array([1.0, -1.0]), means, np.full(2, 0.5), self.expected.scale).half_width_to(margin, 1)

    def _transformed(self, error: float) -> float:
        return float(self.expected.scale.forward(np.array([error]))[0])

    def _standard_error(self, seeds: int, error: float) -> float:
        """Of the transformed difference from an arm with this error."""
        a, b = self.expected.variance(self.error), self.expected.variance(error)
        return sqrt((a + b - 2 * self.expected.correlation * sqrt(a * b)) / seeds)

    def _at(self, seeds: int, confidence: float, step: int = 0) -> Simulated:
        """Simulated studies in which the transformed error of an arm is larger by `step` times `STEP`."""
        key = seeds, step, confidence
        if key not in self._halves:
            error = float(self.expected.scale.backward(np.array(self._transformed(self.error) + step * STEP)))
            if key[:2] not in self._mixtures:
                self._mixtures[key[:2]] = self._simulated(seeds, error)
            found = self._mixtures[key[:2]]
            halves = _half_widths(found, confidence)
            apart = np.array([mixture.delta for mixture in found]) - step * STEP
            slope = float(np.polyfit(apart, halves, 1)[0])
            self._halves[key] = Simulated(halves - slope * apart, slope, self._standard_error(seeds, error))
        return self._halves[key]

    def _simulated(self, seeds: int, error: float) -> list[Mixture]:
        """The transformed differences of an arm with this error from some of the other arms, whose errors are equal."""
        errors = np.full(max(2, min(self.arms, MAX_ARMS)), self.error)
        errors[1] = error
        middle = self.expected.scale.forward(errors)[:, None]
        std = np.sqrt([self.expected.variance(each) for each in errors])[:, None]
        studies = max(MIN_STUDIES, SEEDS_OF_STUDIES // seeds)
        found: list[Mixture] = []
        for noise in _noise(studies, len(errors), seeds, self.expected.correlation):
            values = self.expected.scale.backward(middle + std * noise)
            arms = {str(arm): dict(enumerate(row.tolist())) for arm, row in enumerate(values)}
            shared = Moderated(arms, self.expected.scale)
            found += [shared.difference("1", other) for other in arms if other != "1"][:MAX_PAIRS]
        return found


def _noise(studies: int, arms: int, seeds: int, correlation: float) -> Floats:
    """Return standard normal values, (studies, arms, seeds), of which different arms are correlated at the same seed.

    The variances of each arm are replaced by the middles of equally likely parts of their distribution, in the same
    order: of few studies, the mean of what depends on variances is then many times as precise.
    """
    from scipy import stats

    draws = np.random.default_rng(SEED)
    own, common = draws.standard_normal((studies, arms, seeds)), draws.standard_normal((studies, 1, seeds))
    noise = sqrt(1 - correlation) * own + sqrt(correlation) * common
    means = noise.mean(axis=2, keepdims=True)
    variances = noise.var(axis=2, ddof=1)
    places = variances.argsort(axis=0).argsort(axis=0)
    likely = stats.chi2.ppf((places + 0.5) / studies, seeds - 1) / (seeds - 1)
    found: Floats = means + (noise - means) * np.sqrt(likely / variances)[:, :, None]
    return found


def _half_widths(mixtures: Sequence[Mixture], confidence: float) -> Floats:
    """Return `half_width` of all mixtures, up to `TOLERANCE`, many times as fast.

    By Newton's method for the logarithm of the tail as a function of that of the half-width, which is concave: from the
    second step on, it comes closer from above. Parts of a mixture whose weights hardly change the tail are left out.
    """
    from scipy import special, stats

    kept = [each.weights > TOLERANCE * (1 - confidence) / len(each.weights) for each in mixtures]
    sizes = [int(each.sum()) for each in kept]
    weights, errors, degrees = (
        np.concatenate([getattr(each, name)[which] for each, which in zip(mixtures, kept, strict=True)])
        for name in ("weights", "errors", "degrees")
    )
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    # The density of Student's t is this factor times (1 + x² / df)^(-(df + 1) / 2).
    factors = weights / errors / np.sqrt(degrees) / special.beta(0.5, degrees / 2)
    log_h = np.log(np.add.reduceat(weights * errors, starts) * stats.norm.isf((1 - confidence) / 2))
    for _ in range(MAX_STEPS):
        h = np.exp(log_h)
        at = np.repeat(h, sizes) / errors
        tail = np.add.reduceat(weights * special.stdtr(degrees, -at), starts)
        density = np.add.reduceat(factors * (1 + at**2 / degrees) ** (-(degrees + 1) / 2), starts)
        step = np.log(2 * tail / (1 - confidence)) * tail / (density * h)
        log_h += step
        if np.abs(step).max() < TOLERANCE:
            break
    found: Floats = np.exp(log_h)
    return found


def equal_signs(n: int) -> float:
    """Return the smallest p-value of the tests of signs and ranks, that of n differences of one sign."""
    return 2.0 ** (1 - n)


@dataclass(frozen=True)
class PowerOfTest:
    """What is known of a test before the run."""

    of: Callable[[Expected, float, int], Power]
    """From what is expected, the error of `versus` and the number of arms to the power of comparisons with `versus`."""
    smallest_p: Callable[[int], float] = lambda n: 0.0
    """From n to the smallest p-value that n seeds can have."""
    most_seeds: int = MAX_SEEDS
    """With more seeds there is no p-value, or none is forecast."""


POWERS: Mapping[str, PowerOfTest] = {
    "moderated": PowerOfTest(PowerOfSharedVariances),
    "paired_t": PowerOfTest(partial(PowerOfPairs, paired_t)),
    "wilcoxon": PowerOfTest(partial(PowerOfPairs, wilcoxon), equal_signs),
    "sign_flip": PowerOfTest(partial(PowerOfPairs, sign_flip), equal_signs, effects.MAX_SIGN_FLIP_PAIRS),
}
"""By the test's name in `comparisons.TESTS`."""
