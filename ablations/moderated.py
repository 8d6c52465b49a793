"""Comparisons of arms that share their variances: for few seeds.

Arm a has values x_as over seeds s on a scale such as log odds (see `scales`), with a mean m_a and a variance v_a of
n_a - 1 degrees of freedom. Two or three seeds say little about v_a, but all arms of a study together say more. As in
Smyth 2004 (Statistical Applications in Genetics and Molecular Biology 3, 3), the variances of arms vary around a common
scale, and each is shrunk towards it:

    v_a / c_a ~ F(n_a - 1, d)        c_a = τ² + b_a
    v~_a = max(b_a, (d c_a + (n_a - 1) v_a) / (d + n_a - 1))        with d + n_a - 1 degrees of freedom

b_a is the variance that comes from sampling the test images alone, and no variance is smaller: for N images and errors
near p it is 1 / (N p (1 - p)) in log odds. An arm with an outlying variance, for example one that collapses with one
seed, keeps v_a with n_a - 1 degrees of freedom and does not change the others: each arm is an outlier with probability
`OUTLIERS`, and then its variance has a heavy-tailed distribution. (Phipson et al. 2016, Annals of Applied Statistics
10, 946-963, have the same aim; their trimmed moments need more arms than a study has.)

τ and d are not estimated, but averaged over, because with few arms no single estimate is safe; with many arms the
average is Smyth's estimate. A p-value is the mean of Student's t over the possible τ, d and kinds of arms, given all
variances (a posterior predictive p-value, Meng 1994, Annals of Statistics 22, 1142-1160).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import log
from typing import NamedTuple

import numpy as np

from ablations.scales import Floats, Scale
from resnet_space.errors import InputError, unknown

Values = Mapping[int, float]
"""The values of an arm by seed."""

SPREADS = (0.01, 2.0)
"""The smallest and largest τ, a standard deviation over seeds."""
DEGREES = (0.5, 256.0)
"""The smallest and largest d: from variances that differ widely to equal ones."""
STEPS = (14, 10)
"""Steps of the grid over the logarithms of τ and d. A second grid covers the part that the first leaves possible."""
POSSIBLE = 1e-4
"""The second grid covers weights above this fraction of the largest one."""
OUTLIERS = 0.05
"""The probability that the variance of an arm is an outlier."""
HEAVY_SCALE, HEAVY_DEGREES = 10.0, 0.5
"""The distribution of outlying variances: v_a / (10 c_a) ~ F(n_a - 1, 1/2)."""
LEAST_VARIANCE = 0.05
"""Observed variances are at least this fraction of b_a: equal counts at all seeds are a coincidence."""
LEAST_DEGREES = 0.25
"""The smallest degrees of freedom of a joint test; with fewer, nothing can be shown."""
MOST_STEPS, LAST_STEP = 200, 1e-6
"""Of the search for the half-width of an interval: it ends after a step of this fraction, which leaves its square."""
NEGLIGIBLE = 1e-9
"""Smaller weights of a mixture are left out."""


@dataclass(frozen=True)
class Mixture:
    """The distribution of a difference: a mixture of Student's t around `delta`, with weights that add up to 1."""

    delta: float
    weights: Floats
    errors: Floats
    """Standard errors, one per component."""
    degrees: Floats

    def beyond(self, distance: float) -> float:
        """P(difference > delta + distance), which is also P(difference < delta - distance)."""
        from scipy.special import stdtr

        return float(self.weights @ stdtr(self.degrees, -distance / self.errors))

    @property
    def p(self) -> float:
        """The two-sided p-value of H0: no difference."""
        return min(1.0, 2 * self.beyond(abs(self.delta)))

    def half_width(self, confidence: float) -> float:
        """Return the half-width of the interval delta ± half_width, which excludes 0 exactly if p < 1 - confidence."""
        from scipy import special

        normal = special.gammaln((self.degrees + 1) / 2) - special.gammaln(self.degrees / 2)
        normal -= 0.5 * np.log(np.pi * self.degrees)

        # Newton's method: the probability outside is decreasing and convex in the half-width, so it converges from
        # everywhere above 0.
        usual = special.stdtrit(float(self.weights @ self.degrees), (1 + confidence) / 2)
        half = float(usual * np.sqrt(self.weights @ self.errors**2))
        for _ in range(MOST_STEPS):
            t = half / self.errors
            density = np.exp(normal - (self.degrees + 1) / 2 * np.log1p(t * t / self.degrees)) / self.errors
            step = (2 * self.beyond(half) - (1 - confidence)) / float(2 * self.weights @ density)
            half = max(half + step, 0.0)
            if abs(step) <= LAST_STEP * half:
                break
        return half

    @property
    def error(self) -> float:
        """The standard error: the square root of the mean squared one."""
        return float(np.sqrt(self.weights @ self.errors**2))


