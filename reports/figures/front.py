"""Networks over two objectives, with their Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures import published_results, style
from reports.figures.published_results import Known
from reports.figures.style import BLUE, GREY, RED
from reports.figures.values import finite, times
from reports.page import DOUBLE
from resnet_space.errors import InputError, unknown
from search.fronts.objectives import OBJECTIVES

KINDS = {
    # (on the front, confirmed): name, colour, fill, marker size and line width in points, z-order
    (False, False): ("dominated", GREY, "white", 2.6, 0.5, 2),
    (False, True): ("dominated, confirmed", GREY, GREY, 2.6, 0.5, 3),
    (True, False): ("front, provisional", BLUE, "white", 4.2, 0.9, 5),
    (True, True): ("front, confirmed", BLUE, BLUE, 4.2, 0.9, 6),
}
"""Colour shows whether a network is on the front, fill whether it is confirmed by fresh seeds."""

PLACES = [(x * far, y * far) for far in (12, 22, 36) for x, y in ((-1, -1), (1, 1), (-1, 0), (1, -1), (-1, 1), (1, 0))]
"""Candidate offsets of the knee's label, in typographic points; below and left first, where a front leaves room."""

XY = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """One network with a finished trial, in stored units: errors are fractions.

    `y_std` is the standard deviation over seeds, None for one seed.

    Raises:
        InputError: a coordinate is not a finite number, or `y_std` is negative.
    """

    key: str
    x: float
    y: float
    y_std: float | None = None
    confirmed: bool = False
    on_front: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        for name in ("x", "y", "y_std"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"mark {self.key}: {name} must be a finite number; got {value}")
        if (self.y_std or 0) < 0:
            raise InputError(f"mark {self.key}: y_std must be at least 0; got {self.y_std}")


def front(
    marks: Sequence[Mark],
    *,
    x: str,
    y: str,
    knee: str | None = None,
    reference: XY | None = None,
    title: str = "",
    published: Sequence[Known] = (),
    pruned: Sequence[XY] = (),
    width: float = DOUBLE,
) -> Figure:
    """Return a figure of networks over two objectives, with the front as a step line and ±1 standard deviation.

    Both objectives are minimised: everything above and right of the step line is dominated. With more than two
    objectives a network of the front can be there too, because another network dominates it in these two objectives.
    With a `reference` (x, y) in stored units, the hypervolume between it and the front is shaded. An axis that spans
    more than a decade is logarithmic: costs because they grow by factors, errors so that one network at 90 % leaves
    room for the others. `published` results in range are drawn in the background.

    Args:
        pruned: (x, y) in stored units of networks whose training was stopped early, with their last error: their error
            at the end would be lower, so that they are no marks.
        width: in inches.

    Raises:
        InputError: `x` or `y` is not an objective, `knee` is not the key of a mark, or `reference` is not finite.
    """
    for path, name in (("x", x), ("y", y)):
        if name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES, path=path)
    if knee is not None and knee not in [mark.key for mark in marks]:
        raise unknown("mark", knee, [mark.key for mark in marks], path="knee")
    corner = None
    if reference is not None:
        far = finite("reference", reference, 1)
        corner = (float(far[0]) * times(x), float(far[1]) * times(y))
    drawn = [_scaled(mark, times(x), times(y)) for mark in marks]
    with style.applied():
        figure = style.page(width, 2.6 if width < style.NARROW else 3.2, title)
        axes = figure.add_subplot(xlabel=OBJECTIVES[x].heading, ylabel=OBJECTIVES[y].heading)
        if not drawn and not pruned:
            style.sentence(axes, "no finished trial yet")
            return style.settle(figure)
        if any(mark.y_std is not None for mark in drawn):
            axes.set_ylabel(f"{OBJECTIVES[y].heading} (± std)")
        axes.margins(0.05, 0.1)
        _cloud(axes, drawn)
        stopped = [(at[0] * times(x), at[1] * times(y)) for at in pruned]
        if stopped:
            xs, ys = zip(*stopped, strict=True)
            axes.plot(xs, ys, "x", color=GREY, markersize=3, markeredgewidth=0.7, zorder=1.7, label="pruned")
        known = published_results.near(published, [(mark.x, mark.y) for mark in marks])
        places = [(each.x * times(x), each.y * times(y)) for each in known]
        published_results.draw(axes, places)
        if corner:
            axes.plot(*corner, "+", color="black", markersize=5, zorder=4, label="_reference")
            axes.annotate("reference", corner, (-2, 2), textcoords="offset points", ha="right", va="bottom")
        ends = [*places, *stopped, *([corner] if corner else [])]
        style.number(axes.xaxis, [mark.x for mark in drawn] + [end[0] for end in ends])
        style.number(axes.yaxis, [mark.y for mark in drawn] + [end[1] for end in ends])
        _stairs(axes, [(mark.x, mark.y) for mark in drawn if mark.on_front], corner)
        style.legend(figure, axes)
        style.settle(figure)
        if knee is not None:
            _label_knee(axes, next(mark for mark in drawn if mark.key == knee), drawn)
        published_results.name(axes, known, places, [(mark.x, mark.y) for mark in drawn])
        return figure


