"""Errors of arms against their cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from reports.figures import published_results, style
from reports.figures.arms import finite, legend, look, names_of, sheet
from reports.figures.front import XY, staircase
from reports.figures.palette import colour
from reports.figures.published_results import Known
from reports.figures.style import GREY
from reports.page import DOUBLE

NEAR = 8

PLACES = [
    (far * math.cos(turn * math.pi / 4), far * math.sin(turn * math.pi / 4))
    for far, turn in product((NEAR, 12, 17, 24, 34, 48), (0, 4, 1, 3, 7, 5, 2, 6))
]
"""Candidate offsets of a number from its data point, in typographic points, nearest first."""


@dataclass(frozen=True)
class Place:
    """The cost and mean error of an arm over seeds; `std` is None for one seed."""

    arm: str
    index: int
    macs: float
    error: float
    std: float | None
    on_front: bool


def complexity(
    places: Sequence[Place], *, cost: str = "MACs", published: Sequence[Known] = (), width: float = DOUBLE
) -> Figure:
    """Return a figure of error against cost, ±1 standard deviation over seeds.

    Filled points are on the Pareto front, drawn as a step line. Each point has the number of its arm, which is its
    row in the table, from 1; the legend lists the names. `published` results in range are drawn in the background.
    """
    drawn = [place for place in places if finite(place.macs) and finite(place.error)]
    names = {index: f"{index + 1}  {name}" for index, name in names_of(drawn).items()}
    with style.applied():
        figure = sheet(width, 2.6 if width < style.NARROW else 3.2, names)
        axes = figure.add_subplot(ylabel="error, %" + (" (± std)" if any(place.std for place in drawn) else ""))
        axes.set_xlabel(style.plain(cost), parse_math=False)
        if not drawn:
            style.sentence(axes, "no arm has a finished trial yet")
            return style.settle(figure)
        axes.margins(0.08, 0.12)
        for place in drawn:
            at, gid = (place.macs, 100 * place.error), f"arm-{place.index}"
            if place.std is not None and math.isfinite(place.std):
                made = axes.errorbar(*at, 100 * place.std, fmt="none", ecolor=colour(place.index), elinewidth=0.7)
                for part in made.lines[2]:
                    part.set_gid(f"{gid}-spread")
            fill = {"markerfacecolor": colour(place.index) if place.on_front else "white"}
            axes.plot(*at, linestyle="", gid=f"{gid}-point", zorder=4, **look(place.index) | fill)
        known = published_results.near(published, [(place.macs, place.error) for place in drawn])
        known_places = [(each.x, 100 * each.y) for each in known]
        published_results.draw(axes, known_places)
        measured = [(place.macs, 100 * place.error) for place in drawn]
        style.number(axes.xaxis, [x for x, _ in (*measured, *known_places)])
        style.number(axes.yaxis, [y for _, y in (*measured, *known_places)])
        _front(axes, [(place.macs, 100 * place.error) for place in drawn if place.on_front])
        legend(figure, names, marked=True, lined=False, others=[published_results.key()] if known else [])
        style.settle(figure)
        _number_points(axes, drawn)
        published_results.name(axes, known, known_places, measured)
        return figure


def _number_points(axes: Axes, places: Sequence[Place]) -> None:
    """Place each number where it overlaps no other number and the fewest points; a thin line leads to distant ones."""
    dots = axes.transData.transform([(place.macs, 100 * place.error) for place in places])
    room, pixels = axes.get_window_extent(), axes.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
    taken: list[Bbox] = []
    for dot, place in zip(dots, places, strict=True):
        text, choices = f"{place.index + 1}", []
        for x, y in PLACES:
            # A digit is 4.5 points wide. Of equal choices `min` takes the first, which is the nearest.
            middle, half = dot + pixels * np.array([x, y]), pixels * np.array([2.25 * len(text) + 0.5, 4])
            box = Bbox([middle - half, middle + half])
            off = not all(room.contains(*corner) for corner in box.corners())
            crossed = off, place.on_front and min(abs(x), abs(y)) < 1
            crowd = sum(box.overlaps(other) for other in taken), crossed, box.padded(3 * pixels).count_contains(dots)
            choices.append((crowd, box, (x, y)))
        _, box, at = min(choices, key=lambda choice: choice[0])
        taken.append(box)
        leader = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 3, "shrinkB": 3.5}
        style_of_text: dict[str, Any] = {
            "ha": "center",
            "va": "center",
            "gid": f"arm-{place.index}-number",
            "zorder": 6,
        }
        style_of_text["arrowprops"] = leader if math.hypot(*at) > NEAR else None
        axes.annotate(text, (place.macs, 100 * place.error), at, textcoords="offset points", **style_of_text)


def _front(axes: Axes, points: Sequence[XY]) -> None:
    """Draw the front as a step line that extends to the edges of the axes."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    if stairs := staircase(points):
        xs, ys = zip((stairs[0][0], high), *stairs, (right, stairs[-1][1]), strict=True)
        axes.plot(xs, ys, color=GREY, linewidth=0.9, zorder=1.5, label="_front")
    axes.set(xlim=(left, right), ylim=(low, high))
