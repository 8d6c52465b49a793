"""Differences of means that are tested on a scale, with intervals and margins in the unit of the measure."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, hypot, inf, sqrt

from ablations.moderated import Mixture
from ablations.scales import Scale

WIDEST = 100.0
"""The largest half-width on a scale."""


@dataclass(frozen=True)
class Transformed:
    """The difference of two arms' means, of which the transformed ones are compared.

    A half-width h of the transformed difference belongs to a distance below and above the difference of means. Each arm
    moves by its part of h, √share and √(1 - share), and with x' the value that is transformed to x

        above² = ((m_a + h √share)' - m_a')² + (m_b' - (m_b - h √(1 - share))')²

    and below alike, with all signs changed: Zou and Donner 2008, Statistics in Medicine 27, 1693-1702. So the spread of
    each arm counts at its own level. Errors that vary widely have a mean that is not their typical value m'; the
    distances begin at the difference of means or at that of typical values, whichever is farther out.
    """

    delta: float
    """The difference of the means of values."""
    mixture: Mixture
    """The difference of the transformed means."""
    arm: float
    """m_a, a transformed mean."""
    versus: float
    share: float
    """The share of the arm in the variance of the transformed difference."""
    scale: Scale

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the interval of the difference of means. It excludes 0 exactly if p < 1 - confidence."""
        half = self.mixture.half_width(confidence)
        low, high = self._end(half, -1), self._end(half, 1)
        # About 0, the test decides: an end on the wrong side is that of the scale, taken back around the middle.
        ends = [self.scale.difference(self.mixture.delta + side, self.middle) for side in (-half, half)]
        if ends[0] > 0:
            return low if low > 0 else min(ends[0], self.delta), high
        if ends[1] < 0:
            return low, high if high < 0 else max(ends[1], self.delta)
        return min(low, 0.0), max(high, 0.0)

    def above(self, value: float) -> float:
        """Return the p-value of H0: the difference is at least `value`, which is not 0."""
        return self._p(value, 1)

    def below(self, value: float) -> float:
        """Return the p-value of H0: the difference is at most `value`, which is not 0."""
        return self._p(value, -1)

    @property
    def middle(self) -> float:
        return (self.arm + self.versus) / 2

    @property
    def unit(self) -> float:
        """The difference of means per transformed difference."""
        if self.delta and self.mixture.delta:
            return abs(self.delta / self.mixture.delta)
        return self.scale.difference(1e-6, self.middle) / 1e-6

    def _p(self, value: float, side: int) -> float:
        """The p-value at which an end of the interval is `value`."""
        from scipy import optimize

        def inside(half: float) -> float:
            return side * (value - self._end(half, side))

        if inside(WIDEST) > 0 or inside(-WIDEST) < 0:
            return 0.0 if inside(WIDEST) > 0 else 1.0
        return self.mixture.beyond(float(optimize.brentq(inside, -WIDEST, WIDEST)))

    def _centre(self, side: int) -> float:
        """The upper (side 1) or lower one (side -1) of the differences of means and of typical values."""
        back = self.scale.back
        return side * max(side * self.delta, side * (back(self.arm) - back(self.versus)))

    def _end(self, half: float, side: int) -> float:
        """The upper or lower end at a half-width on the scale; if that is negative, a value on the inner side."""
        back = self.scale.back
        arm, versus = side * half * sqrt(self.share), side * half * sqrt(1 - self.share)
        distance = hypot(back(self.arm + arm) - back(self.arm), back(self.versus) - back(self.versus - versus))
        largest = back(inf) - back(-inf)
        return min(max(self._centre(side) + side * copysign(distance, half), -largest), largest)
