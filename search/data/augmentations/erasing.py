"""Rectangles of normalised images that are overwritten: random erasing and cutout."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from search.data.augmentations.description import Erasing
from search.data.augmentations.draws import Draw, boxes, uniform, whole

CORNERS = 4
"""The rows of a draw that are the top, left, height and width of a rectangle; a height of 0 is none."""


def erase(x: Tensor, rectangles: Tensor, colours: Tensor | None = None) -> Tensor:
    """Return images (N, C, H, W) whose rectangles have a colour, (C, N); by default zero, which is the mean colour.

    `rectangles` are tops, lefts, heights and widths in pixels, (4, N); what lies outside of the image does not count.
    """
    top, left, down, across = rectangles[:, :, None]
    row, column = (torch.arange(side, device=x.device) for side in x.shape[2:])
    rows = (row >= top) & (row < top + down)
    columns = (column >= left) & (column < left + across)
    inside = (rows[:, :, None] & columns[:, None, :])[:, None]
    return x.masked_fill(inside, 0) if colours is None else torch.where(inside, colours.T[:, :, None, None], x)


@dataclass(frozen=True)
class RandomErasing:
    """Overwrite a random rectangle of an image, with a probability; see `Erasing`."""

    settings: Erasing
    shape: tuple[int, int, int]
    """(C, H, W) of the images."""

    def draw(self, number: int, generator: Generator) -> Draw:
        """Draw the rectangles, (4, number), and with `fill: colour` a colour for each, (4 + C, number)."""
        channels, height, width = self.shape
        chosen = uniform(0, 1, number, generator=generator) < self.settings.probability
        down, across, found = boxes(
            number,
            height * width,
            self.settings.area,
            self.settings.ratio,
            lambda tall, wide: (tall < height) & (wide < width),
            generator,
        )
        down = torch.where(chosen & found, down, 0)
        # One that does not fit is not used, and has a place anyway.
        top, left = (whole((side - own + 1).clamp(min=1), generator) for side, own in ((height, down), (width, across)))
        rows = [torch.stack([top, left, down, across]).float()]
        if self.settings.fill == "colour":
            rows.append(torch.randn(channels, number, generator=generator))
        return Draw(torch.cat(rows))

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        colours = draw.rows[CORNERS:] if self.settings.fill == "colour" else None
        return erase(x, draw.rows[:CORNERS], colours)


@dataclass(frozen=True)
class Cutout:
    """Overwrite a square of `side` pixels around a random pixel of each image; a part of it can lie outside."""

    side: int
    size: tuple[int, int]
    """Height and width of the images."""

    def draw(self, number: int, generator: Generator) -> Draw:
        """Draw the squares, (4, number)."""
        corners = [
            whole(torch.full((number,), side, dtype=torch.float64), generator) - self.side // 2 for side in self.size
        ]
        sides = torch.full((2, number), float(self.side))
        return Draw(torch.cat([torch.stack(corners).float(), sides]))

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        return erase(x, draw.rows)
