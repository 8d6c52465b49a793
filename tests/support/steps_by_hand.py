"""A textbook training loop, with the options that a recipe can have."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

Batch = tuple[Tensor, Tensor]


def random_batches(
    number: int, *, images: int = 8, classes: int = 10, soft: bool = False, seed: int = 0
) -> list[Batch]:
    """Random images (images, 1, 8, 8), and labels; `soft` ones are distributions over classes."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(number):
        x = torch.randn(images, 1, 8, 8, generator=generator)
        y = torch.randint(classes, (images,), generator=generator)
        if soft:
            y = torch.rand(images, classes, generator=generator).softmax(1)
        made.append((x, y))
    return made


def textbook(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    *,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
    parts: int = 1,
    clip: float | None = None,
    average: AveragedModel | None = None,
) -> list[float]:
    """Train, and return the loss of each step."""
    model.train()
    losses = []
    for x, y in batches:
        optimizer.zero_grad()
        total = 0.0
        for part_x, part_y in zip(x.chunk(parts), y.chunk(parts), strict=True):
            found = loss(model(part_x), part_y) * len(part_y) / len(y)
            found.backward()
            total += float(found.detach())
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if average is not None:
            average.update_parameters(model)
        losses.append(total)
    return losses
