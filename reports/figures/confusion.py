"""Confusion matrices of several arms, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports.figures import style
from reports.figures.palette import colour
from reports.page import DOUBLE

PER_ROW = 3
"""Panels in a row of a wide figure; a narrow one has one."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """An arm's confusion matrix, (classes, classes): of the images of class [row], the fraction seen as [column]."""

    arm: str
    index: int
    rates: NDArray[np.float64]


def confusion(found: Sequence[Matrix], classes: Sequence[str], *, width: float = DOUBLE) -> Figure:
    """Return one panel per arm: true classes down, predicted classes across, in the arm's colour.

    The diagonal is left out: it is near 100 %, and would hide the errors. All panels have one scale, from 0 to the
    greatest rate of any confusion, which the heading of each panel gives for its arm.
    """
    errors = [_off_diagonal(each.rates) for each in found]
    most = max((float(each.max()) for each in errors), default=0.0) or 1.0
    across = 1 if width < style.NARROW else PER_ROW
    rows = -(-len(found) // across)
    with style.applied():
        figure = style.page(width, (0.95 * width / across + 0.2) * max(rows, 1))
        for at, (each, rates) in enumerate(zip(found, errors, strict=True)):
            axes = figure.add_subplot(rows, across, at + 1)
            # Transparent where there is no confusion, so that it fits light and dark pages.
            shades = np.empty((*rates.shape, 4))
            shades[..., :3], shades[..., 3] = to_rgb(colour(each.index)), rates / most
            axes.imshow(shades, interpolation="nearest", gid=f"arm-{each.index}-rates")
            title = f"{style.plain(each.arm, 24)}: up to {100 * float(rates.max()):.1f} %"
            axes.set_title(title, parse_math=False)
            ticks: dict[str, Any] = {"ticks": range(len(classes)), "labels": [style.plain(name, 8) for name in classes]}
            axes.set_xticks(**ticks, rotation=90, parse_math=False)
            axes.set_yticks(**ticks, parse_math=False)
            axes.tick_params(length=0, labelsize=5.5 if len(classes) <= 10 else 4)
            axes.grid(False)
            if at % across == 0:
                axes.set_ylabel("true class")
            if at + across >= len(found):
                axes.set_xlabel("predicted class")
        return style.settle(figure)


def _off_diagonal(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.nan_to_num(rates)
    np.fill_diagonal(found, 0)
    return found
