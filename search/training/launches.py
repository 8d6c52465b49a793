"""A training step in fewer launches: what torch does layer by layer beside the layers' own work, for all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from resnet_space.fused import Linears
from resnet_space.modules import Survival

Places = Sequence[tuple[dict[str, Any], str]]
"""Where modules have tensors: their parameters or buffers, and a name in them."""

IN_BF16 = (nn.Conv2d, nn.Linear, Linears)
"""Layers whose weights autocast casts."""


class ForAll:
    """A network's counts of batches and bf16 weights, each for all layers in one call, a kernel or two on a GPU.

    By themselves, each BN launches a kernel to add 1 to its `num_batches_tracked`, which it needs only for an average
    over all batches, as no network here has; and autocast one to cast a weight, and another to cast its gradient.
    Weights, statistics and counts after a forward pass are those that torch leaves by itself, to the bit.
    """

    def __init__(self, model: nn.Module) -> None:
        parts = [*model.modules()]
        # Where a batch may skip a branch, its layers do not count that batch.
        skips = any(isinstance(part, Survival) for part in parts)
        norms = [] if skips else [part for part in parts if isinstance(part, nn.BatchNorm2d)]
        # One on a detour may compute in float64, from all digits.
        cast = [part for part in parts if isinstance(part, IN_BF16) and "forward" not in vars(part)]
        self.counts: Places = [(norm._buffers, "num_batches_tracked") for norm in norms]
        self.weights: Places = [(part._parameters, name) for part in cast for name, _ in part.named_parameters()]

    @contextmanager
    def forward(self, device: torch.device) -> Iterator[None]:
        """Around a forward pass in training, within its autocast context."""
        counts, copies = _at(self.counts), _at(self.weights)
        if copies and torch.is_autocast_enabled(device.type):
            copies = Copies.apply(torch.get_autocast_dtype(device.type), *copies)
        with _instead(self.counts, [None] * len(counts)), _instead(self.weights, copies):
            yield
        if counts:
            torch._foreach_add_(counts, 1)


class Copies(torch.autograd.Function):
    """Weights in another type; the gradients of the copies, in the weights' own type, are those of the weights."""

    @staticmethod
    def forward(ctx: Any, kind: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.kind = weights[0].dtype
        return _cast(weights, kind)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, *_cast(gradients, ctx.kind)


def _cast(tensors: Sequence[Tensor], kind: torch.dtype) -> tuple[Tensor, ...]:
    made = tuple(torch.empty_like(tensor, dtype=kind) for tensor in tensors)
    torch._foreach_copy_(made, [*tensors])
    return made


def _at(places: Places) -> list[Tensor]:
    return [own[name] for own, name in places]


@contextmanager
def _instead(places: Places, values: Iterable[Tensor | None]) -> Iterator[None]:
    """Have modules find other tensors. Not by `setattr`, which takes longer than some layers."""
    before = _at(places)
    for (own, name), value in zip(places, values, strict=True):
        own[name] = value
    try:
        yield
    finally:
        for (own, name), value in zip(places, before, strict=True):
            own[name] = value
