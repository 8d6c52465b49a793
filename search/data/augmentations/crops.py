"""A random part of each image, scaled to one size: two products of matrices for a whole batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from search.data.augmentations.description import ResizedCrop
from search.data.augmentations.draws import Draw, boxes, whole


@dataclass(frozen=True)
class RandomResizedCrop:
    """Cut out a random part of each image, and scale it to (height, width); see `ResizedCrop`."""

    settings: ResizedCrop
    full: tuple[int, int]
    """Height and width of the images."""
    size: tuple[int, int]
    """Those of the result."""

    def draw(self, number: int, generator: Generator) -> Draw:
        """Draw top, left, height and width of each part, (4, number)."""
        height, width = self.full
        across, down, found = boxes(
            number,
            height * width,
            self.settings.scale,
            self.settings.ratio,
            lambda w, h: (w > 0) & (w <= width) & (h > 0) & (h <= height),
            generator,
        )
        tall, wide = self._middle()
        down = torch.where(found, down, tall)
        across = torch.where(found, across, wide)
        top, left = whole(height - down + 1, generator), whole(width - across + 1, generator)
        top = torch.where(found, top, (height - tall) // 2)
        left = torch.where(found, left, (width - wide) // 2)
        return Draw(torch.stack([top, left, down, across]).float())

    def _middle(self) -> tuple[int, int]:
        """Return height and width of the largest part whose ratio is allowed."""
        height, width = self.full
        low, high = self.settings.ratio
        return min(height, round(width / low)), min(width, round(height * high))

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        return resized_crop(x, draw.rows, self.size)


def resized_crop(x: Tensor, parts: Tensor, size: tuple[int, int]) -> Tensor:
    """Return parts of images (N, C, H, W), scaled to `size`: bilinear, with antialiasing.

    `parts` are their tops, lefts, heights and widths in pixels, (4, N). Each image equals torchvision's `resized_crop`.
    """
    top, left, down, across = parts
    rows = resampling(top, down, x.shape[2], size[0])
    columns = resampling(left, across, x.shape[3], size[1])
    return rows[:, None] @ (x @ columns.mT[:, None])


def resampling(begin: Tensor, length: Tensor, full: int, size: int) -> Tensor:
    """Return the weights (N, size, full) by which pixels begin..begin + length - 1 of a row become `size` pixels.

    Pixel i of the result is at c = begin + (i + 1/2) l with l = length / size, and gets a triangle
    max(0, 1 - |j + 1/2 - c| / max(l, 1)) of pixels j within the part, divided by its sum: torch's antialiased bilinear
    interpolation.
    """
    begin, scale = begin[:, None, None], (length / size)[:, None, None]
    centre = begin + (torch.arange(size, device=begin.device)[:, None] + 0.5) * scale
    pixel = torch.arange(full, device=begin.device)
    weights = (1 - (pixel + 0.5 - centre).abs() / scale.clamp(min=1)).clamp(min=0)
    weights = weights * ((pixel >= begin) & (pixel < begin + length[:, None, None]))
    return weights / weights.sum(2, keepdim=True)


@dataclass(frozen=True)
class Resize:
    """Scale all images to (height, width), bilinearly with antialiasing. It draws nothing."""

    size: tuple[int, int]

    def draw(self, number: int, generator: Generator) -> Draw:
        return Draw(torch.empty(0, number))

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        return functional.interpolate(x, self.size, mode="bilinear", antialias=True)
