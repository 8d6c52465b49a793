"""Average ranks of arms over data sets, as a critical-difference diagram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures import style
from reports.figures.arms import look, sheet
from reports.figures.palette import colour
from reports.figures.style import GREY
from reports.page import DOUBLE

ROW, STEP = 1.0, 0.5
"""Heights below the axis: of the label of an arm, and of a bar that joins arms."""
INCHES = 0.17
"""The height of a row."""


@dataclass(frozen=True)
class Ranked:
    """An arm and its average rank over data sets; 1 is the best."""

    arm: str
    index: int
    rank: float


def critical_difference(
    arms: Sequence[Ranked],
    *,
    most: int,
    distance: float,
    groups: Sequence[Sequence[int]] = (),
    title: str = "",
    width: float = DOUBLE,
) -> Figure:
    """Return an axis of average ranks with a label for each arm; bars join arms that cannot be distinguished.

    The better half of the arms has its labels on the left, the other half on the right. Demšar 2006, figure 1. A narrow
    figure has no room beside the axis: there each arm has a row, with its label next to the end of its line.

    Args:
        most: the number of ranked arms, which is the worst possible rank.
        distance: the critical difference, which is drawn above the axis.
        groups: the indices of the arms that each bar joins.
        width: of the figure, in inches.
    """
    with style.applied():
        ordered = sorted(arms, key=lambda one: one.rank)
        narrow = width < style.NARROW
        left = ordered if narrow else ordered[: math.ceil(len(ordered) / 2)]
        right = ordered[len(left) :][::-1]
        below = STEP * (len(groups) + 1)
        depth = below + ROW * max(len(left), 1)
        figure = sheet(width, INCHES * (depth + 2) + 0.45, {}, title)
        axes = figure.add_subplot()
        if not ordered:
            style.sentence(axes, "no arm has results on all data sets yet")
            return style.settle(figure)
        _draw_axis(axes, most, depth)
        _draw_distance(axes, distance)
        rank_of = {one.index: one.rank for one in ordered}
        for at, group in enumerate(groups, 1):
            ends = [min(rank_of[index] for index in group), max(rank_of[index] for index in group)]
            bar: dict[str, Any] = {"color": "black", "linewidth": 2.2, "solid_capstyle": "round", "gid": f"group-{at}"}
            axes.plot(ends, [STEP * at] * 2, **bar)
        for arms_of_side, side in ((left, "left"), (right, "right")):
            for row, one in enumerate(arms_of_side):
                y = below + ROW * (row + 0.5)
                _draw_row(axes, one, y, most) if narrow else _draw_arm(axes, one, y, side)
        return style.settle(figure)


def _draw_axis(axes: Axes, most: int, depth: float) -> None:
    axes.set_xlim(1, most)
    axes.set_ylim(depth, -1.6)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_position(("data", 0))
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.tick_params(axis="x", direction="out", top=False, bottom=True, pad=2, labelbottom=False, labeltop=False)
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.grid(False)
    for tick in axes.get_xticks():
        if 1 <= tick <= most:
            axes.text(tick, -0.25, style.short(tick), ha="center", va="bottom", fontsize=6.5)
            axes.plot([tick, tick], [-0.15, 0], color="black", linewidth=0.6)
    axes.tick_params(axis="x", length=0)
    axes.set_title("average rank over data sets (1: the lowest error)", fontsize=7, parse_math=False)


def _draw_distance(axes: Axes, distance: float) -> None:
    low, _ = axes.get_xlim()
    y = -1.15
    axes.plot([low, low + distance], [y, y], color=GREY, linewidth=1.4, gid="critical-difference", clip_on=False)
    text = f"critical difference {distance:.2f}"
    axes.text(low + distance, y, f"  {text}", ha="left", va="center", fontsize=6.5, clip_on=False)


def _draw_arm(axes: Axes, one: Ranked, y: float, side: str) -> None:
    """Draw the point of an arm on the axis, a line down and out to its side, and its label there."""
    edge, gid = axes.get_xlim()[side == "right"], f"arm-{one.index}"
    line: dict[str, Any] = {"color": colour(one.index), "linewidth": 0.8, "gid": f"{gid}-line"}
    axes.plot([one.rank, one.rank, edge], [0, y, y], **line)
    axes.plot([one.rank], [0], linestyle="", clip_on=False, zorder=4, gid=f"{gid}-point", **look(one.index))
    name, number = style.plain(one.arm), f"{one.rank:.2f}"
    text, x = (f"{name}  {number}", -0.01) if side == "left" else (f"{number}  {name}", 1.01)
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.5}
    axes.text(x, y, text, ha="right" if side == "left" else "left", parse_math=False, gid=f"{gid}-name", **place)


def _draw_row(axes: Axes, one: Ranked, y: float, most: int) -> None:
    """Draw the point of an arm on the axis, a line down, and its label on the side with more room."""
    gid, before = f"arm-{one.index}", one.rank > (1 + most) / 2
    axes.plot([one.rank, one.rank], [0, y], color=colour(one.index), linewidth=0.8, gid=f"{gid}-line")
    axes.plot([one.rank], [0], linestyle="", clip_on=False, zorder=4, gid=f"{gid}-point", **look(one.index))
    name, number = style.plain(one.arm), f"{one.rank:.2f}"
    # On its own ground, since the lines of other arms cross it.
    place: dict[str, Any] = {"va": "center", "fontsize": 6.5, "textcoords": "offset points", "parse_math": False}
    place["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    axes.annotate(
        f"{name}  {number}" if before else f"{number}  {name}",
        (one.rank, y),
        (-4 if before else 4, 0),
        ha="right" if before else "left",
        gid=f"{gid}-name",
        **place,
    )
