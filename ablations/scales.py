"""Scales on which arms are compared: log odds of errors, logarithms of positive numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, isfinite, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError

Floats = NDArray[np.float64]

MAX_IMAGES = 100_000
"""The largest number of images that `images_of` tries."""


class Scale(Protocol):
    """A transformation of a measure after which spreads of arms are alike and differences are additive."""

    def forward(self, values: Floats) -> Floats:
        """Return the transformed values. Raises `InputError` for a value outside the scale."""

    def sampling(self, values: Floats) -> float:
        """Return the variance that a single transformed value has only because the images are a sample."""

    def noise(self, values: Floats) -> float:
        """Return the standard deviation of a single value itself, not transformed, for the same reason."""

    def difference(self, delta: float, middle: float) -> float:
        """Return the difference of two values that are transformed to `middle` ± delta / 2; it increases with delta."""

    def back(self, transformed: Floats) -> Floats:
        """Return the values that are transformed to these, but for corrections of values near the ends."""


@dataclass(frozen=True)
class LogOdds:
    """Errors, as fractions of N images: log((e N + 1/2) / ((1 - e) N + 1/2)), finite also for errors of 0 and 1.

    Its variance by sampling is 1 / (N p (1 - p)), the delta method for a binomial p.
    """

    images: int

    def __post_init__(self) -> None:
        if self.images < 1:
            raise InputError(f"images: {self.images}; must be at least 1")

    def forward(self, values: Floats) -> Floats:
        if wrong := [value for value in values.tolist() if not (isfinite(value) and 0 <= value <= 1)]:
            raise InputError(f"{wrong[0]} is not an error; must be between 0 and 1")
        return np.log((values * self.images + 0.5) / ((1 - values) * self.images + 0.5))

    def backward(self, transformed: Floats) -> Floats:
        """Return the errors that `forward` transforms to these values, between 0 and 1."""
        odds = np.exp(transformed)
        found: Floats = np.clip((odds * (self.images + 0.5) - 0.5) / (self.images * (1 + odds)), 0.0, 1.0)
        return found

    def sampling(self, values: Floats) -> float:
        p = self._inside(values)
        return 1 / (self.images * p * (1 - p))

    def noise(self, values: Floats) -> float:
        p = self._inside(values)
        return sqrt(p * (1 - p) / self.images)

    def _inside(self, values: Floats) -> float:
        """The mean error, at least half an image away from 0 and 1."""
        return min(max(float(values.mean()), 0.5 / self.images), 1 - 0.5 / self.images)

    def difference(self, delta: float, middle: float) -> float:
        from scipy.special import expit

        return float(expit(middle + delta / 2) - expit(middle - delta / 2))

    def back(self, transformed: Floats) -> Floats:
        from scipy.special import expit

        return np.asarray(expit(transformed))


@dataclass(frozen=True)
class Logarithm:
    """Positive numbers such as seconds, on a logarithmic scale."""

    precision: float = 1e-3
    """The relative precision of a value: no standard deviation is taken to be smaller."""

    def forward(self, values: Floats) -> Floats:
        if wrong := [value for value in values.tolist() if not (isfinite(value) and value > 0)]:
            raise InputError(f"{wrong[0]} is not a positive number")
        return np.log(values)

    def sampling(self, values: Floats) -> float:
        return self.precision**2

    def noise(self, values: Floats) -> float:
        return self.precision * float(values.mean())

    def difference(self, delta: float, middle: float) -> float:
        return exp(middle + delta / 2) - exp(middle - delta / 2)

    def back(self, transformed: Floats) -> Floats:
        return np.exp(transformed)


def images_of(errors: Iterable[float]) -> int:
    """Return the smallest number of images of which all errors are whole counts: at most the number of the test split,
    for runs that did not store it. `MAX_IMAGES` if there is none.
    """
    found = np.unique(np.fromiter(errors, dtype=float))
    images = np.arange(1, MAX_IMAGES + 1)
    fits = np.ones(len(images), dtype=bool)
    for error in found.tolist():
        counts = error * images
        fits &= np.abs(counts - np.rint(counts)) < 1e-6 * np.maximum(1, counts)
    return int(images[fits.argmax()]) if fits.any() else MAX_IMAGES
