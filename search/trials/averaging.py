"""Averages of the weights over the training, which are measured and kept in their place. To add one, add a class."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.numbers import Positive, ProperProportion


class AverageKind(Kind):
    """An average of the weights and of the statistics of BN, updated after every `every`-th step."""

    every: Positive = 1

    def first(self, total: int) -> int:
        """Return the step after which the average begins, in a training of `total` steps: it is then the weights."""
        return self.every

    def number(self, step: int, total: int) -> int | None:
        """Return the number, from 0, of the update after a step; None if there is none."""
        since = step - self.first(total)
        return since // self.every if since >= 0 and since % self.every == 0 else None

    def weight(self, number: int) -> float:
        """Return w of an update, average <- (1 - w) average + w weights. It is 1 for number 0."""
        raise NotImplementedError


class ExponentialAverage(AverageKind):
    """average <- `decay` average + (1 - `decay`) weights, from the weights of the first update. 1703.01780.

    With `ramp`, the decay of the n-th update is at most (1 + n) / (10 + n), so that a short training is not averaged
    with its beginning.
    """

    kind: Literal["ema"] = "ema"
    decay: ProperProportion = 0.999
    ramp: bool = False

    def weight(self, number: int) -> float:
        if number == 0:
            return 1.0
        return 1 - (min(self.decay, (1 + number) / (10 + number)) if self.ramp else self.decay)


class StochasticAverage(AverageKind):
    """The mean of the weights since a `start`, a fraction of the training (SWA). 1803.05407.

    The statistics of BN are averaged too, where the paper computes new ones from the training images.
    """

    kind: Literal["swa"] = "swa"
    start: ProperProportion = 0.75

    def first(self, total: int) -> int:
        return max(1, math.ceil(self.start * total))

    def weight(self, number: int) -> float:
        return 1 / (1 + number)


AVERAGES: dict[str, type[AverageKind]] = kinds(AverageKind, globals())
"""By name: every class above that has a `kind`."""

Averaging = Annotated[AverageKind, OneOf(AVERAGES)]
