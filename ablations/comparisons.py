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
from ablations.moderated import Moderated
from ablations.outcomes import Outcomes
from ablations.transformed import Transformed


@dataclass(frozen=True)
class Detail:
    """What a difference has in addition to its estimate and its p-value."""

    planned: Collection[int] = ()
    """The seeds that both arms should have."""
    interval: bool = True
    """Without it, most of the time is saved."""
    confidence: float = 0.95
    """The level of the interval."""
    resampled: bool = False
    """Whether tests of pairs add the interval of the bootstrap."""


USUAL = Detail()


class Comparison(Protocol):
    """The results of all arms at one analysis, with a test of the difference of any two of them."""

    def difference(self, arm: str, versus: str, detail: Detail = USUAL) -> Difference:
        """Return arm - versus."""

    def p(self, arm: str, versus: str) -> float | None:
        """Return the p-value of H0: arm - versus = 0; None with too few seeds."""

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

    def difference(self, arm: str, versus: str, detail: Detail = USUAL) -> Difference:
        sides = [self.outcomes.values[name] for name in (arm, versus)]
        noise = [self.outcomes.scale.noise(np.array(list(side.values()))) for side in sides if side]
        return effects.difference(
            *sides,
            planned=detail.planned,
            test=self.test,
            interval=detail.interval,
            confidence=detail.confidence,
            resampled=detail.resampled,
            least_std=hypot(*noise),
        )

    def p(self, arm: str, versus: str) -> float | None:
        return self.difference(arm, versus).p

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

    def difference(self, arm: str, versus: str, detail: Detail = USUAL) -> Difference:
        """Return the difference of means; see `Transformed` for its interval."""
        sides = [self.outcomes.values[name] for name in (arm, versus)]
        missing = tuple(sorted(set(detail.planned) - (sides[0].keys() & sides[1].keys())))
        n = min(map(len, sides))
        found = self._found(arm, versus)
        if found is None:
            delta = fmean(sides[0].values()) - fmean(sides[1].values()) if n else None
            few = f"{n} seed{'s' * (n != 1)}; a test needs {MODERATED_SEEDS}"
            return Difference(n, missing, delta, confidence=detail.confidence, why_no_p=few)
        low, high = found.interval(detail.confidence) if detail.interval else (None, None)
        return Difference(
            n,
            missing,
            found.delta,
            std=found.unit * self.arms.std(arm, versus),
            low=low,
            high=high,
            confidence=detail.confidence,
            p=found.mixture.p,
        )

    def p(self, arm: str, versus: str) -> float | None:
        found = self._found(arm, versus)
        return None if found is None else found.mixture.p

    def no_worse(self, arm: str, versus: str, margin: float) -> float | None:
        effects.check_margin(margin)
        found = self._found(arm, versus)
        return None if found is None else found.above(margin)

    def equivalent(self, arm: str, versus: str, margin: float) -> float | None:
        effects.check_margin(margin)
        found = self._found(arm, versus)
        return None if found is None else max(found.above(margin), found.below(-margin))

    def _found(self, arm: str, versus: str) -> Transformed | None:
        """The difference; None if one of the two has too few seeds."""
        if not {arm, versus} <= set(self.arms.names):
            return None
        if (arm, versus) not in self._cache:
            means = {name: fmean(self.outcomes.values[name].values()) for name in (arm, versus)}
            self._cache[arm, versus] = Transformed.of(
                self.arms, self.outcomes.scale, self.arms.difference(arm, versus), {arm: 1, versus: -1}, means
            )
        return self._cache[arm, versus]

    @cached_property
    def _cache(self) -> dict[tuple[str, str], Transformed]:
        return {}


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
