"""The losses of `search/trials/losses.py` as functions of logits (n, classes) and labels.

Labels are classes (n,) int64, or distributions over classes (n, classes) float.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from search.trials.losses import BinaryCrossEntropy, CrossEntropy, LossKind

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""Logits and labels in, the mean loss out."""


def loss_function(loss: LossKind) -> LossFunction:
    """Return the function of a recipe's loss."""
    return FUNCTIONS[type(loss)](loss)


def classes_of(y: Tensor) -> Tensor:
    """Return the class (n,) of each label: of a distribution over classes the most likely one."""
    return y if y.dim() == 1 else y.argmax(1)


def binary_cross_entropy(
    logits: Tensor, y: Tensor, *, smoothing: float, threshold: float | None, sum_classes: bool
) -> Tensor:
    """Return the mean over images of the mean, or the sum, of each class's binary cross-entropy."""
    kind, classes = torch.promote_types(logits.dtype, torch.float32), logits.shape[1]
    if y.dim() == 1:
        # Not `one_hot`, which can read the labels on the CPU.
        y = torch.zeros(logits.shape, dtype=kind, device=logits.device).scatter_(1, y[:, None], 1)
    y = (y > threshold if threshold is not None else y).to(kind) * (1 - smoothing) + smoothing / classes
    loss = functional.binary_cross_entropy_with_logits(logits, y)
    return loss * classes if sum_classes else loss


def _cross_entropy(loss: CrossEntropy) -> LossFunction:
    plain = functional.cross_entropy
    return partial(plain, label_smoothing=loss.smoothing) if loss.smoothing else plain


def _binary_cross_entropy(loss: BinaryCrossEntropy) -> LossFunction:
    return partial(
        binary_cross_entropy, smoothing=loss.smoothing, threshold=loss.threshold, sum_classes=loss.sum_classes
    )


FUNCTIONS: dict[type[LossKind], Callable[[Any], LossFunction]] = {
    CrossEntropy: _cross_entropy,
    BinaryCrossEntropy: _binary_cross_entropy,
}
