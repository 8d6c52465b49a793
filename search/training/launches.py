"""Fewer kernel launches per training step: do torch's per-layer bookkeeping for all layers at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from resnet_space.fused import Linears
from resnet_space.modules import Survival

Places = Sequence[tuple[dict[str, Any], str]]
"""The positions of tensors in modules: a dict of parameters or buffers, and a name in it."""

IN_BF16 = (nn.Conv2d, nn.Linear, Linears)
"""Layers whose weights autocast converts."""


class ForAll:
    """Updates a network's batch counts and bf16 weights for all layers in one call: a kernel or two on a GPU.

    Without it, each BN launches a kernel to add 1 to `num_batches_tracked` (needed only for a cumulative average, which
    no network here uses), and autocast launches one kernel to convert each weight and one for its gradient. Weights,
    statistics and counts after a forward pass are bit-identical to torch's own.
    """

    def __init__(self, model: nn.Module) -> None:
        parts = [*model.modules()]
        # If a batch can skip a branch, the branch's layers do not count that batch.
        skips = any(isinstance(part, Survival) for part in parts)
        norms = [] if skips else [part for part in parts if isinstance(part, nn.BatchNorm2d)]
        # A layer with a workaround can compute in float64 and needs full precision.
        cast = [part for part in parts if isinstance(part, IN_BF16) and "forward" not in vars(part)]
        self.counts: Places = [(norm._buffers, "num_batches_tracked") for norm in norms]
        self.weights: Places = [(part._parameters, name) for part in cast for name, _ in part.named_parameters()]

    @contextmanager
    def forward(self, device: torch.device) -> Iterator[None]:
        """Use as a context around a forward pass in training, inside its autocast context."""
        counts, copies = _at(self.counts), _at(self.weights)
        if copies and torch.is_autocast_enabled(device.type):
            copies = Copies.apply(torch.get_autocast_dtype(device.type), *copies)
        with _instead(self.counts, [None] * len(counts)), _instead(self.weights, copies):
            yield
        if counts:
            torch._foreach_add_(counts, 1)


class Copies(torch.autograd.Function):
    """Weights converted to another type. Gradients of the copies are converted back and become the weights' own."""

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
    """Replace tensors in modules inside this context. Not with `setattr`, which takes longer than some layers."""
    before = _at(places)
    for (own, name), value in zip(places, values, strict=True):
        own[name] = value
    try:
        yield
    finally:
        for (own, name), value in zip(places, before, strict=True):
            own[name] = value
