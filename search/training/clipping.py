"""Clip the gradients of networks by the norm of each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

EPSILON = 1e-6
"""As in torch's `clip_grad_norm_`."""


class Clipping:
    """g <- g min(1, `norm` / |g|), with |g| over all weights of a network. Of several fused ones, each has its own.

    Nothing is read on the CPU, so a CUDA graph can contain it.
    """

    def __init__(self, norm: float, weights: Sequence[nn.Parameter], owners: Sequence[Sequence[int]]) -> None:
        """`owners` are, for each weight, the numbers of the networks whose weights are concatenated in it."""
        self.norm, self.weights, self.owners = norm, weights, owners
        self.networks = 1 + max(number for numbers in owners for number in numbers)

    @torch.no_grad()
    def __call__(self) -> None:
        """Clip the gradients in place."""
        gradients: list[list[Tensor]] = [[] for _ in range(self.networks)]
        for weight, numbers in zip(self.weights, self.owners, strict=True):
            assert weight.grad is not None
            parts = weight.grad.chunk(len(numbers)) if len(numbers) > 1 else [weight.grad]
            for number, part in zip(numbers, parts, strict=True):
                gradients[number].append(part)
        for own in gradients:
            scale = self.norm / (torch.nn.utils.get_total_norm(own) + EPSILON)
            torch._foreach_mul_(own, scale.clamp(max=1.0))
