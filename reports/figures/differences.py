"""Differences of arms from their baseline, as a forest plot."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from reports.figures import style
from reports.figures.arms import finite, look, sheet
from reports.figures.palette import colour
from reports.figures.style import GREY
from reports.page import DOUBLE

DOTTED = (0, (1, 1))
"""The line style of comparisons that were not planned."""
LETTERS, NARROW_LETTERS = 50, 58
"""The most letters of a name beside a row, and of a line above a row in a narrow figure."""


@dataclass(frozen=True)
class Bar:
    """An arm's value minus that of the baseline, with its interval; `note` explains a missing one.

    `low_images` and `high_images` are the ends of the interval that also includes the choice of test images.
    """

    arm: str
    index: int
    delta: float | None
    low: float | None
    high: float | None
    resolved: bool
    planned: bool
    note: str = ""
    low_images: float | None = None
    high_images: float | None = None


def forest(
    bars: Sequence[Bar],
    *,
    baseline: str,
    level: float | None = None,
    margin: float | None = None,
    title: str = "",
    measure: str = "error",
    unit: str = "percentage points",
    times: float = 100,
    width: float = DOUBLE,
) -> Figure:
    """Return a forest plot: one row per arm, its difference from the baseline, in percentage points by default.

    Points are filled if resolved and hollow if not. A thin line is the interval on images like the test images. The
    grey band is ±`margin`: differences within it do not matter. The axis is linear. Arms that extend more than ten
    times as far from zero as the nearer half of the arms do not stretch it: an arrow at its end points to them, and
    the numbers beside are complete.

    Args:
        level: the baseline's own value, of a measure that is a fraction. The axis then ends where the arm would be at
            0 or 1, since no arm can be beyond.
        times: the factor from the differences to numbers of the `unit`.
        width: in inches; in a narrow figure names and numbers are above their rows.
    """
    with style.applied():
        narrow = width < style.NARROW
        row = 0.31 if narrow else 0.175
        figure = sheet(width, row * max(len(bars), 3) + 0.95, {}, title)
        axes = figure.add_subplot()
        if not bars:
            style.sentence(axes, "no arm can be compared with the baseline yet")
            return style.settle(figure)
        _label(axes, f"{measure} minus that of {style.plain(baseline)}", level, times, unit)
        axes.set_yticks(
            range(len(bars)), ["" if narrow else style.plain(bar.arm, LETTERS) for bar in bars], parse_math=False
        )
        axes.set_ylim(len(bars) - 0.4, -0.75 if narrow else -0.6)
        axes.tick_params(axis="y", left=False)
        axes.grid(False, axis="y")
        axes.spines["left"].set_visible(not narrow)
        rows = [(_shown(bar.delta, times), _shown(bar.low, times), _shown(bar.high, times)) for bar in bars]
        outer = [(_shown(bar.low_images, times), _shown(bar.high_images, times)) for bar in bars]
        spans = [[end for end in (*row, *more) if finite(end)] for row, more in zip(rows, outer, strict=True)]
        axes.set_xlim(*_limits(spans, _shown(margin or 0, times), _possible(level, times)))
        style.number(axes.xaxis)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _signed(at, "g")))
        if margin:
            axes.axvspan(-times * margin, times * margin, color=GREY, alpha=0.15, linewidth=0, zorder=0)
        axes.axvline(0, color="black", linewidth=0.6, zorder=1)
        for at, (bar, values, more) in enumerate(zip(bars, rows, outer, strict=True)):
            _row(axes, at, bar, *values)
            _images(axes, at, bar, values, more)
            _words(axes, at, bar, *values, narrow=narrow)
        known = [(bar, values[0]) for bar, values in zip(bars, rows, strict=True) if finite(values[0])]
        left, right = axes.get_xlim()
        beyond = any(not left <= delta <= right for _, delta in known)
        if keys := _keys([bar for bar, _ in known], margin, beyond=beyond):
            figure.legend(handles=keys, loc="outside lower center", ncols=2 if narrow else len(keys))
        return style.settle(figure)


def _label(axes: Axes, words: str, level: float | None, times: float, unit: str) -> None:
    """Name the horizontal axis; it is centred on the figure in two lines if it is long."""
    own = "" if level is None or not finite(level) else f" ({times * level:.2f}\N{NO-BREAK SPACE}%)"
    narrow = axes.get_figure(root=True).get_size_inches()[0] < style.NARROW  # type: ignore[union-attr]
    axes.set_xlabel(textwrap.fill(f"{words}{own}, {unit}", 42 if narrow else 120), parse_math=False)


def _possible(level: float | None, times: float) -> tuple[float, float]:
    """Return the differences of an arm at 0 and at 1 from a baseline at this level."""
    return (-math.inf, math.inf) if level is None or not finite(level) else (-times * level, times * (1 - level))


def _limits(rows: Sequence[Sequence[float]], most: float, possible: tuple[float, float]) -> tuple[float, float]:
    """Return the ends of the horizontal axis, which contains the margin and all but distant rows."""
    # The greatest distance of each arm from zero; half of the arms stay within `near`.
    extents = sorted(max(map(abs, row)) for row in rows if any(row))
    near = max(extents[len(extents) // 2], most) if extents else most
    points = [point for row in rows for point in row if abs(point) <= style.DECADE * near]
    least, greatest = min(0.0, -most, *points), max(0.0, most, *points)
    room = 0.06 * (greatest - least) or 1
    left, right = max(least - room, possible[0]), min(greatest + room, possible[1])
    # A baseline at 0 or 1 itself: zero is at the edge, and needs room for its line.
    return min(left, -0.005 * right), max(right, -0.005 * left)


def _row(axes: Axes, at: int, bar: Bar, delta: float, low: float, high: float) -> None:
    """Draw the point and the interval of a row in the figure's unit; an arrow at its end points beyond the axis."""
    if not finite(delta):
        return
    tone, gid, (left, right) = colour(bar.index), f"arm-{bar.index}", axes.get_xlim()
    if not math.isnan(low) and not math.isnan(high):
        ends, planned = [min(max(end, left), right) for end in (low, high)], "-" if bar.planned else DOTTED
        axes.plot(ends, [at, at], color=tone, linestyle=planned, clip_on=False, gid=f"{gid}-interval")
        for cut, edge, arrow in ((low < left, left, "<"), (high > right, right, ">")):
            if cut:
                axes.plot([edge], [at], arrow, color=tone, markersize=3, clip_on=False, gid=f"{gid}-endless")
    beyond = {"marker": ">" if delta > right else "<", "markersize": 5.5} if not left <= delta <= right else {}
    own = look(bar.index, 4.4) | beyond | {"markerfacecolor": tone if bar.resolved else "white"}
    x, part = min(max(delta, left), right), "beyond" if beyond else "point"
    axes.plot([x], [at], linestyle="", clip_on=False, zorder=4, gid=f"{gid}-{part}", **own)


