"""Contrasts of means that are tested on a scale, with intervals and margins in the unit of the measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import copysign, inf
from typing import Self

import numpy as np

from ablations.moderated import Mixture, Moderated
from ablations.scales import Floats, Scale

WIDEST = 100.0
"""The largest half-width on a scale."""


@dataclass(frozen=True)
class Ends:
    """The ends of intervals of a contrast of arms' means, Σ c_a * mean_a, that belong to half-widths on a scale.

    The difference of two arms has c = (1, -1), the effect of a factor ±2 / cells; Σ c_a = 0. A half-width h of the
    transformed contrast belongs to a distance below and above the contrast of means. Each arm moves by its part of h,
    which is h_a = h √share_a / c_a, and with x' the value that is transformed to x

        above² = Σ c_a² ((m_a + h_a)' - m_a')²

    and below alike, with -h_a: Zou and Donner 2008, Statistics in Medicine 27, 1693-1702. So the spread of each arm
    counts at its own level. Errors that vary widely have a mean that is not their typical value m'; the distances begin
    at the contrast of means or at that of typical values, whichever is farther out.
    """

    delta: float
    """The contrast of the means of values."""
    coefficients: Floats
    """c_a, (arms,), none of which is 0."""
    means: Floats
    """m_a, the transformed means, (arms,)."""
    shares: Floats
    """The share of each arm in the variance of the transformed contrast, (arms,)."""
    scale: Scale

    def end(self, half: float, side: int) -> float:
        """Return the upper (side 1) or the lower end (side -1); if `half` is negative, a value on the inner side."""
        back, c = self.scale.back, self.coefficients
        moved = back(self.means + side * half * np.sqrt(self.shares) / c) - back(self.means)
        distance = float(np.linalg.norm(c * moved))
        largest = float(np.ptp(back(np.array([-inf, inf]))) * np.abs(c).sum()) / 2
        return min(max(self._centre(side) + side * copysign(distance, half), -largest), largest)

    def half_width_to(self, value: float, side: int) -> float:
        """Return the half-width at which an end is `value`: negative if that is on the inner side, infinite if none."""
        from scipy import optimize

        def inside(half: float) -> float:
            return side * (value - self.end(half, side))

        if inside(WIDEST) > 0 or inside(-WIDEST) < 0:
            return inf if inside(WIDEST) > 0 else -inf
        return float(optimize.brentq(inside, -WIDEST, WIDEST))

    @property
    def middle(self) -> float:
        """The mean of the transformed means, each weighted by the size of its coefficient."""
        sizes = np.abs(self.coefficients)
        return float(sizes @ self.means / sizes.sum())

    def _centre(self, side: int) -> float:
        """The upper (side 1) or lower one (side -1) of the contrasts of means and of typical values."""
        typical = float(self.coefficients @ self.scale.back(self.means))
        return side * max(side * self.delta, side * typical)


@dataclass(frozen=True)
class Transformed(Ends):
    """A contrast of arms' means, of which the transformed one is tested."""

    mixture: Mixture
    """The contrast of the transformed means."""

    @classmethod
    def of(
        cls,
        arms: Moderated,
        scale: Scale,
        mixture: Mixture,
        coefficients: Mapping[str, float],
        means: Mapping[str, float],
    ) -> Self:
        """Return the contrast with these coefficients, by arm, of means of values; `mixture` is the transformed one.

        Raises:
            InputError: an arm without results of two seeds.
        """
        used = {name: c for name, c in coefficients.items() if c}
        return cls(
            delta=sum(c * means[name] for name, c in used.items()),
            coefficients=np.array(list(used.values()), dtype=float),
            means=np.array([arms.mean(name) for name in used]),
            shares=arms.shares(used),
            scale=scale,
            mixture=mixture,
        )

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the interval of the contrast of means. It excludes 0 exactly if p < 1 - confidence."""
        half = self.mixture.half_width(confidence)
        low, high = self.end(half, -1), self.end(half, 1)
        # About 0, the test decides: an end on the wrong side is that of the scale, taken back around the middle.
        ends = [self.scale.difference(self.mixture.delta + side, self.middle) for side in (-half, half)]
        if ends[0] > 0:
            return low if low > 0 else min(ends[0], self.delta), high
        if ends[1] < 0:
            return low, high if high < 0 else max(ends[1], self.delta)
        return min(low, 0.0), max(high, 0.0)

    def above(self, value: float) -> float:
        """Return the p-value of H0: the contrast is at least `value`, which is not 0."""
        return self.mixture.beyond(self.half_width_to(value, 1))

    def below(self, value: float) -> float:
        """Return the p-value of H0: the contrast is at most `value`, which is not 0."""
        return self.mixture.beyond(self.half_width_to(value, -1))

    @property
    def unit(self) -> float:
        """The contrast of means per transformed contrast."""
        if self.delta and self.mixture.delta:
            return abs(self.delta / self.mixture.delta)
        return self.scale.difference(1e-6, self.middle) / 1e-6
