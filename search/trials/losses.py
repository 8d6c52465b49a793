"""Losses as data. To add one, add a class, and its function to `FUNCTIONS` in `search/training/losses.py`.

A label is a class, or a distribution over classes, such as that of two mixed images.
"""

from __future__ import annotations

from typing import Annotated, Literal

from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.numbers import Below1


class LossKind(Kind):
    """The loss of a batch: the mean over its images."""


class CrossEntropy(LossKind):
    """-sum_c y_c log softmax(z)_c, with y = (1 - `smoothing`) label + `smoothing` / classes. 1512.00567, section 7."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    smoothing: Below1 = 0.0


class BinaryCrossEntropy(LossKind):
    """The mean over classes of the cross-entropy of sigmoid(z)_c and y_c, with y smoothed as in `cross_entropy`.

    With a `threshold`, a label is first made 1 above it and 0 elsewhere, so that each of two mixed classes counts in
    full. With `sum_classes`, the sum over classes instead of their mean. 2110.00476, section 2.
    """

    kind: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    smoothing: Below1 = 0.0
    threshold: Below1 | None = None
    sum_classes: bool = False


LOSSES: dict[str, type[LossKind]] = kinds(LossKind, globals())
"""By name: every class above that has a `kind`."""

Loss = Annotated[LossKind, OneOf(LOSSES)]
