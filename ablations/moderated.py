"""Arms compared by variances that they share: from few seeds, on the logit scale.

Arm a has errors e_as over seeds s on N test images, and their logits log((e_as N + 1/2) / ((1 - e_as) N + 1/2)) have a
mean m_a and a variance v_a with n_a - 1 degrees of freedom. Two or three seeds say little about v_a; all arms of a
study together say more. After Smyth 2004 (Statistical Applications in Genetics and Molecular Biology 3, 3) the arms'
variances vary around a common scale, and each is shrunk towards it:

    v_a / c_a ~ F(n_a - 1, d)        c_a = τ² + b_a        b_a = 1 / (N p_a (1 - p_a))
    v~_a = max(b_a, (d c_a + (n_a - 1) v_a) / (d + n_a - 1))        with d + n_a - 1 degrees of freedom

b_a is what sampling N images gives by itself, and no variance is taken to be less. An arm whose variance sticks out,
such as one that collapses with one seed, keeps v_a with n_a - 1 degrees of freedom and lends nothing to others: each
arm is of a second, heavy-tailed kind with probability `OUTLIERS` (the aim of Phipson et al. 2016, Annals of Applied
Statistics 10, 946-963, with a mixture in place of their trimmed moments, which a dozen arms are too few for).

τ and d are not estimated, but averaged over: with few arms no single value is safe. With many arms, the average is
Smyth's estimate. A p-value is the mean of Student's t over what τ, d and kinds may be, given all variances (posterior
predictive, Meng 1994, Annals of Statistics 22, 1142-1160).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError, unknown

Floats = NDArray[np.float64]
Values = Mapping[int, float]
"""Errors by seed, as fractions."""

SPREADS = (0.01, 2.0)
"""τ, from least to most: standard deviations over seeds, in logits."""
DEGREES = (0.5, 256.0)
"""d, from least to most: how alike the variances of arms are, from hardly to all the same."""
STEPS = (14, 10)
"""Of the grid over both, by their logarithms. It is laid twice: over all, and over what that leaves possible."""
POSSIBLE = 1e-4
"""Of the greatest weight: what is less is outside of the second grid."""
OUTLIERS = 0.05
HEAVY_SCALE, HEAVY_DEGREES = 10.0, 0.5
"""Variances of arms that stick out: v_a / (10 c_a) ~ F(n_a - 1, 1/2)."""
LEAST_VARIANCE = 0.05
"""Of b_a: equal errors of all seeds are a coincidence of counts, and no variance of 0."""
NEGLIGIBLE = 1e-9
"""Weights of a mixture that are left out."""


@dataclass(frozen=True)
class Mixture:
    """What is known of a difference: a mixture of Student's t around `delta`, with weights that add up to 1."""

    delta: float
    weights: Floats
    errors: Floats
    """Standard errors, one per component."""
    degrees: Floats

    def above(self, value: float) -> float:
        """P(difference > value)."""
        from scipy import stats

        return float(self.weights @ stats.t.sf((value - self.delta) / self.errors, self.degrees))

    def below(self, value: float) -> float:
        """P(difference < value)."""
        from scipy import stats

        return float(self.weights @ stats.t.sf((self.delta - value) / self.errors, self.degrees))

    @property
    def p(self) -> float:
        """Two-sided, of no difference."""
        return min(1.0, 2 * min(self.above(0), self.below(0)))

    def half_width(self, confidence: float) -> float:
        """Of the central interval delta ± half_width, which leaves 0 out exactly where p < 1 - confidence."""
        from scipy import optimize

        def outside(half: float) -> float:
            return 2 * self.above(self.delta + half) - (1 - confidence)

        high = float(self.errors.max())
        while outside(high) > 0:
            high *= 2
        return float(optimize.brentq(outside, 0, high, xtol=1e-10))


def points(delta: float, middle: float) -> float:
    """The difference of two errors whose logits are `middle` ± delta / 2, as a fraction. It rises with delta."""
    from scipy.special import expit

    return float(expit(middle + delta / 2) - expit(middle - delta / 2))


def logits(difference: float, middle: float) -> float:
    """The delta of which `points` is this difference; infinite for a difference of 1 or more.

    With u = exp(delta / 2) and s = exp(middle), s (1 - D) u² - D (1 + s²) u - s (1 + D) = 0.
    """
    if abs(difference) >= 1:
        return inf if difference > 0 else -inf
    s = exp(middle)
    a, b, c = s * (1 - difference), -difference * (1 + s * s), -s * (1 + difference)
    return 2 * log((-b + sqrt(b * b - 4 * a * c)) / (2 * a))


