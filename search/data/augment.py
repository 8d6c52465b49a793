"""Normalisation and augmentation of a batch (N, C, H, W): pure functions of the batch and of drawn random numbers.

Random numbers are always drawn on the CPU, so that every arm sees the same crops on any device.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from search.data.augmentations.description import Augmentation


def normalise(x: Tensor, mean: Tensor | Sequence[float], std: Tensor | Sequence[float]) -> Tensor:
    """Return (x - mean) / std in float32, with mean and std per channel in the units of x."""
    mean, std = (torch.as_tensor(v, dtype=torch.float32, device=x.device).view(-1, 1, 1) for v in (mean, std))
    return x.to(torch.float32).sub(mean).div_(std)


def draw_augmentation(count: int, augmentation: Augmentation, generator: Generator) -> Tensor:
    """Draw the augmentation of a batch, (3, count) int64: top and left of each crop, and 1 for images to mirror."""
    offsets = torch.zeros(2, count, dtype=torch.int64)
    mirrored = torch.zeros(count, dtype=torch.bool)
    if augmentation.pad:
        offsets = draw_offsets(count, augmentation.pad, generator)
    if augmentation.flip:
        mirrored = torch.rand(count, generator=generator) < 0.5
    return torch.cat([offsets, mirrored[None]])


def augmented(x: Tensor, augmentation: Augmentation, drawn: Tensor) -> Tensor:
    """Return a normalised batch after the random crops and flips in `drawn`, (3, N), on the batch's device."""
    if augmentation.pad:
        x = pad_and_crop(x, augmentation.pad, drawn[:2])
    return flip(x, drawn[2] > 0) if augmentation.flip else x


def pad_and_crop(x: Tensor, padding: int, offsets: Tensor) -> Tensor:
    """Pad with `padding` zeros on each side, and crop each image to (H, W) at its own top and left, (2, N).

    1512.03385, section 4.2. In normalised images zero is the mean colour.
    """
    height, width = x.shape[2:]
    rows, columns = offsets
    # A view of all crops at all offsets, (N, C, 2p+1, 2p+1, H, W), from which each image takes its own.
    crops = F.pad(x, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    return crops[torch.arange(len(x), device=x.device), :, rows, columns]


def draw_offsets(count: int, padding: int, generator: Generator) -> Tensor:
    """Draw top and left of each crop, (2, count), uniform in 0..2*padding."""
    return torch.randint(0, 2 * padding + 1, (2, count), generator=generator)


def flip(x: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror images left to right where `mirrored`, (N,) bool, is true."""
    return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)
