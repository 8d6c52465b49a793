"""Published results in a figure of a front: which of them it shows, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from ablations.placing import CostName, placed
from ablations.published import Published
from reports.figures import style
from reports.figures.style import GREY
from reports.published import LABEL
from search.fronts.objectives import OBJECTIVES

COSTS: dict[str, CostName] = {"macs": "macs", "params": "params"}
"""The objectives that something is published of."""
FARTHEST = 10
"""How many times the measured range a published result may lie beyond: a decade more on either side of the axis."""
# A marker and a colour that no arm and no network of a front has.
MARK: dict[str, Any] = {"linestyle": "", "marker": "*", "markersize": 4.2, "markeredgewidth": 0.5, "color": GREY}
SMALL = 4.6
"""Points of the names' letters; a letter is about 0.6 of that wide."""
PLACES = [(5, 0), (-5, 0), (0, 5), (0, -5), (4, 4), (4, -4), (-4, 4), (-4, -4)]
"""Where a name may stand, in points from its mark."""


@dataclass(frozen=True)
class Known:
    """A published result in stored units: the error is a fraction."""

    name: str
    x: float
    y: float


XY = tuple[float, float]


def known(rows: Sequence[Published], objective: str) -> list[Known]:
    """The rows that have a place against a cost, each place once: papers repeat each other's rows."""
    if objective not in COSTS:
        return []
    found = {(at, row.model): Known(row.name, *at) for row in reversed(rows) if (at := placed(row, COSTS[objective]))}
    return list(reversed(found.values()))


def near(results: Sequence[Known], measured: Sequence[XY]) -> list[Known]:
    """Those that stand within `FARTHEST` times the measured range in both directions, so that it stays readable.

    An error of zero has no decade: there, up to twice the greatest is near.
    """
    if not measured:
        return []
    (left, right), (low, high) = (_around([at[axis] for at in measured]) for axis in (0, 1))
    return [each for each in results if left <= each.x <= right and low <= each.y <= high]


def sentence(rows: Sequence[Published], objective: str, measured: Sequence[XY], dataset: str) -> str:
    """What a caption says about them; nothing where no row has a place."""
    results = known(rows, objective)
    if not results:
        return ""
    drawn = near(results, measured)
    on = rows[0].dataset + ("" if rows[0].dataset == dataset else f" (this run is on {dataset})")
    stars = f" Hollow stars: test errors on {on}, {LABEL}; names where there is room." if drawn else ""
    if len(drawn) == len(results):
        return stars
    costs = [each.x for each in results if each not in drawn]
    span = " to ".join(dict.fromkeys(style.short(float(f"{end:.3g}")) for end in (min(costs), max(costs))))
    what = f"{len(costs)} of {len(results)}" if drawn else f"All {len(costs)} results on {on}, {LABEL},"
    return f"{stars} {what} lie far outside of the figure, at {span} {OBJECTIVES[objective].heading}."


def draw(axes: Axes, places: Sequence[XY]) -> None:
    """Hollow stars in the background, in the axes' units."""
    if places:
        xs, ys = zip(*places, strict=True)
        axes.plot(xs, ys, **MARK, markerfacecolor="white", zorder=1.8, gid="published", label=LABEL)


def key() -> Line2D:
    """Their entry in a legend."""
    return Line2D([], [], **MARK, markerfacecolor="white", label=LABEL)


def name(axes: Axes, results: Sequence[Known], places: Sequence[XY], others: Sequence[XY]) -> None:
    """Names beside the stars where there is room, the front's first; what stays unnamed stands in the table.

    `others` are marks that no name may cover, no more than lines and what is written already. The figure's layout must
    be made.
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
                said: dict[str, Any] = {"ha": ha, "va": "center", "fontsize": SMALL, "color": GREY, "zorder": 1.9}
                axes.annotate(text, places[at], (x, y), textcoords="offset points", parse_math=False, **said)
                break


def _dominated(one: XY, others: Sequence[XY]) -> bool:
    return any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in others)


def _around(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low / FARTHEST, high * FARTHEST) if low > 0 else (low, 2 * high)
