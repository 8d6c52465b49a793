"""Training in less memory: what a branch computed is forgotten, and computed anew on the way back.

Source: Chen et al. 2016, 1604.06174; for dense connectivity Pleiss et al. 2017, 1707.06990, where it takes the memory
of a stage of l units from growing with l^2 to growing with l: concatenations are what is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Features = Tensor | tuple[Tensor, ...]
"""A map, or the parts whose concatenation by channel it is."""


def joined(x: Features) -> Tensor:
    """The map itself."""
    return torch.cat(x, dim=1) if isinstance(x, tuple) else x


def recomputed(module: nn.Module, parts: tuple[Tensor, ...]) -> Tensor:
    """What a module makes of the concatenation of maps, without keeping what it computed on the way."""
    y: Tensor = checkpoint(
        lambda *inputs: module(joined(inputs)),
        *parts,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _statistics_kept(module)),
    )
    return y


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """The second time, running statistics are those of the first: a batch counts once."""
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        # Not by `track_running_stats`: the second pass has to keep as many tensors as the first.
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
