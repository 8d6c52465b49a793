"""Figures of tuned arms: validation error against an axis of the recipe, and against the tuning budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from reports.figures import style
from reports.figures.arms import WIDE, colour, legend, levels, line, names_of, scaled, sheet

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
) -> Figure:
    """Return validation error against the value of an axis, one line per arm, with a ring at the arm's best value.

    Args:
        points: (value, error as a fraction) of every recipe that was tried, by arm.
        best: the value of the best recipe, by arm; None if the axis is not active in it.
        path: the axis.
    """
    drawn = {name: sorted(own) for name, own in points.items() if own}
    names = names_of(_Arm(name, indices[name]) for name in drawn)
    with style.applied():
        figure = sheet(WIDE, 2.8, names)
        axes = figure.add_subplot()
        axes.set_xlabel(style.plain(path), parse_math=False)
        axes.set_ylabel(ERROR)
        if not drawn:
            style.sentence(axes, "no trial of the tuning is complete yet")
            return style.settle(figure)
        errors = {name: scaled(ERROR, [error for _, error in own]) for name, own in drawn.items()}
        levels(axes, list(errors.values()))
        style.number(axes.xaxis, [value for own in drawn.values() for value, _ in own])
        gaps: set[str] = set()
        for name, own in drawn.items():
            values = np.asarray([value for value, _ in own])
            gaps |= line(axes, indices[name], values, errors[name], marked=True)
            chosen = best.get(name)
            if chosen is not None:
                at = int(np.abs(values - chosen).argmin())
                ring: dict[str, Any] = {
                    "markersize": 8,
                    "fillstyle": "none",
                    "linestyle": "",
                    "color": colour(indices[name]),
                }
                axes.plot(values[at], errors[name][at], marker="o", gid=f"arm-{indices[name]}-best", **ring)
        legend(figure, names, marked=True, gaps=gaps)
        return style.settle(figure)


def against_budget(expected: Mapping[str, Sequence[float]], indices: Mapping[str, int]) -> Figure:
    """Return the expected lowest validation error against the number of recipes, one line per arm."""
    drawn = {name: own for name, own in expected.items() if own}
    names = names_of(_Arm(name, indices[name]) for name in drawn)
    with style.applied():
        figure = sheet(WIDE, 2.6, names)
        axes = figure.add_subplot(xlabel="recipes tried", ylabel=f"expected lowest {ERROR}")
        if not drawn:
            style.sentence(axes, "no trial of the tuning is complete yet")
            return style.settle(figure)
        errors = {name: scaled(ERROR, own) for name, own in drawn.items()}
        levels(axes, list(errors.values()))
        gaps: set[str] = set()
        for name, own in errors.items():
            gaps |= line(axes, indices[name], np.arange(1, len(own) + 1), own, marked=True)
        style.number(axes.xaxis, whole=True)
        legend(figure, names, marked=True, gaps=gaps)
        return style.settle(figure)
