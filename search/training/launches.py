"""A training step with fewer kernel launches: small operations of many layers in one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from resnet_space.conv_layers import Standardised
from resnet_space.fused_forms import Linears
from resnet_space.modules import Survival

TensorSlots = Sequence[tuple[dict[str, Any], str]]
"""Where modules keep tensors: the dictionary of their parameters or buffers, and the name in it."""

IN_BF16 = (nn.Conv2d, nn.Linear, Linears)
"""Layers whose weights autocast converts."""


class BatchedLaunches:
    """Counts batches and casts weights to bf16 for all layers of a network at once, in one or two kernels on a GPU.

    By default, each BN launches a kernel to add 1 to its `num_batches_tracked`, which it needs only for an average over
    all batches, which no network here uses. Autocast launches one kernel to cast each weight, and another to cast its
    gradient. Weights, statistics and counts after a step have the same bits as by default.
    """

    def __init__(self, model: nn.Module) -> None:
        parts = [*model.modules()]
        # If a batch can skip a branch, the branch's layers must not count that batch.
        skips = any(isinstance(part, Survival) for part in parts)
        norms = [] if skips else [part for part in parts if isinstance(part, nn.BatchNorm2d)]
        # A layer with a detour can compute in float64, and needs its weights uncast. Weights are standardised uncast.
        cast = [part for part in parts if isinstance(part, IN_BF16) and "forward" not in vars(part)]
        cast = [part for part in cast if not isinstance(part, Standardised)]
        self.counts: TensorSlots = [(norm._buffers, "num_batches_tracked") for norm in norms]
        self.weights: TensorSlots = [(part._parameters, name) for part in cast for name, _ in part.named_parameters()]

    @contextmanager
    def forward(self, device: torch.device) -> Iterator[None]:
        """Wrap a forward pass in training; enter it within the autocast context."""
        counts, copies = _tensors(self.counts), _tensors(self.weights)
        if copies and torch.is_autocast_enabled(device.type):
            copies = CastCopies.apply(torch.get_autocast_dtype(device.type), *copies)
        with _replaced(self.counts, [None] * len(counts)), _replaced(self.weights, copies):
            yield
        if counts:
            torch._foreach_add_(counts, 1)


class CastCopies(torch.autograd.Function):
    """Copies of weights in another type. Backward casts the copies' gradients to the weights' own type."""

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


def _tensors(places: TensorSlots) -> list[Tensor]:
    return [own[name] for own, name in places]


@contextmanager
def _replaced(places: TensorSlots, values: Iterable[Tensor | None]) -> Iterator[None]:
    """Give modules other tensors within the context. Not by `setattr`, which takes longer than some layers."""
    before = _tensors(places)
    for (own, name), value in zip(places, values, strict=True):
        own[name] = value
    try:
        yield
    finally:
        for (own, name), value in zip(places, before, strict=True):
            own[name] = value