class Moderated:
    """All arms of a study that have results of two seeds or more, with shared variances."""

    def __init__(self, arms: Mapping[str, Values], scale: Scale) -> None:
        """Raises `InputError` for a value outside the scale; the message names the arm."""
        self.names = [name for name, values in arms.items() if len(values) > 1]
        found = [np.array([arms[name][seed] for seed in sorted(arms[name])]) for name in self.names]
        transformed = []
        for name, values in zip(self.names, found, strict=True):
            try:
                transformed.append(scale.forward(values))
            except InputError as error:
                raise InputError(f"arm {name}: {error}") from None
        self.seeds = [frozenset(arms[name]) for name in self.names]
        self.n = np.array([len(each) for each in found], dtype=float)
        self.means = np.array([each.mean() for each in transformed])
        self.variances = np.array([each.var(ddof=1) for each in transformed])
        self.sampling = np.array([scale.sampling(each) for each in found])
        """b_a: the variance of the transformed result of one seed that comes from sampling the images."""
        self._share()
        self.correlation = self._correlation(transformed)

    def _share(self) -> None:
        first = self._on_grid(np.log([SPREADS, DEGREES]))
        found = self._on_grid(np.array([_around(*each) for each in first.marginals]))
        df = self.n - 1
        self._weights, self._regular, self._degrees = found.weights, found.regular, found.d + df
        shrunk = (found.d * found.scale + df * self.variances) / self._degrees
        self._shrunk = np.maximum(shrunk, self.sampling)

    def _on_grid(self, bounds: Floats) -> _Grid:
        """The posterior of τ and d within these bounds of their logarithms, shape (2, 2)."""
        axes = [np.linspace(low, high, steps) for (low, high), steps in zip(bounds, STEPS, strict=True)]
        τ, d = (np.exp(grid).reshape(-1, 1) for grid in np.meshgrid(*axes, indexing="ij"))
        df, scale = self.n - 1, τ**2 + self.sampling
        seen = np.maximum(self.variances, LEAST_VARIANCE * self.sampling)
        regular = _log_density(seen, scale, df, d) + log(1 - OUTLIERS)
        outlying = _log_density(seen, HEAVY_SCALE * scale, df, np.array([[HEAVY_DEGREES]])) + log(OUTLIERS)
        both = np.logaddexp(regular, outlying)
        # A prior of 1/√(2 + d): with few arms it is safer to assume unequal variances.
        likelihood = both.sum(axis=1) - 0.5 * np.log(2 + d[:, 0])
        weights = np.exp(likelihood - likelihood.max())
        return _Grid(axes, d, scale, weights / weights.sum(), np.exp(regular - both))

    def _correlation(self, transformed: Sequence[Floats]) -> Correlation:
        """The correlation over seeds, from the arms that have the seeds of most arms."""
        if not self.names:
            return Correlation(0.0, 0.0)
        seeds = Counter(self.seeds).most_common(1)[0][0]
        spread = self._regular * self._shrunk + (1 - self._regular) * np.maximum(self.variances, self.sampling)
        std = np.sqrt(self._weights @ spread)
        rows = [
            (transformed[place] - self.means[place]) / std[place]
            for place, own in enumerate(self.seeds)
            if own == seeds
        ]
        return correlation(np.array(rows))

    def difference(self, arm: str, versus: str) -> Mixture:
        """Return m_arm - m_versus on the scale, with its uncertainty.

        The variance is v~_a / n_a + v~_b / n_b - 2 r √(v~_a v~_b) n_ab / (n_a n_b), with the n_ab seeds of both and the
        lower bound r of their correlation, which is 0 unless the results show that seeds pair the arms. Its degrees of
        freedom are midway between those of Welch 1947 (Biometrika 34, 28-35) and the smaller of the two arms': those of
        Welch alone are too many if both are few.

        Raises:
            InputError: an arm without results of two seeds.
        """
        a, b = (self._place(name) for name in (arm, versus))
        weights, errors, degrees = [], [], []
        paired = self.correlation.least * len(self.seeds[a] & self.seeds[b]) / (self.n[a] * self.n[b])
        for usual, ((wa, va, da), (wb, vb, db)) in enumerate(product(self._kinds(a), self._kinds(b))):
            error, df = _welch([va / self.n[a], vb / self.n[b]], [da, db])
            # Only for two arms of the usual kind: those that collapse do so at seeds of their own.
            shared = 2 * paired * np.sqrt(va * vb) if usual == 0 else 0.0
            weights.append(self._weights * wa * wb)
            errors.append(np.sqrt(error**2 - shared))
            degrees.append(df)
        return _mixture(float(self.means[a] - self.means[b]), *map(np.concatenate, (weights, errors, degrees)))

    def contrast(self, coefficients: Mapping[str, float]) -> Mixture:
        """Return the sum of c_a * m_a with its uncertainty, for any number of arms whose coefficients add up to 0.

        With w_a = v~_a / n_a the variance is (1 - r) sum c_a² w_a + r (sum c_a √w_a)², r as for `difference`.

        Raises:
            InputError: an arm without results of two seeds.
        """
        names, c = list(coefficients), np.array(list(coefficients.values()))
        covariance, degrees = self._covariance(names, c[:, None])
        return _mixture(
            float(c @ self.means[self._places(names)]), self._weights, np.sqrt(covariance[:, 0, 0]), degrees
        )

    def joint(self, names: Sequence[str], basis: Floats) -> tuple[float, float]:
        """Return Hotelling's F and its p-value for H0: all q contrasts of arms are 0.

        `basis`, (arms, q), has one contrast per column. With the contrasts b, their covariance C and its degrees of
        freedom v, F = b' C^-1 b (v - q + 1) / (v q) against F(q, v - q + 1), averaged like a p-value of `difference`.

        Raises:
            InputError: an arm without results of two seeds.
        """
        from scipy import stats

        b, q = basis.T @ self.means[self._places(names)], basis.shape[1]
        covariance, v = self._covariance(names, basis)
        rest = np.maximum(v - q + 1, LEAST_DEGREES)
        f = np.einsum("i,kij,j->k", b, np.linalg.inv(covariance), b) * rest / (v * q)
        return float(self._weights @ f), float(self._weights @ stats.f.sf(f, q, rest))

    def _covariance(self, names: Sequence[str], basis: Floats) -> tuple[Floats, Floats]:
        """The covariance of contrasts, (I, q, q), and its degrees of freedom, (I,), for each point of the grid.

        The two kinds of an arm are replaced by one of the mean variance, with Satterthwaite's degrees of freedom. Of
        the arms, the smallest counts: one with a large variance of few degrees of freedom can decide a contrast.
        """
        variances, degrees = [], []
        for place in self._places(names):
            (p, v, df), (q, own, own_df) = self._kinds(place)
            mean = p * v + q * own
            variances.append(mean / self.n[place])
            degrees.append(mean**2 / ((p * v) ** 2 / df + (q * own) ** 2 / own_df))
        w = np.array(variances)
        r = self.correlation.least
        along = np.einsum("aq,ak->kq", basis, np.sqrt(w))
        covariance = (1 - r) * np.einsum("aq,ak,ap->kqp", basis, w, basis) + r * along[:, :, None] * along[:, None, :]
        used = np.flatnonzero((basis**2).sum(axis=1))
        return covariance, np.minimum.reduce([degrees[place] for place in used])

    def _places(self, names: Sequence[str]) -> list[int]:
        return [self._place(name) for name in names]

    def std(self, arm: str, versus: str) -> float:
        """Return the standard deviation over seeds of the difference of two single transformed values."""
        kinds = [kind for name in (arm, versus) for kind in self._kinds(self._place(name))]
        return float(np.sqrt(sum(float(self._weights @ (share * variance)) for share, variance, _ in kinds)))

    def shares(self, coefficients: Mapping[str, float]) -> Floats:
        """Return the share of each arm in the variance of the sum of c_a * m_a, c_a² v~_a / n_a over their sum.

        Raises:
            InputError: an arm without results of two seeds.
        """
        parts = np.array(
            [
                c**2
                * sum(float(self._weights @ (share * variance)) for share, variance, _ in self._kinds(place))
                / self.n[place]
                for c, place in zip(coefficients.values(), self._places(list(coefficients)), strict=True)
            ]
        )
        return np.asarray(parts / parts.sum())

    def mean(self, arm: str) -> float:
        """Return an arm's transformed mean."""
        return float(self.means[self._place(arm)])

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise unknown("arm with results of two seeds", name, self.names)
        return self.names.index(name)

    def _kinds(self, arm: int) -> Sequence[tuple[Floats, Floats, Floats]]:
        """(probability, variance, degrees of freedom) of an arm with a usual variance, and of an outlier."""
        own = np.full_like(self._weights, max(self.variances[arm], self.sampling[arm]))
        df = np.full_like(self._weights, self.n[arm] - 1)
        share = self._regular[:, arm]
        return [(share, self._shrunk[:, arm], self._degrees[:, arm]), (1 - share, own, df)]


