"""Published results in figures of a front: which ones are shown, and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from ablations.published import Published
from ablations.published_costs import CostName, cost_and_error
from reports.figures import style
from reports.figures.style import GREY
from reports.published import LABEL
from search.fronts.objectives import OBJECTIVES

COSTS: dict[str, CostName] = {"macs": "macs", "params": "params"}
"""The objectives for which published results exist."""
FARTHEST = 10
"""A published result is shown if it is at most this factor outside the measured range: a decade on each side."""
# A marker and a colour that no arm and no network of a front uses.
MARK: dict[str, Any] = {"linestyle": "", "marker": "*", "markersize": 4.2, "markeredgewidth": 0.5, "color": GREY}
SMALL = 4.6
"""Font size of names in points; a letter is about 0.6 times as wide."""
PLACES = [(5, 0), (-5, 0), (0, 5), (0, -5), (4, 4), (4, -4), (-4, 4), (-4, -4)]
"""Candidate offsets of a name from its mark, in typographic points."""


@dataclass(frozen=True)
class Known:
    """A published result in stored units: the error is a fraction."""

    name: str
    x: float
    y: float


XY = tuple[float, float]


def known(rows: Sequence[Published], objective: str) -> list[Known]:
    """Return the results with an error and this cost, without duplicates: papers repeat each other's results."""
    if objective not in COSTS:
        return []
    found = {
        (at, row.model): Known(row.name, *at) for row in reversed(rows) if (at := cost_and_error(row, COSTS[objective]))
    }
    return list(reversed(found.values()))


def near(results: Sequence[Known], measured: Sequence[XY]) -> list[Known]:
    """Return the results within a factor `FARTHEST` of the measured range on both axes, so that it stays readable.

    If the least measured value is zero, the range is extended to twice the greatest value instead.
    """
    if not measured:
        return []
    (left, right), (low, high) = (_around([at[axis] for at in measured]) for axis in (0, 1))
    return [each for each in results if left <= each.x <= right and low <= each.y <= high]


def sentence(rows: Sequence[Published], objective: str, measured: Sequence[XY], dataset: str) -> str:
    """Return the sentences about published results in a caption; empty if there are none."""
    results = known(rows, objective)
    if not results:
        return ""
    drawn = near(results, measured)
    on = rows[0].dataset + ("" if rows[0].dataset == dataset else f" (this run is on {dataset})")
    stars = f" Hollow stars: test errors on {on}, {LABEL}; names are shown if there is room." if drawn else ""
    if len(drawn) == len(results):
        return stars
    costs = [each.x for each in results if each not in drawn]
    span = " to ".join(dict.fromkeys(style.short(float(f"{end:.3g}")) for end in (min(costs), max(costs))))
    which = f"{len(costs)} of {len(results)}" if drawn else f"All {len(costs)} results on {on}, {LABEL},"
    return f"{stars} {which} are outside the figure, at {span} {OBJECTIVES[objective].heading}."


def draw(axes: Axes, places: Sequence[XY]) -> None:
    """Draw hollow stars in the background; `places` are in the units of the axes."""
    if places:
        xs, ys = zip(*places, strict=True)
        axes.plot(xs, ys, **MARK, markerfacecolor="white", zorder=1.8, gid="published", label=LABEL)


def key() -> Line2D:
    """Return the legend entry of published results."""
    return Line2D([], [], **MARK, markerfacecolor="white", label=LABEL)


def name(axes: Axes, results: Sequence[Known], places: Sequence[XY], others: Sequence[XY]) -> None:
    """Write names next to the stars if there is room, non-dominated results first; the table lists all names.

    No name covers `others` (marks in the units of the axes), lines or existing text. Call this after the layout of the
    figure is final.
    """
    pixels = axes.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
    if not places:
        return
    dots = axes.transData.transform([*places, *others])
    lines = [line.get_path().transformed(axes.transData) for line in axes.lines if line.get_linestyle() != "None"]
    room, taken = axes.get_window_extent(), [Bbox(text.get_window_extent()) for text in axes.texts]
    for at in sorted(range(len(results)), key=lambda at: (_dominated(places[at], places), places[at])):
        text = style.plain(results[at].name, 48)
        half = pixels * SMALL * 0.3 * len(text), pixels * SMALL * 0.55
        for x, y in PLACES:
            side = half[0] * ((x > 0) - (x < 0))
            middle = dots[at][0] + pixels * x + side, dots[at][1] + pixels * y
            box = Bbox([[middle[0] - half[0], middle[1] - half[1]], [middle[0] + half[0], middle[1] + half[1]]])
            free = all(room.contains(*corner) for corner in box.corners()) and not box.padded(
                1.2 * pixels
            ).count_contains(dots)
            free = free and not any(line.intersects_bbox(box, filled=False) for line in lines)
            if free and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                ha = "left" if x > 0 else "right" if x < 0 else "center"
                text_style: dict[str, Any] = {"ha": ha, "va": "center", "fontsize": SMALL, "color": GREY, "zorder": 1.9}
                axes.annotate(text, places[at], (x, y), textcoords="offset points", parse_math=False, **text_style)
                break


def _dominated(one: XY, others: Sequence[XY]) -> bool:
    return any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in others)


def _around(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low / FARTHEST, high * FARTHEST) if low > 0 else (low, 2 * high)
