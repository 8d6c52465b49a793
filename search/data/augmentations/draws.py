"""Random numbers of a batch: drawn on the CPU from the batch's own generator, then copied to the device.

What has a size, such as the number of images of an operation, stays on the host: reading it from a GPU would make the
host wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

ATTEMPTS = 10
"""A box that does not fit into the image is drawn again, up to this number in all. As in torchvision."""


@dataclass(frozen=True)
class Draw:
    """The random numbers of one change of a batch of n images."""

    rows: Tensor
    """(k, n) float32: k numbers for each image, on the CPU, or after copying on the device."""
    counts: tuple[tuple[int, ...], ...] = ()
    """Images per operation, of each layer of operations; see `operations`."""


def uniform(low: float, high: float, *shape: int, generator: Generator) -> Tensor:
    """Draw float64 numbers, uniform in low..high."""
    return low + (high - low) * torch.rand(shape, dtype=torch.float64, generator=generator)


def whole(limits: Tensor, generator: Generator) -> Tensor:
    """Draw a whole number, uniform in 0..limit - 1, for each limit."""
    drawn = torch.rand(limits.shape, dtype=torch.float64, generator=generator)
    # The product can be rounded up to the limit.
    return torch.minimum((drawn * limits).floor(), limits - 1)


def boxes(
    number: int,
    pixels: float,
    area: Sequence[float],
    ratio: Sequence[float],
    fits: Callable[[Tensor, Tensor], Tensor],
    generator: Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw boxes with an area of round(a b) pixels, a = sqrt(s r), b = sqrt(s / r).

    s / pixels is uniform in `area`, log r is uniform between the logarithms of `ratio`. `fits(a, b)` says whether a box
    is accepted.

    Returns:
        The whole sides a and b, and whether one of the `ATTEMPTS` was accepted, each (number,).
    """
    s = pixels * uniform(area[0], area[1], ATTEMPTS, number, generator=generator)
    r = uniform(math.log(ratio[0]), math.log(ratio[1]), ATTEMPTS, number, generator=generator).exp()
    a, b = (s * r).sqrt().round(), (s / r).sqrt().round()
    accepted = fits(a, b)
    # The first one that is accepted: `argmax` returns the first of equal values.
    first = accepted.int().argmax(0, keepdim=True)
    return a.gather(0, first)[0], b.gather(0, first)[0], accepted.any(0)