class Moderated:
    """All arms of a study that have results of two seeds or more, with their variances shared."""

    def __init__(self, arms: Mapping[str, Values], images: int) -> None:
        """Raises `InputError` for less than one image, or an error that is no fraction."""
        if images < 1:
            raise InputError(f"images: {images}; must be at least 1")
        for name, values in arms.items():
            for seed, error in values.items():
                if not (isfinite(error) and 0 <= error <= 1):
                    raise InputError(f"arm {name}, seed {seed}: {error} is no error; must be between 0 and 1")
        self.images = images
        self.names = [name for name, values in arms.items() if len(values) > 1]
        found = [np.array([arms[name][seed] for seed in sorted(arms[name])]) for name in self.names]
        x = [np.log((each * images + 0.5) / ((1 - each) * images + 0.5)) for each in found]
        self.n = np.array([len(each) for each in found], dtype=float)
        self.means = np.array([each.mean() for each in x])
        self.variances = np.array([each.var(ddof=1) for each in x])
        p = np.clip([each.mean() for each in found], 0.5 / images, 1 - 0.5 / images)
        self.sampling = 1 / (images * p * (1 - p))
        """b_a: the variance of one seed's logit that a sample of so many images has by itself."""
        self._share()

    def _share(self) -> None:
        first = self._on_grid(np.log([SPREADS, DEGREES]))
        found = self._on_grid(np.array([_around(*each) for each in first.marginals]))
        df = self.n - 1
        self._weights, self._regular, self._degrees = found.weights, found.regular, found.d + df
        shrunk = (found.d * found.scale + df * self.variances) / self._degrees
        self._shrunk = np.maximum(shrunk, self.sampling)

    def _on_grid(self, bounds: Floats) -> _Grid:
        """What the variances say of τ and d within these bounds of their logarithms, (2, 2)."""
        from scipy import stats

        axes = [np.linspace(low, high, steps) for (low, high), steps in zip(bounds, STEPS, strict=True)]
        τ, d = (np.exp(grid).reshape(-1, 1) for grid in np.meshgrid(*axes, indexing="ij"))
        df, scale = self.n - 1, τ**2 + self.sampling
        seen = np.maximum(self.variances, LEAST_VARIANCE * self.sampling)
        regular = stats.f.logpdf(seen / scale, df, d) - np.log(scale) + log(1 - OUTLIERS)
        heavy = HEAVY_SCALE * scale
        outlying = stats.f.logpdf(seen / heavy, df, HEAVY_DEGREES) - np.log(heavy) + log(OUTLIERS)
        both = np.logaddexp(regular, outlying)
        # A prior of 1/√(2 + d): with few arms it is safer to take their variances for unequal.
        likelihood = both.sum(axis=1) - 0.5 * np.log(2 + d[:, 0])
        weights = np.exp(likelihood - likelihood.max())
        return _Grid(axes, d, scale, weights / weights.sum(), np.exp(regular - both))

    def difference(self, arm: str, versus: str) -> Mixture:
        """m_arm - m_versus, in logits, with its uncertainty.

        The variance is v~_a / n_a + v~_b / n_b. Its degrees of freedom are midway between those of Welch 1947
        (Biometrika 34, 28-35) and the fewer of the two arms': Welch's alone promise too much where both are few.

        Raises:
            InputError: an arm without results of two seeds.
        """
        a, b = (self._place(name) for name in (arm, versus))
        weights, errors, degrees = [], [], []
        for kind_a in self._kinds(a):
            for kind_b in self._kinds(b):
                (wa, va, da), (wb, vb, db) = kind_a, kind_b
                va, vb = va / self.n[a], vb / self.n[b]
                welch = (va + vb) ** 2 / (va**2 / da + vb**2 / db)
                weights.append(self._weights * wa * wb)
                errors.append(np.sqrt(va + vb))
                degrees.append((welch + np.minimum(da, db)) / 2)
        weight = np.concatenate(weights)
        kept = weight > NEGLIGIBLE
        return Mixture(
            delta=float(self.means[a] - self.means[b]),
            weights=weight[kept] / weight[kept].sum(),
            errors=np.concatenate(errors)[kept],
            degrees=np.concatenate(degrees)[kept],
        )

    def middle(self, arm: str, versus: str) -> float:
        """The mean of both logits, around which `points` and `logits` convert."""
        return float(self.means[self._place(arm)] + self.means[self._place(versus)]) / 2

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise unknown("arm with results of two seeds", name, self.names)
        return self.names.index(name)

    def _kinds(self, arm: int) -> Sequence[tuple[Floats, Floats, Floats]]:
        """(probability, variance, degrees of freedom) of an arm that is as the others, and of one that sticks out."""
        own = np.full_like(self._weights, max(self.variances[arm], self.sampling[arm]))
        df = np.full_like(self._weights, self.n[arm] - 1)
        share = self._regular[:, arm]
        return [(share, self._shrunk[:, arm], self._degrees[:, arm]), (1 - share, own, df)]


class _Grid(NamedTuple):
    """Values of (τ, d), I of them."""

    axes: Sequence[Floats]
    """Of the logarithms of τ and d."""
    d: Floats
    """(I, 1)."""
    scale: Floats
    """c_a, (I, arms)."""
    weights: Floats
    """Their posterior probabilities, (I,)."""
    regular: Floats
    """The probability of each arm, given them, that its variance is as those of the others, (I, arms)."""

    @property
    def marginals(self) -> Sequence[tuple[Floats, Floats]]:
        """(axis, greatest weight at each of its values)."""
        table = self.weights.reshape([len(axis) for axis in self.axes])
        return [(axis, table.max(axis=1 - at)) for at, axis in enumerate(self.axes)]


def _around(axis: Floats, weights: Floats) -> tuple[float, float]:
    """From the last value before those that are possible to the first after them."""
    places = np.flatnonzero(weights > POSSIBLE * weights.max())
    return float(axis[max(places[0] - 1, 0)]), float(axis[min(places[-1] + 1, len(axis) - 1)])
