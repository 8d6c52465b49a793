"""Rotations and other affine maps, with a matrix for each image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from search.data.augmentations.draws import Draw, uniform


def affine(x: Tensor, matrices: Tensor) -> Tensor:
    """Return images (N, C, H, W) whose pixel at (u, v) is that of x at (a u + b v + c, d u + e v + f).

    `matrices` are a, b, c, d, e, f of each image, (6, N). u and v are columns and rows in pixels, from the centre of
    the image. Between pixels bilinear; outside of the image zero, which in normalised images is the mean colour. Each
    image equals torchvision's `affine` with this inverse matrix.
    """
    height, width = x.shape[2:]
    columns = torch.linspace((1 - width) / 2, (width - 1) / 2, width, device=x.device)
    rows = torch.linspace((1 - height) / 2, (height - 1) / 2, height, device=x.device)[:, None]
    a, b, c, d, e, f = matrices[:, :, None, None]
    # `grid_sample` counts from -1 to 1 between the outer borders of the image.
    grid = torch.stack([(a * columns + b * rows + c) * (2 / width), (d * columns + e * rows + f) * (2 / height)], 3)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def rotations(degrees: Tensor) -> Tensor:
    """Return the matrices (6, N) that turn images counterclockwise by these angles, (N,)."""
    cos, sin = (degrees * (math.pi / 180)).cos(), (degrees * (math.pi / 180)).sin()
    none = torch.zeros_like(cos)
    return torch.stack([cos, -sin, none, sin, cos, none])


@dataclass(frozen=True)
class Rotation:
    """Rotate each image around its centre by an angle that is uniform in -degrees..degrees."""

    degrees: float

    def draw(self, number: int, generator: Generator) -> Draw:
        """Draw the matrix of each image, (6, number)."""
        return Draw(rotations(uniform(-self.degrees, self.degrees, number, generator=generator)).float())

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        return affine(x, draw.rows)


@dataclass(frozen=True)
class VerticalFlip:
    """Mirror each image top to bottom with probability 1/2."""

    def draw(self, number: int, generator: Generator) -> Draw:
        """Draw 1 for images to mirror, (1, number)."""
        return Draw((uniform(0, 1, 1, number, generator=generator) < 0.5).float())

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        return torch.where(draw.rows.view(-1, 1, 1, 1) > 0, x.flip(2), x)
