"""Differences of arms from their baseline, as a forest plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.figures import style
from reports.figures.arms import WIDE, colour, finite, look, sheet
from reports.figures.style import GREY

DOTTED = (0, (1, 1))
"""The line style of comparisons that were not planned."""


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
    margin: float | None = None,
    title: str = "",
    measure: str = "error",
    unit: str = "percentage points",
    times: float = 100,
) -> Figure:
    """Return a forest plot: one row per arm, its difference from the baseline, in percentage points by default.

    `times` is the factor from the differences to numbers of the `unit`. Points are filled if resolved and hollow if
    not. A thin line is the interval on images like the test images. The grey band is ±`margin`: differences within it
    do not matter. If some arm extends more than ten times as far from zero as the nearest quarter of the arms, the axis
    is logarithmic beyond a threshold on both sides of zero; the axis label gives the threshold.
    """
    with style.applied():
        figure = sheet(WIDE, 0.165 * max(len(bars), 3) + 0.95, {}, title)
        axes = figure.add_subplot()
        if not bars:
            style.sentence(axes, "no arm can be compared with the baseline yet")
            return style.settle(figure)
        axes.set_xlabel(f"{measure} minus that of {style.plain(baseline)}, {unit}", parse_math=False)
        axes.set_yticks(range(len(bars)), [style.plain(bar.arm) for bar in bars], parse_math=False)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.tick_params(axis="y", left=False)
        axes.grid(False, axis="y")
        rows = [(_shown(bar.delta, times), _shown(bar.low, times), _shown(bar.high, times)) for bar in bars]
        outer = [(_shown(bar.low_images, times), _shown(bar.high_images, times)) for bar in bars]
        spans = [[end for end in (*row, *more) if finite(end)] for row, more in zip(rows, outer, strict=True)]
        _differences(axes, spans, _shown(margin or 0, times))
        if margin:
            axes.axvspan(-times * margin, times * margin, color=GREY, alpha=0.15, linewidth=0, zorder=0)
        axes.axvline(0, color="black", linewidth=0.6, zorder=1)
        for at, (bar, row, more, label) in enumerate(zip(bars, rows, outer, axes.get_yticklabels(), strict=True)):
            label.set_gid(f"arm-{bar.index}-name")
            _row(axes, at, bar, *row)
            _images(axes, at, bar, row, more)
        if keys := _keys([bar for bar, (delta, _, _) in zip(bars, rows, strict=True) if finite(delta)], margin):
            figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
        return style.settle(figure)


def _differences(axes: Axes, rows: Sequence[Sequence[float]], most: float) -> None:
    """Set the horizontal axis so that it contains all points, interval ends and the margin."""
    points = [-most, most, *(point for row in rows for point in row)]
    # The greatest distance of each arm from zero; a quarter of the arms stays within `near`.
    extents = sorted(max(map(abs, row)) for row in rows if any(row))
    near = max(extents[len(extents) // 4], most) if extents else most
    far, (least, greatest) = max(map(abs, points)), (min(*points, 0), max(*points, 0))
    if far > style.DECADE * near:
        threshold = _round_up(near)
        axes.set_xscale("symlog", linthresh=threshold, linscale=1.2)
        axes.set_xlim(min(1.6 * least, -1.15 * threshold), max(1.6 * greatest, 1.15 * threshold))
        steps = [threshold * 10**power for power in range(math.ceil(math.log10(far / threshold)) + 1)]
        axes.xaxis.set_major_locator(FixedLocator([0, *steps, *(-step for step in steps)]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(f"{axes.get_xlabel()}\n(logarithmic beyond ±{threshold:g})", parse_math=False)
    else:
        room = 0.06 * (greatest - least) or 1
        axes.set_xlim(least - room, greatest + room)
        style.number(axes.xaxis)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _signed(at, "g")))


def _row(axes: Axes, at: int, bar: Bar, delta: float, low: float, high: float) -> None:
    """Draw one row: point, interval, and the numbers to the right; all values in the figure's unit."""
    tone, gid, numbers = colour(bar.index), f"arm-{bar.index}", []
    if finite(delta):
        numbers = [_signed(delta)]
        fill = {"marker": "o", "markerfacecolor": tone if bar.resolved else "white"}
        axes.plot([delta], [at], linestyle="", zorder=4, gid=f"{gid}-point", **look(bar.index, 4.2) | fill)
        if not math.isnan(low) and not math.isnan(high):
            numbers += [f"[{_signed(low)}, {_signed(high)}]"]
            left, right = axes.get_xlim()
            ends, planned = [max(low, left), min(high, right)], "-" if bar.planned else DOTTED
            axes.plot(ends, [at, at], color=tone, linestyle=planned, gid=f"{gid}-interval")
            for end, edge, arrow in ((low, left, "<"), (high, right, ">")):
                if math.isinf(end):
                    axes.plot([edge], [at], arrow, color=tone, markersize=3, clip_on=False, gid=f"{gid}-endless")
    text = "  ".join([*numbers, style.plain(bar.note or ("" if numbers else "no number"))])
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center_baseline", "fontsize": 6.5}
    axes.text(1.02, at, text.rstrip(), parse_math=False, gid=f"{gid}-note", **place)


def _images(axes: Axes, at: int, bar: Bar, row: tuple[float, float, float], ends: tuple[float, float]) -> None:
    """Draw the parts of the interval on images like these that are outside of the interval over seeds."""
    if all(map(finite, (*row, *ends))):
        thin: dict[str, Any] = {"color": colour(bar.index), "linewidth": 0.5, "marker": "|", "markersize": 3}
        xs = [ends[0], row[1], math.nan, row[2], ends[1]]
        axes.plot(xs, [at] * len(xs), markevery=[0, len(xs) - 1], gid=f"arm-{bar.index}-images", **thin)


def _keys(bars: Sequence[Bar], margin: float | None) -> list[Line2D | Patch]:
    """Return the legend entries that the figure needs: resolved or not, planned or not, margin."""
    dot: dict[str, Any] = {"marker": "o", "markersize": 4.2, "linestyle": "", "color": "black"}
    keys: list[Line2D | Patch] = []
    if any(bar.resolved for bar in bars):
        keys.append(Line2D([], [], label="resolved", **dot))
    if any(not bar.resolved for bar in bars):
        keys.append(Line2D([], [], label="not resolved", markerfacecolor="white", **dot))
    if any(not bar.planned for bar in bars):
        keys.append(Line2D([], [], label="not planned", color="black", linestyle=DOTTED))
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


def _round_up(number: float) -> float:
    """Round up to the next 1, 2 or 5 times a power of ten."""
    decade = 10.0 ** math.floor(math.log10(number))
    return next((float(f"{step * decade:.3g}") for step in (1, 2, 5) if step * decade >= number * 0.999), 10 * decade)
