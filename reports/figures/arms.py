"""How arms look in figures: colours, lines, markers, legends and axes that all figures of arms share.

Errors and everything else whose heading ends in `%` come as fractions and are drawn as percent. An artist that belongs
to an arm has the gid `arm-{index}-{part}`, where the index is the arm's place in the table: a page finds it by that.
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
from reports.figures.style import BLUE, GREEN, ORANGE, RED

PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"

COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""Okabe and Ito's, without yellow, which nobody sees on white. More arms repeat them in another line style."""

LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
"""One more than colours: who has an arm's colour has neither its line nor its marker."""

GAPS = {"zero": ("v", 0.0), "infinite": ("^", 1.0), "minus infinite": ("v", 0.0), "no number": ("x", 0.0)}
"""What stands where a line has no value that can be drawn: a mark, and its height in the axes."""

WIDE, FULL = 5.1, 7.0
"""Widths in inches: a column and a half, and a paper's page."""

Values = NDArray[np.float64]

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

FINEST, GREATEST = 1e-200, 1e200
"""What is smaller or greater is drawn as zero or as infinite: an axis needs room around it."""


class OfAnArm(Protocol):
    """What a figure shows of an arm: its name, and its place in the table."""

    @property
    def arm(self) -> str: ...

    @property
    def index(self) -> int: ...


def colour(index: int) -> str:
    """An arm's colour, the same in every figure."""
    return COLOURS[index % len(COLOURS)]


def dashes(index: int) -> Any:
    """Its line, as matplotlib writes line styles."""
    return LINES[index // len(COLOURS) % len(LINES)]


def look(index: int, size: float = 3.6) -> dict[str, Any]:
    """Its colour and its marker, `size` points wide."""
    marker = MARKERS[index % len(MARKERS)]
    return {"color": colour(index), "marker": marker, "markersize": size, "markeredgewidth": 0.8}


def names_of(found: Iterable[OfAnArm]) -> dict[int, str]:
    """Arms by index, each once, in the table's order."""
    return dict(sorted({one.index: style.plain(one.arm) for one in found}.items()))


def finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def sheet(width: float, height: float, names: Mapping[int, str], title: str = "") -> Figure:
    """A page so many inches wide and high, and room for a legend and a title."""
    lines = math.ceil(len(names) / _columns(names.values(), width))
    figure = style.page(title, height=height + 0.145 * lines + (0.2 if title else 0))
    figure.set_size_inches(width, figure.get_size_inches()[1])
    return figure


def legend(
    figure: Figure,
    names: Mapping[int, str],
    *,
    marked: bool,
    lined: bool = True,
    gaps: Collection[str] = (),
    others: Sequence[Line2D] = (),
) -> None:
    """Below everything; each entry belongs to its arm. `gaps` are marks that stand at edges, `others` labelled lines
    that belong to no arm."""
    stood = [name for name in GAPS if name in gaps]
    handles = [
        Line2D([], [], linestyle=dashes(index) if lined else "", **look(index) if marked else {"color": colour(index)})
        for index in names
    ]
    handles += [Line2D([], [], linestyle="", color="black", marker=GAPS[name][0], markersize=2.8) for name in stood]
    handles += others
    said = [*names.values(), *stood, *(str(line.get_label()) for line in others)]
    columns = min(_columns(said, float(figure.get_size_inches()[0])), len(said))
    made = figure.legend(handles, said, loc="outside lower center", ncols=columns, handlelength=2.4)
    for text in made.get_texts():
        text.set_parse_math(False)
    # The entries after the arms belong to none.
    for index, text, handle in zip(names, made.get_texts(), made.legend_handles, strict=False):
        text.set_gid(f"arm-{index}-legend")
        if handle is not None:
            handle.set_gid(f"arm-{index}-key")


def levels(axes: Axes, values: Sequence[Values], bands: Sequence[Values] = ()) -> None:
    """The vertical axis of lines: logarithmic where nothing is negative and what is positive spans over a decade."""
    known = np.concatenate([value[np.isfinite(value)] for value in values])
    around = np.concatenate([known, *(band[np.isfinite(band)] for band in bands)])
    positive = known[known > 0]
    style.number(axes.yaxis, [] if (known < 0).any() else positive.tolist())
    if axes.get_yscale() == "log":
        # A band may go down to zero; it is cut off a little below the lines.
        axes.set_ylim(max(around[around > 0].min(), positive.min() / 2) / 1.3, around.max() * 1.3)
        if positive.max() > 1e5 * positive.min():
            axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: _power(at)))
    elif around.size:
        room = 0.06 * float(around.max() - around.min()) or 0.06 * abs(float(around.max())) or 1
        axes.set_ylim(around.min() - room, around.max() + room)


def scaled(heading: str, values: Sequence[float]) -> Values:
    """Values under a heading, as an axis can show them: fractions in percent, and nothing beyond every scale."""
    with np.errstate(over="ignore"):
        scaled = np.asarray(values, dtype=float) * (100 if heading.rstrip().endswith("%") else 1)
    scaled[np.abs(scaled) > GREATEST] *= math.inf
    scaled[np.abs(scaled) < FINEST] = 0
    return scaled


def line(axes: Axes, index: int, xs: NDArray[Any], values: Values, *, marked: bool) -> set[str]:
    """A line with gaps where there is no value to draw, and marks at the edge in the gaps; which ones."""
    shown = np.isfinite(values) & ((values > 0) | (axes.get_yscale() != "log"))
    # A point without neighbours is no line.
    alone = shown & (np.convolve(shown, [1, 1, 1])[1:-1] == 1)
    every = max(1, len(xs) // 6)
    marks = alone | (marked & shown & ((np.arange(len(xs)) - index) % every == 0))
    gid, drawn = f"arm-{index}-line", np.where(shown, values, math.nan)
    axes.plot(xs, drawn, linestyle=dashes(index), markevery=np.flatnonzero(marks).tolist(), gid=gid, **look(index, 2.8))
    edge: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "zorder": 5, "linestyle": ""}
    where = {"zero": values == 0, "infinite": values == math.inf, "minus infinite": values == -math.inf}
    found = {name: places & ~shown for name, places in (where | {"no number": np.isnan(values)}).items()}
    for name, places in found.items():
        marker, height = GAPS[name]
        if places.any():
            edge |= {"marker": marker, "gid": f"arm-{index}-gap"}
            axes.plot(xs[places], np.full(places.sum(), height), color=colour(index), markersize=2.8, **edge)
    return {name for name, places in found.items() if places.any()}


def _columns(names: Iterable[str], width: float) -> int:
    """How many columns of a legend fit into inches: a letter is 4 points wide, a handle and what is around it 38."""
    return max(1, int(72 * width / (4.0 * max(map(len, names), default=0) + 38)))


def _power(number: float) -> str:
    """A power of ten: 1, 10, 10⁻⁴."""
    power = round(math.log10(number))
    return f"{number:g}" if power in (0, 1) else "10" + str(power).translate(RAISED)
