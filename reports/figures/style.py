"""The style of figures: the width of a paper's column, colour-blind-safe colours, and text without markup."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

NARROW = 4.5
"""Figures below this width in inches have the layout of one column: names above or below instead of beside."""

DECADE = 10
"""An axis is logarithmic if the greatest value is more than this many times the least."""

# Okabe and Ito 2008, "Color Universal Design": distinct with every common kind of colour blindness.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8C8C8C"
GRID = "#E6E6E6"

FONT = "DejaVu Sans"
"""A font that comes with matplotlib, so that figures are the same on every machine."""
LONGEST = 36
"""Greatest number of characters of a label; a longer label is shortened in the middle."""

FORMATS: dict[str, dict[str, Any]] = {
    # No dates and versions, so that equal figures give identical bytes.
    "svg": {"metadata": {"Date": None, "Creator": None}},
    "png": {"metadata": {"Software": None}},
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
}
"""File formats of figures, with their options."""

STYLE = {
    "font.sans-serif": [FONT],
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.2,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": GRID,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "lines.linewidth": 1.1,
    "figure.facecolor": "white",
    "savefig.dpi": 300,
    # Letters as outlines: in a browser without the font, other letter widths would make labels overlap.
    "svg.fonttype": "path",
    # The salt of ids in an SVG; random by default.
    "svg.hashsalt": "resnet-space",
    "pdf.fonttype": 42,
}


@contextmanager
def applied() -> Iterator[None]:
    """Apply matplotlib's defaults and `STYLE`, ignoring the user's matplotlibrc; restore all settings at the end."""
    with matplotlib.style.context(["default", STYLE]):
        yield


def page(width: float, height: float, title: str = "") -> Figure:
    """Return an empty figure of this size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(plain(title, 2 * LONGEST), fontsize="medium", parse_math=False)
    return figure


def is_narrow(figure: Figure) -> bool:
    return bool(figure.get_size_inches()[0] < NARROW)


def sentence(axes: Axes, text: str, *, width: int = 50) -> None:
    """Show a sentence instead of data in empty axes, in lines of `width` characters."""
    axes.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    axes.grid(False)
    lines = textwrap.fill(plain(text, 4 * width), width)
    axes.text(0.5, 0.5, lines, transform=axes.transAxes, ha="center", va="center", parse_math=False)


def legend(figure: Figure, axes: Axes) -> None:
    """Draw the legend below the axes, where it covers nothing."""
    handles, names = axes.get_legend_handles_labels()
    columns = len(names) if len(names) < 3 else 2 if is_narrow(figure) else 4
    made = figure.legend(handles, names, loc="outside lower center", ncols=columns)
    for text in made.get_texts():
        text.set_parse_math(False)


def settle(figure: Figure) -> Figure:
    """Return the figure with a fixed layout: a second layout pass would shift it slightly."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    # No layout engine: even with one that does nothing, each save draws twice.
    figure.set_layout_engine(None)
    return figure


def number(axis: Axis, values: Sequence[float] = (), *, whole: bool = False) -> None:
    """Set ticks such as 50M, 0.5, 7; logarithmic if `values` span more than a decade."""
    low, high = min(values, default=0), max(values, default=0)
    if low > 0 and DECADE * low < high:
        set_scale = axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale
        set_scale("log")
        subs = (1, 2, 5) if high / low < DECADE**2 else (1, 3) if high / low < DECADE**3 else (1,)
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_minor_locator(LogLocator(subs=tuple(range(2, 10))))
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], integer=whole))
    axis.set_major_formatter(FuncFormatter(lambda at, _: short(at)))


def short(number: float) -> str:
    """Return a number as text with up to 6 digits and a unit prefix.

    >>> short(2_500_000), short(0.5), short(1e9)
    ('2.5M', '0.5', '1G')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.6g}{letter}"
    return f"{number:.6g}"


def plain(text: str, longest: int = LONGEST) -> str:
    """Return one drawable line: characters missing in the font become `�`, and the middle of a long line `…`."""
    line = "".join(char if ord(char) in _drawable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))
    if len(line) <= longest:
        return line
    head = (longest - 1) // 2
    return f"{line[:head]}…{line[len(line) - (longest - 1 - head) :]}"


@cache
def _drawable() -> frozenset[int]:
    # Control characters are excluded: XML forbids them.
    return frozenset(code for code in get_font(findfont(FONT)).get_charmap() if chr(code).isprintable())