def staircase(points: Sequence[XY]) -> list[XY]:
    """Return the corners of the boundary of the region that `points` dominate (both minimised), from left to right.

    >>> staircase([(4, 1), (1, 5), (2, 3), (3, 4)])
    [(1, 5), (2, 5), (2, 3), (4, 3), (4, 1)]
    """
    corners: list[XY] = []
    for x, y in sorted(points):
        if not corners:
            corners = [(x, y)]
        elif y < corners[-1][1]:
            corners += [(x, corners[-1][1]), (x, y)]
    return corners


def _scaled(mark: Mark, across: float, up: float) -> Mark:
    """Return the mark in the units of the axes."""
    return replace(mark, x=mark.x * across, y=mark.y * up, y_std=None if mark.y_std is None else mark.y_std * up)


def _cloud(axes: Axes, marks: Sequence[Mark]) -> None:
    """Draw the marks with their error bars, kind by kind."""
    for kind, (name, color, fill, size, line, order) in KINDS.items():
        found = [mark for mark in marks if (mark.on_front, mark.confirmed) == kind]
        if found:
            axes.errorbar(
                [mark.x for mark in found],
                [mark.y for mark in found],
                yerr=[math.nan if mark.y_std is None else mark.y_std for mark in found],
                fmt="o",
                color=color,
                markerfacecolor=fill,
                markersize=size,
                markeredgewidth=line,
                elinewidth=line,
                zorder=order,
                label=name,
            )


def _stairs(axes: Axes, points: Sequence[XY], corner: XY | None) -> None:
    """Draw the front as a step line to the edges of the axes, and the hypervolume up to the reference point."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    if stairs := staircase(points):
        xs, ys = zip((stairs[0][0], high), *stairs, (right, stairs[-1][1]), strict=True)
        axes.plot(xs, ys, color=BLUE, linewidth=0.9, zorder=1.5, label="_staircase")
    if corner and (stairs := staircase([point for point in points if point[0] < corner[0] and point[1] < corner[1]])):
        xs, ys = zip(*stairs, (corner[0], stairs[-1][1]), strict=True)
        axes.fill_between(xs, ys, corner[1], color=BLUE, alpha=0.08, linewidth=0, zorder=0, label="_hypervolume")
    axes.set(xlim=(left, right), ylim=(low, high))


def _label_knee(axes: Axes, knee: Mark, marks: Sequence[Mark]) -> None:
    """Draw a ring around the knee, and its label inside the axes where it overlaps the fewest marks."""
    at, text = (knee.x, knee.y), f"knee: {style.plain(knee.label or knee.key)}"
    axes.plot(*at, "o", markersize=8, color=RED, fillstyle="none", markeredgewidth=0.9, zorder=7, label="_knee")
    room, dots = axes.get_window_extent(), axes.transData.transform([(mark.x, mark.y) for mark in marks])
    lines = [line.get_path().transformed(axes.transData) for line in axes.lines if line.get_label() == "_staircase"]
    choices = []
    for place in PLACES:
        note = axes.annotate(
            text,
            at,
            place,
            textcoords="offset points",
            ha="right" if place[0] < 0 else "left",
            va={-1: "top", 0: "center", 1: "bottom"}[int(np.sign(place[1]))],
            color=RED,
            parse_math=False,
            zorder=8,
            arrowprops={"arrowstyle": "-", "color": RED, "linewidth": 0.6, "shrinkB": 4, "shrinkA": 0},
        )
        box = note.get_window_extent().padded(1)
        off = max(room.x0 - box.x0, box.x1 - room.x1, room.y0 - box.y0, box.y1 - room.y1, 0)
        crossed = sum(line.intersects_bbox(box, filled=False) for line in lines)
        choices.append((off, box.count_contains(dots) + crossed, note))
    best = min(choices, key=lambda choice: choice[:2])
    for _, _, note in choices:
        if note is not best[2]:
            note.remove()
