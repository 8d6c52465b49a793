"""A strip of small pictures, such as test images on which arms differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from reports.figures import style
from reports.page import DOUBLE

PER_ROW, PER_NARROW_ROW = 8, 4
"""Pictures in a row of a wide and of a narrow figure."""
SIDE = 96
"""Larger pictures are made smaller, so that a page stays small: pixels."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture, (H, W, 3) uint8, with a line above it."""

    image: NDArray[np.uint8]
    title: str


def strip(shown: Sequence[Shown], *, width: float = DOUBLE) -> Figure:
    """Return the pictures in rows, each with its title."""
    across = PER_NARROW_ROW if width < style.NARROW else PER_ROW
    rows = -(-len(shown) // across)
    with style.applied():
        figure = style.page(width, (width / across + 0.18) * max(rows, 1))
        for at, one in enumerate(shown):
            axes = figure.add_subplot(rows, across, at + 1)
            axes.imshow(_small(one.image), interpolation="nearest")
            axes.set_title(style.plain(one.title, 16), fontsize=6, pad=2, parse_math=False)
            axes.set_axis_off()
        return style.settle(figure)


def as_pictures(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images (N, C, H, W) of any range as pictures (N, H, W, 3) uint8, from their least value to their greatest.

    One channel is grey, of four or more the first three are shown; with two, the first is grey. One range for all
    pictures, so that they can be compared: pixels of a data set need not be between 0 and 255.
    """
    colours = images[:, :3] if images.shape[1] >= 3 else images[:, :1].repeat(3, axis=1)
    values = np.asarray(colours, dtype=float)
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / ((high - low) or 1)
    return np.asarray(np.rint(255 * scaled).astype(np.uint8).transpose(0, 2, 3, 1))


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if max(image.shape[:2]) <= SIDE:
        return image
    made = Image.fromarray(image)
    made.thumbnail((SIDE, SIDE))
    return np.asarray(made)