def _words(axes: Axes, at: int, bar: Bar, delta: float, low: float, high: float, *, narrow: bool) -> None:
    """Write the numbers of a row to its right; in a narrow figure above it, after its name."""
    numbers = [_signed(delta)] if finite(delta) else []
    if numbers and not math.isnan(low) and not math.isnan(high):
        numbers += [f"[{_signed(low)}, {_signed(high)}]"]
    note = style.plain(bar.note or ("" if numbers else "no number"))
    text, gid = "  ".join(filter(None, [*numbers, note])), f"arm-{bar.index}"
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 6.5, "parse_math": False}
    if not narrow:
        axes.get_yticklabels()[at].set_gid(f"{gid}-name")
        axes.text(1.02, at, text, va="center_baseline", gid=f"{gid}-note", **place)
        return
    name = style.plain(bar.arm, max(12, NARROW_LETTERS - len(text)))
    # On its own ground, since lines of the grid and the line at zero cross it.
    place |= {"va": "bottom", "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.5}}
    axes.text(0, at - 0.22, name, gid=f"{gid}-name", **place)
    axes.text(1, at - 0.22, text, ha="right", gid=f"{gid}-note", **place)


def _images(axes: Axes, at: int, bar: Bar, row: tuple[float, float, float], ends: tuple[float, float]) -> None:
    """Draw the parts of the interval on images like these that are outside of the interval over seeds."""
    if all(map(finite, (*row, *ends))):
        left, right = axes.get_xlim()
        ends = min(max(ends[0], left), row[1]), max(min(ends[1], right), row[2])
        thin: dict[str, Any] = {"color": colour(bar.index), "linewidth": 0.5, "marker": "|", "markersize": 3}
        xs = [ends[0], row[1], math.nan, row[2], ends[1]]
        axes.plot(xs, [at] * len(xs), markevery=[0, len(xs) - 1], gid=f"arm-{bar.index}-images", **thin)


def _keys(bars: Sequence[Bar], margin: float | None, *, beyond: bool) -> list[Line2D | Patch]:
    """Return the legend entries that the figure needs: resolved or not, planned or not, beyond the axis, margin."""
    dot: dict[str, Any] = {"marker": "o", "markersize": 4.2, "linestyle": "", "color": "black"}
    keys: list[Line2D | Patch] = []
    if any(bar.resolved for bar in bars):
        keys.append(Line2D([], [], label="resolved", **dot))
    if any(not bar.resolved for bar in bars):
        keys.append(Line2D([], [], label="not resolved", markerfacecolor="white", **dot))
    if any(not bar.planned for bar in bars):
        keys.append(Line2D([], [], label="not planned", color="black", linestyle=DOTTED))
    if beyond:
        keys.append(Line2D([], [], label="beyond the axis", **dot | {"marker": ">"}))
    if any(finite(bar.low_images) for bar in bars):
        keys.append(Line2D([], [], label="images like these", color="black", linewidth=0.5, marker="|", markersize=3))
    if margin:
        keys.append(Patch(color=GREY, alpha=0.15, linewidth=0, label=f"±{100 * margin:g} points"))
    return keys


def _shown(difference: float | None, times: float) -> float:
    """Return a difference in the figure's unit without floating-point noise; None is `nan`, an extreme one infinite."""
    if difference is None:
        return math.nan
    return math.copysign(math.inf, difference) if abs(difference) > 1e6 else round(times * difference, 12)


def _signed(number: float, form: str = ".2f") -> str:
    """Return a number with its sign, using a minus as wide as a plus; zero has no sign."""
    if not math.isfinite(number):
        return "−∞" if number < 0 else "∞"
    text = f"{number:+{form}}"
    return f"{0:{form}}" if float(text) == 0 else text.replace("-", "−")
