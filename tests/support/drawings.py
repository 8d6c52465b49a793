"""Access to the artists and texts of a figure, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text


def part(figure: Figure, gid: str, kind: type[Artist] = Line2D) -> list[Any]:
    """Return the artists of a kind with this gid."""
    return [artist for artist in figure.findobj(kind) if artist.get_gid() == gid]


def drawn(figure: Figure, gid: str) -> list[float]:
    """Return the y values of the only line with this gid."""
    (line,) = part(figure, gid)
    return np.asarray(line.get_ydata(), dtype=float).tolist()


def texts_in(figure: Figure) -> list[str]:
    """Return all texts of a figure."""
    return [text.get_text() for text in figure.findobj(Text)]


def axis_of(figure: Figure) -> Axes:
    return figure.axes[0]


def error_bars(axes: Axes) -> list[ErrorbarContainer]:
    return [container for container in axes.containers if isinstance(container, ErrorbarContainer)]


def points(axes: Axes) -> list[tuple[float, float]]:
    """Return the coordinates of all marks in the axes."""
    return [tuple(point) for bar in error_bars(axes) for point in bar.lines[0].get_xydata().tolist()]


def labelled(axes: Axes, label: str) -> list[tuple[float, float]]:
    """Return the coordinates of all lines with this label."""
    return [tuple(point) for found in axes.lines if found.get_label() == label for point in found.get_xydata().tolist()]
