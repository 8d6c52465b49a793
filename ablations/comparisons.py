"""The tests that a study can choose: each compares two arms, given the results of all arms at one analysis."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, partial
from math import hypot
from statistics import fmean
from typing import Protocol

import numpy as np

from ablations import effects
from ablations.effects import Difference
from ablations.moderated import Mixture, Moderated
from ablations.outcomes import Outcomes


class Comparison(Protocol):
    """The results of all arms at one analysis, with a test of the difference of any two of them."""

    def difference(
        self, arm: str, versus: str, *, planned: Collection[int] = (), confidence: float = 0.95, resampled: bool = False
    ) -> Difference:
        """Return arm - versus. `planned` are the seeds that both should have; `resampled` asks for the bootstrap."""

    def no_worse(self, arm: str, versus: str, margin: float) -> float | None:
        """Return the p-value of H0: arm - versus >= margin; None with too few seeds."""

    def equivalent(self, arm: str, versus: str, margin: float) -> float | None:
        """Return the p-value of H0: |arm - versus| >= margin; None with too few seeds."""


@dataclass(frozen=True)
class Pairs:
    """Differences of pairs of seeds, by one of the tests in `effects.TESTS`. Other arms have no influence.

    If all differences are equal, their standard deviation is that of sampling the images.
    """

    test: str
    outcomes: Outcomes

    def difference(
        self, arm: str, versus: str, *, planned: Collection[int] = (), confidence: float = 0.95, resampled: bool = False
    ) -> Difference:
        sides = [self.outcomes.values[name] for name in (arm, versus)]
        noise = [self.outcomes.scale.noise(np.array(list(side.values()))) for side in sides if side]
        return effects.difference(
            *sides,
            planned=planned,
            test=self.test,
            confidence=confidence,
            resampled=resampled,
            least_std=hypot(*noise),
        )

    def no_worse(self, arm: str, versus: str, margin: float) -> float | None:
        return effects.no_worse(self.difference(arm, versus), margin)

    def equivalent(self, arm: str, versus: str, margin: float) -> float | None:
        return effects.equivalent(self.difference(arm, versus), margin)


@dataclass(frozen=True)
class SharedVariances:
    """Differences of means with variances that all arms share: see `moderated`."""

    outcomes: Outcomes

    @cached_property
    def arms(self) -> Moderated:
        return Moderated(self.outcomes.values, self.outcomes.scale)

    def difference(
        self, arm: str, versus: str, *, planned: Collection[int] = (), confidence: float = 0.95, resampled: bool = False
    ) -> Difference:
        """Return the difference of means; its interval is that of the transformed means, taken back to the measure."""
        sides = [self.outcomes.values[name] for name in (arm, versus)]
        missing = tuple(sorted(set(planned) - (sides[0].keys() & sides[1].keys())))
        n = min(map(len, sides))
        delta = fmean(sides[0].values()) - fmean(sides[1].values()) if n else None
        found = self._known(arm, versus)
        if found is None or delta is None:
            few = f"{n} seed{'s' * (n != 1)}; a test needs {MODERATED_SEEDS}"
            return Difference(n, missing, delta, confidence=confidence, why_no_p=few)
        middle, scale = self.arms.middle(arm, versus), self.outcomes.scale
        low, high = found.interval(scale, middle, delta, confidence)
        # The ratio of mean and spread is that of the transformed values; its unit is that of the measure.
        unit = delta / found.delta if delta and found.delta else scale.difference(1e-6, middle) / 1e-6
        std = abs(unit) * self.arms.std(arm, versus)
        return Difference(n, missing, delta, std=std, low=low, high=high, confidence=confidence, p=found.p)

    def no_worse(self, arm: str, versus: str, margin: float) -> float | None:
        effects.check_margin(margin)
        found = self._known(arm, versus)
        return None if found is None else found.above(self._delta(arm, versus, margin))

    def equivalent(self, arm: str, versus: str, margin: float) -> float | None:
        effects.check_margin(margin)
        found = self._known(arm, versus)
        if found is None:
            return None
        return max(found.above(self._delta(arm, versus, margin)), found.below(self._delta(arm, versus, -margin)))

    def _known(self, arm: str, versus: str) -> Mixture | None:
        """The transformed difference; None if one of the two has too few seeds."""
        known = {arm, versus} <= set(self.arms.names)
        return self.arms.difference(arm, versus) if known else None

    def _delta(self, arm: str, versus: str, margin: float) -> float:
        return self.outcomes.scale.delta(margin, self.arms.middle(arm, versus))


MODERATED_SEEDS = 2
"""The smallest number of seeds of the moderated test."""


@dataclass(frozen=True)
class Test:
    """A test that a study can choose."""

    compare: Callable[[Outcomes], Comparison]
    label: str
    """The test in a footnote."""
    least_seeds: int
    """With fewer seeds there is no p-value."""
    joint: bool = False
    """Whether the result for two arms depends on the results of the other arms."""


TESTS: dict[str, Test] = {
    "moderated": Test(SharedVariances, "moderated t test", MODERATED_SEEDS, joint=True),
    "paired_t": Test(partial(Pairs, "paired_t"), "paired t test", effects.MIN_PAIRS),
    "wilcoxon": Test(partial(Pairs, "wilcoxon"), "Wilcoxon's signed-rank test", effects.MIN_PAIRS),
    "sign_flip": Test(partial(Pairs, "sign_flip"), "sign-flip test", effects.MIN_PAIRS),
}
"""The tests by their names in a study."""
