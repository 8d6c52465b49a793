"""Figures of tuned arms: validation error against an axis of the recipe, and against the tuning budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports.figures import ends, style
from reports.figures.arms import Values, legend, levels, line, names_of, scaled, sheet
from reports.figures.palette import colour
from reports.page import DOUBLE

ERROR = "validation error, %"


@dataclass(frozen=True)
class _Arm:
    arm: str
    index: int


def against_axis(
    points: Mapping[str, Sequence[tuple[float, float]]],
    best: Mapping[str, float | None],
    indices: Mapping[str, int],
    path: str,
    width: float = DOUBLE,
) -> Figure:
    """Return validation error against the value of an axis, one line per arm, with a ring at the arm's best value.

    Args:
        points: (value, error as a fraction) of every recipe that was tried, by arm.
        best: the value of the best recipe, by arm; None if the axis is not active in it.
        path: the axis.
        width: in inches.
    """
    values = {name: np.asarray([value for value, _ in sorted(own)]) for name, own in points.items() if own}
    errors = {name: scaled(ERROR, [error for _, error in sorted(own)]) for name, own in points.items() if own}

    def rings(axes: Axes) -> None:
        style.number(axes.xaxis, [float(value) for own in values.values() for value in own])
        for name, own in values.items():
            if (chosen := best.get(name)) is None:
                continue
            at = int(np.abs(own - chosen).argmin())
            ring: dict[str, Any] = {"markersize": 8, "fillstyle": "none", "linestyle": "", "marker": "o"}
            ring |= {"color": colour(indices[name]), "gid": f"arm-{indices[name]}-best"}
            axes.plot(own[at], errors[name][at], **ring)

    return _lines(values, errors, indices, path, ERROR, rings, width)


def against_budget(
    expected: Mapping[str, Sequence[float]], indices: Mapping[str, int], width: float = DOUBLE
) -> Figure:
    """Return the expected lowest validation error against the number of recipes, one line per arm."""
    errors = {name: scaled(ERROR, own) for name, own in expected.items() if own}
    numbers = {name: np.arange(1, len(own) + 1) for name, own in errors.items()}

    def whole(axes: Axes) -> None:
        style.number(axes.xaxis, whole=True)

    return _lines(numbers, errors, indices, "recipes tried", f"expected lowest {ERROR}", whole, width)


def _lines(
    xs: Mapping[str, NDArray[Any]],
    ys: Mapping[str, Values],
    indices: Mapping[str, int],
    below: str,
    beside: str,
    finish: Callable[[Axes], None],
    width: float,
) -> Figure:
    """Return one line per arm, named at its end or in a legend; `finish` sets the horizontal axis."""
    names = names_of(_Arm(name, indices[name]) for name in xs)
    at_ends = ends.fit(names, width)
    with style.applied():
        figure = sheet(width, max(2.8, ends.height(names) + 0.5) if at_ends else 2.8, {} if at_ends else names)
        axes = figure.add_subplot()
        axes.set_xlabel(style.plain(below), parse_math=False)
        axes.set_ylabel(style.plain(beside), parse_math=False)
        if not xs:
            style.sentence(axes, "no trial of the tuning is complete yet")
            return style.settle(figure)
        levels(axes, list(ys.values()))
        finish(axes)
        gaps: set[str] = set()
        for name, own in xs.items():
            gaps |= line(axes, indices[name], own, ys[name])
        texts = ends.write(axes, names) if at_ends else {}
        if not at_ends or gaps:
            legend(figure, {} if at_ends else names, marked=True, gaps=gaps)
        style.settle(figure)
        ends.arrange(axes, texts)
        return figure
