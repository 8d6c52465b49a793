"""Train with less memory: activations of a branch are not stored, and the backward pass computes them again.

Source: Chen et al. 2016, 1604.06174. For dense connectivity, Pleiss et al. 2017, 1707.06990: without the stored
concatenations, the memory of a stage of l units grows with l instead of l^2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Features = Tensor | tuple[Tensor, ...]
"""A map (N, C, H, W), or the parts that are concatenated by channel to give it."""


def joined(x: Features) -> Tensor:
    """Return the map, with its parts concatenated."""
    return torch.cat(x, dim=1) if isinstance(x, tuple) else x


def recomputed(module: nn.Module, parts: tuple[Tensor, ...]) -> Tensor:
    """Return the output of a module on the concatenation of `parts`, without storing its activations."""
    y: Tensor = checkpoint(
        lambda *inputs: module(joined(inputs)),
        *parts,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _statistics_kept(module)),
    )
    return y


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """During the recomputation, do not update running statistics: each batch counts once."""
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        # Not by `track_running_stats`: both passes must save the same number of tensors.
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
