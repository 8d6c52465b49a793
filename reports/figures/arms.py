"""The appearance of arms in figures: shared colours, lines, markers, legends and axes.

Errors, and all values whose heading ends in `%`, are given as fractions and drawn as percent. An artist that belongs
to an arm has the gid `arm-{index}-{part}`, where index is the arm's index in the table; a page finds it by this gid.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from reports.figures import style
from reports.figures.palette import LINES, colour, marker

GAPS = {"zero": ("v", 0.0), "infinite": ("^", 1.0), "minus infinite": ("v", 0.0), "no number": ("x", 0.0)}
"""Marks for values that cannot be drawn: marker and height as a fraction of the axes."""

Values = NDArray[np.float64]

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

FINEST, GREATEST = 1e-200, 1e200
"""Smaller values are drawn as zero and greater ones as infinite, because an axis needs a margin around them."""


class OfAnArm(Protocol):
    """Anything in a figure that belongs to an arm: the arm's name, and its index in the table."""

    @property
    def arm(self) -> str: ...

    @property
    def index(self) -> int: ...


def dashes(index: int) -> Any:
    """Return the line style of an arm for matplotlib."""
    return LINES[index // 7 % len(LINES)]


def look(index: int, size: float = 3.6) -> dict[str, Any]:
    """Return the colour and marker of an arm as arguments of `plot`; the marker is `size` points wide."""
    return {"color": colour(index), "marker": marker(index), "markersize": size, "markeredgewidth": 0.8}


def names_of(found: Iterable[OfAnArm]) -> dict[int, str]:
    """Return the name of each arm by index, in table order."""
    return dict(sorted({one.index: style.plain(one.arm) for one in found}.items()))


def finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def sheet(width: float, height: float, names: Mapping[int, str], title: str = "") -> Figure:
    """Return an empty figure of this size in inches, with added height for a legend and a title."""
    lines = math.ceil(len(names) / _columns(names.values(), width))
    return style.page(width, height + 0.145 * lines + (0.2 if title else 0), title)


def legend(
    figure: Figure,
    names: Mapping[int, str],
    *,
    marked: bool,
    lined: bool = True,
    gaps: Collection[str] = (),
    others: Sequence[Line2D] = (),
) -> None:
    """Draw the legend below the axes; each entry has the gid of its arm.

    Args:
        gaps: names of the marks in `GAPS` that the figure shows.
        others: labelled lines that belong to no arm.
    """
    shown_gaps = [name for name in GAPS if name in gaps]
    handles = [
        Line2D([], [], linestyle=dashes(index) if lined else "", **look(index) if marked else {"color": colour(index)})
        for index in names
    ]
    handles += [
        Line2D([], [], linestyle="", color="black", marker=GAPS[name][0], markersize=2.8) for name in shown_gaps
    ]
    handles += others
    labels = [*names.values(), *shown_gaps, *(str(line.get_label()) for line in others)]
    columns = min(_columns(labels, float(figure.get_size_inches()[0])), len(labels))
    made = figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=2.4)
    for text in made.get_texts():
        text.set_parse_math(False)
    # The entries after the arms have no gid.
    for index, text, handle in zip(names, made.get_texts(), made.legend_handles, strict=False):
        text.set_gid(f"arm-{index}-legend")
        if handle is not None:
            handle.set_gid(f"arm-{index}-key")


def levels(axes: Axes, values: Sequence[Values], bands: Sequence[Values] = ()) -> None:
    """Set the vertical axis of lines: logarithmic if no value is negative and positive values span over a decade."""
    known = np.concatenate([value[np.isfinite(value)] for value in values])
    around = np.concatenate([known, *(band[np.isfinite(band)] for band in bands)])
    positive = known[known > 0]
    style.number(axes.yaxis, [] if (known < 0).any() else positive.tolist())
    if axes.get_yscale() == "log":
        # A band can reach down to zero; cut it off a little below the lines.
        axes.set_ylim(max(around[around > 0].min(), positive.min() / 2) / 1.3, around.max() * 1.3)
        if positive.max() > 1e5 * positive.min():
            axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: _power(at)))
    elif around.size:
        room = 0.06 * float(around.max() - around.min()) or 0.06 * abs(float(around.max())) or 1
        axes.set_ylim(around.min() - room, around.max() + room)


def scaled(heading: str, values: Sequence[float]) -> Values:
    """Return values as drawn: in percent if the heading ends in `%`, and extreme values as 0 or infinity."""
    with np.errstate(over="ignore"):
        scaled = np.asarray(values, dtype=float) * (100 if heading.rstrip().endswith("%") else 1)
    scaled[np.abs(scaled) > GREATEST] *= math.inf
    scaled[np.abs(scaled) < FINEST] = 0
    return scaled


def line(axes: Axes, index: int, xs: NDArray[Any], values: Values) -> set[str]:
    """Draw a line with gaps for values that cannot be drawn, marked at the edge; return the names of these marks."""
    shown = np.isfinite(values) & ((values > 0) | (axes.get_yscale() != "log"))
    # A point without neighbours needs a marker, because it has no line.
    alone = shown & (np.convolve(shown, [1, 1, 1])[1:-1] == 1)
    every = max(1, len(xs) // 6)
    # Different places for different arms, so that markers on lines that coincide stay visible.
    marks = alone | (shown & ((np.arange(len(xs)) - index) % every == 0))
    gid, drawn = f"arm-{index}-line", np.where(shown, values, math.nan)
    axes.plot(xs, drawn, linestyle=dashes(index), markevery=np.flatnonzero(marks).tolist(), gid=gid, **look(index, 2.8))
    edge: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "zorder": 5, "linestyle": ""}
    where = {"zero": values == 0, "infinite": values == math.inf, "minus infinite": values == -math.inf}
    found = {name: places & ~shown for name, places in (where | {"no number": np.isnan(values)}).items()}
    for name, places in found.items():
        mark, height = GAPS[name]
        if places.any():
            edge |= {"marker": mark, "gid": f"arm-{index}-gap"}
            axes.plot(xs[places], np.full(places.sum(), height), color=colour(index), markersize=2.8, **edge)
    return {name for name, places in found.items() if places.any()}


def _columns(names: Iterable[str], width: float) -> int:
    """Return how many legend columns fit: a letter is about 4 points wide, a handle with its spacing 38."""
    return max(1, int(72 * width / (4.0 * max(map(len, names), default=0) + 38)))


def _power(number: float) -> str:
    """Return a power of ten as text: 1, 10, 10⁻⁴."""
    power = round(math.log10(number))
    return f"{number:g}" if power in (0, 1) else "10" + str(power).translate(RAISED)