class Correlation(NamedTuple):
    """The correlation of different arms at the same seed."""

    estimate: float
    least: float
    """The lower end of its one-sided 95 % interval, at least 0."""


def correlation(rows: Floats) -> Correlation:
    """Return the correlation of A rows of standardised residuals over n seeds, as an intraclass correlation.

    From the mean squares of seeds and residuals, F = MS_seeds / MS_residual and r = (F - 1) / (F + A - 1); the lower
    end has F / F(0.95; n - 1, (n - 1) (A - 1)) in place of F. McGraw and Wong 1996, Psychological Methods 1, 30-46.
    """
    from scipy import stats

    arms, seeds = rows.shape
    if arms < 2 or seeds < 2:
        return Correlation(0.0, 0.0)
    means = rows.mean(axis=0)
    of_seeds = arms * float(means @ means) / (seeds - 1)
    residual = float(((rows - means) ** 2).sum()) / ((seeds - 1) * (arms - 1))
    if not residual:
        return Correlation(0.0, 0.0)
    bound = float(stats.f.ppf(0.95, seeds - 1, (seeds - 1) * (arms - 1)))
    found, least = ((f - 1) / (f + arms - 1) for f in (of_seeds / residual, of_seeds / residual / bound))
    return Correlation(found, max(least, 0.0))


def _log_density(v: Floats, scale: Floats, df: Floats, d: Floats) -> Floats:
    """The logarithm of the density of v if v / scale ~ F(df, d); `scipy.stats` takes longer."""
    from scipy.special import betaln

    x = v / scale
    constant = df / 2 * np.log(df / d) - betaln(df / 2, d / 2)
    return np.asarray(constant + (df / 2 - 1) * np.log(x) - (df + d) / 2 * np.log1p(df / d * x) - np.log(scale))


def _welch(parts: Sequence[Floats], degrees: Sequence[Floats]) -> tuple[Floats, Floats]:
    """The standard error of a sum of independent parts with these variances, and its degrees of freedom."""
    total = np.sum(parts, axis=0)
    welch = total**2 / np.sum([part**2 / df for part, df in zip(parts, degrees, strict=True)], axis=0)
    return np.sqrt(total), (welch + np.minimum.reduce(degrees)) / 2


def _mixture(delta: float, weights: Floats, errors: Floats, degrees: Floats) -> Mixture:
    kept = weights > NEGLIGIBLE
    return Mixture(delta, weights[kept] / weights[kept].sum(), errors[kept], degrees[kept])


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
