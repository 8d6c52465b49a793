"""Update the average of a network's weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from resnet_space.fused import copy_all


def average_of(model: nn.Module) -> nn.Module:
    """Return a copy of a network for the average of its weights, in evaluation mode."""
    return copy.deepcopy(model).eval().requires_grad_(False)


class Average:
    """average <- (1 - w) average + w weights, for the weights and statistics of a network; counts are copied."""

    def __init__(self, average: nn.Module, model: nn.Module) -> None:
        # Listed once: collecting them takes as long as some layers of the network.
        pairs = [*zip(average.state_dict().values(), model.state_dict().values(), strict=True)]
        self.numbers = [pair for pair in pairs if pair[0].is_floating_point()]
        self.counts = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, weight: float) -> None:
        """Move the average towards the weights by this fraction of the difference."""
        if weight == 1:
            copy_all([*self.numbers, *self.counts])
            return
        averages, weights = self._apart(self.numbers)
        torch._foreach_lerp_(averages, weights, weight)
        copy_all(self.counts)

    @staticmethod
    def _apart(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
        return [average for average, _ in pairs], [weight for _, weight in pairs]
