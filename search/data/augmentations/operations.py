"""One operation for each image of a batch: images are sorted by operation, and each operation computes its own at once.

How many images an operation gets is drawn on the host, so no number is read from the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from search.data.augmentations.draws import Draw

Operation = Callable[[Tensor, Tensor], Tensor]
"""From images (n, C, H, W) and their numbers (k, n) to changed images."""

PLACES = 2
"""The rows of a layer before its numbers: the order that sorts images by operation, and the one that restores them."""


@dataclass(frozen=True)
class Layer:
    """One operation per image: its index (n,), and its numbers (k, n)."""

    operations: Tensor
    numbers: Tensor


def laid_out(layers: Sequence[Layer], kinds: int) -> Draw:
    """Return layers, computed one after another, as rows of numbers; `kinds` is the number of operations."""
    rows, counts = [], []
    for layer in layers:
        order = layer.operations.argsort(stable=True)
        rows += [order.argsort()[None], order[None], layer.numbers[:, order]]
        counts.append(tuple(torch.bincount(layer.operations, minlength=kinds).tolist()))
    return Draw(torch.cat([part.float() for part in rows]), tuple(counts))


def computed(x: Tensor, draw: Draw, operations: Sequence[Operation]) -> Tensor:
    """Return images after the operations of all layers."""
    height = len(draw.rows) // len(draw.counts)
    for rows, counts in zip(torch.split(draw.rows, height), draw.counts, strict=True):
        back, order = rows[:PLACES].long()
        parts = zip(
            operations, torch.split(x[order], list(counts)), torch.split(rows[PLACES:], list(counts), 1), strict=True
        )
        x = torch.cat([operation(some, numbers) for operation, some, numbers in parts if len(some)])[back]
    return x


def unchanged(x: Tensor, numbers: Tensor) -> Tensor:
    """Return the images."""
    return x
