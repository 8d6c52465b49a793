"""Numbers beside the points of a figure, each where it can be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from reports.style import GREY

NEAR = 8
PLACES = [
    (far * math.cos(turn * math.pi / 4), far * math.sin(turn * math.pi / 4))
    for far, turn in product((NEAR, 12, 17, 24, 34, 48), (0, 4, 1, 3, 7, 5, 2, 6))
]
"""Where a point's number may stand, in points from the point; beside it first."""


@dataclass(frozen=True)
class Place:
    """What an arm costs and how well it does: the error is a mean over seeds, `std` None for one seed."""

    arm: str
    index: int
    macs: float
    error: float
    std: float | None
    on_front: bool


def number_points(axes: Axes, places: Sequence[Place]) -> None:
    """Each point's number, where it stands on no other and on the fewest points; a hair leads to it from afar."""
    dots = axes.transData.transform([(place.macs, 100 * place.error) for place in places])
    room, pixels = axes.get_window_extent(), axes.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
    taken: list[Bbox] = []
    for dot, place in zip(dots, places, strict=True):
        text, choices = f"{place.index + 1}", []
        for x, y in PLACES:
            # A digit is 4.5 points wide; the first of equals is the nearest.
            middle, half = dot + pixels * np.array([x, y]), pixels * np.array([2.25 * len(text) + 0.5, 4])
            box = Bbox([middle - half, middle + half])
            off = not all(room.contains(*corner) for corner in box.corners())
            crossed = off, place.on_front and min(abs(x), abs(y)) < 1
            crowd = sum(box.overlaps(other) for other in taken), crossed, box.padded(3 * pixels).count_contains(dots)
            choices.append((crowd, box, (x, y)))
        _, box, at = min(choices, key=lambda choice: choice[0])
        taken.append(box)
        hair = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 3, "shrinkB": 3.5}
        said: dict[str, Any] = {"ha": "center", "va": "center", "gid": f"arm-{place.index}-number", "zorder": 6}
        said["arrowprops"] = hair if math.hypot(*at) > NEAR else None
        axes.annotate(text, (place.macs, 100 * place.error), at, textcoords="offset points", **said)
