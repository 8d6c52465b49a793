"""Training images in a grid: a column per image, a row per epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports.figures import style
from reports.page import DOUBLE

GAP = 0.06
"""Between images, as a fraction of an image."""


def training_images(rows: Mapping[str, NDArray[Any]], names: Sequence[str], *, width: float = DOUBLE) -> Figure:
    """Return a grid of images.

    Args:
        rows: by heading, the images (N, H, W, C) of each row, from black, 0, to white, 1; sizes can differ by row.
        names: the class of each column.
        width: in inches.
    """
    _, high, wide, _ = next(iter(rows.values())).shape
    aspect = high / wide
    with style.applied():
        figure = style.page(width, max(1.2, (width - 0.8) / len(names) * aspect * len(rows) + 0.4))
        axes = figure.add_subplot()
        for row, images in enumerate(rows.values()):
            for column, image in enumerate(images):
                # Every image has a place of 1 x aspect, however many pixels it has.
                left, top = column * (1 + GAP), row * (aspect + GAP)
                shown = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
                axes.imshow(shown, extent=(left, left + 1, top + aspect, top), interpolation="nearest", vmin=0, vmax=1)
        axes.set_xlim(0, len(names) * (1 + GAP) - GAP)
        axes.set_ylim(len(rows) * (aspect + GAP) - GAP, 0)
        centres = {
            "x": ([column * (1 + GAP) + 0.5 for column in range(len(names))], names),
            "y": ([row * (aspect + GAP) + aspect / 2 for row in range(len(rows))], list(rows)),
        }
        for name, (ticks, labels) in centres.items():
            setter = axes.set_xticks if name == "x" else axes.set_yticks
            setter(ticks, [style.plain(label, 12) for label in labels], parse_math=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.grid(False)
        axes.set_aspect("equal")
        return style.settle(figure)
