"""Names at the ends of lines, which a reader finds faster than the entries of a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text

from reports.figures.palette import colour

HEIGHT = 8.0
"""The least distance of two names in points."""
LETTER = 4.0
"""The width of a letter in points, on average."""
SHARE = 0.3
"""Names take at most this share of the width of a figure; a legend has longer ones."""
GAP = 0.012, 0.025
"""Where the line to a name begins and where the name begins, right of the axes, as fractions of their width."""


def fit(names: Mapping[int, str], width: float) -> bool:
    """Whether a figure of this width in inches has room for the names beside the axes."""
    return LETTER * max(map(len, names.values()), default=0) <= SHARE * 72 * width


def height(names: Mapping[int, str]) -> float:
    """Return the height in inches that the names need, one below another."""
    return len(names) * HEIGHT / 72


def write(axes: Axes, names: Mapping[int, str]) -> dict[int, Text]:
    """Write the names to the right of the axes, so that the layout keeps room for them; return them by index."""
    style: dict[str, Any] = {"transform": axes.transAxes, "va": "center", "fontsize": 6.5, "parse_math": False}
    return {index: axes.text(1 + GAP[1], 0.5, name, gid=f"arm-{index}-label", **style) for index, name in names.items()}


def arrange(axes: Axes, texts: Mapping[int, Text]) -> None:
    """Move each name to the end of its arm's line, or near it if others are there. Call this after the layout."""
    ends = {index: end for index in texts if (end := _end(axes, index)) is not None}
    lost = [index for index in texts if index not in ends]
    order = [*lost, *sorted(ends, key=lambda index: ends[index][1])]
    tall = axes.get_window_extent().height / axes.get_figure(root=True).dpi * 72  # type: ignore[union-attr]
    gap = HEIGHT / tall
    places = spread([ends[index][1] if index in ends else 0.0 for index in order], gap, high=1 - gap / 2)
    for index, place in zip(order, places, strict=True):
        texts[index].set_position((1 + GAP[1], place))
        if index in ends:
            (x, y), to = ends[index], (1 + GAP[0], place)
            leader: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False, "linewidth": 0.5}
            axes.plot([x, to[0]], [y, to[1]], color=colour(index), gid=f"arm-{index}-leader", **leader)


def spread(wanted: Sequence[float], gap: float, high: float = 1.0) -> list[float]:
    """Return ascending places from 0 to `high` near the wanted ones, which are ascending, at least `gap` apart.

    If there is no room for all of them, they are evenly spaced.

    >>> spread([0.5, 0.5], 0.25)
    [0.5, 0.75]
    >>> spread([0.9, 1.0], 0.25)
    [0.75, 1.0]
    """
    gap = min(gap, high / max(len(wanted) - 1, 1))
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + gap) if places else max(place, 0.0))
    most = high
    for at in range(len(places) - 1, -1, -1):
        places[at] = min(places[at], most)
        most = places[at] - gap
    return places


def _end(axes: Axes, index: int) -> tuple[float, float] | None:
    """Return the last drawn point of an arm's line as fractions of the axes; None if nothing is drawn."""
    for line in axes.lines:
        if line.get_gid() == f"arm-{index}-line":
            points = np.asarray(line.get_xydata(), dtype=float)
            known = points[np.isfinite(points).all(axis=1)]
            if len(known):
                x, y = axes.transAxes.inverted().transform(axes.transData.transform(known[-1]))
                return float(x), float(y)
    return None
