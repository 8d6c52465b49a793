"""The hypervolume during a search."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from reports.figures import style
from reports.figures.style import BLUE, GREEN, GREY, ORANGE, RED
from reports.figures.values import finite, without_unit
from reports.page import DOUBLE
from resnet_space.errors import unknown
from search.fronts.objectives import OBJECTIVES


def hypervolume(
    trace: ArrayLike,
    *,
    random: ArrayLike | None = None,
    ended: Mapping[str, Sequence[int]] | None = None,
    objectives: Sequence[str] = (),
    title: str = "",
    width: float = DOUBLE,
) -> Figure:
    """Return a step plot of the hypervolume after each trial.

    Args:
        trace: hypervolume after each trial, shape (trials,).
        random: that of random search with the same number of trials, shape (trials,) or (runs, trials); drawn as
            its mean, with a band from minimum to maximum.
        ended: numbers (from 1) of trials that ended early, by status; drawn as ticks at the bottom.
        objectives: the objectives whose product is the unit of the hypervolume.
        width: of the figure, in inches.

    Raises:
        InputError: an unknown objective, or a value that is not finite.
    """
    for name in objectives:
        if name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES, path="objectives")
    levels = finite("trace", trace, 1)
    with style.applied():
        figure = style.page(width, 2.6, title)
        unit = " × ".join(without_unit(name) for name in objectives)
        axes = figure.add_subplot(xlabel="trials", ylabel=textwrap.fill(f"hypervolume, {unit}".rstrip(", "), 32))
        if not levels.size:
            style.sentence(axes, "no finished trial yet")
            return style.settle(figure)
        if random is not None:
            runs = np.atleast_2d(finite("random", random, 2))
            numbers = np.arange(1, runs.shape[1] + 1)
            if len(runs) > 1:
                axes.fill_between(numbers, runs.min(0), runs.max(0), step="post", color=GREY, alpha=0.25, linewidth=0)
            name = f"random search, mean of {len(runs)}" if len(runs) > 1 else "random search"
            axes.step(numbers, runs.mean(0), where="post", color=GREY, linestyle="--", label=name)
        one: dict[str, Any] = {"marker": "o", "markersize": 3} if levels.size == 1 else {}
        axes.step(np.arange(1, levels.size + 1), levels, where="post", color=BLUE, label="this search", **one)
        for row, (status, trials) in enumerate((ended or {}).items()):
            # At the bottom of the axes, in axes coordinates, independent of the curve.
            bottom: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "color": (ORANGE, RED, GREEN)[row % 3]}
            axes.plot(trials, [0.02 + 0.05 * row] * len(trials), "|", markersize=4, label=style.plain(status), **bottom)
        axes.set_xlim(0, None if levels.size > 1 else 2)
        style.number(axes.xaxis, whole=True)
        style.number(axes.yaxis)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            style.legend(figure, axes)
        return style.settle(figure)
