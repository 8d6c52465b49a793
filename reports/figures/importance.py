"""The importance of each axis of a space for each objective."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures import style
from reports.figures.style import BLUE
from reports.figures.values import without_unit
from reports.page import DOUBLE


def importance(table: pd.DataFrame, *, title: str = "", width: float = DOUBLE) -> Figure:
    """Return bars of the importance of each axis, ±1 standard deviation, with one panel per objective, greatest first.

    `table` is the result of `search.exploring.importance.importance`: axis, objective, importance, std, r2, reason.
    The panel of an objective without importances shows the reason.
    """
    groups = list(table.groupby("objective", sort=False))
    with style.applied():
        if not groups:
            figure = style.page(width, 1.2, title)
            style.sentence(figure.add_subplot(), "no objective to explain")
            return style.settle(figure)
        known = [bool(group["importance"].notna().any()) for _, group in groups]
        rows = [len(group) if some else 2 for some, (_, group) in zip(known, groups, strict=True)]
        figure = style.page(width, sum(0.16 * count + 0.3 for count in rows) + (0.6 if title else 0.4), title)
        panels = figure.subplots(len(groups), squeeze=False, height_ratios=[count + 0.6 for count in rows])[:, 0]
        for axes, (objective, group) in zip(panels, groups, strict=True):
            _bars(axes, str(objective), group)
        for axes in panels[known][-1:]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("importance, share of all axes")
        return style.settle(figure)


def _bars(axes: Axes, objective: str, group: pd.DataFrame) -> None:
    """Draw the panel of one objective."""
    r2 = float(group["r2"].iloc[0])
    explained = "" if math.isnan(r2) else f", R² {r2:.2f}"
    axes.set_title(style.plain(without_unit(objective)) + explained, loc="left", parse_math=False)
    axes.set_xlim(0, 1)
    axes.grid(False, axis="y")
    axes.tick_params(left=False, labelbottom=False)
    known = group.dropna(subset=["importance"]).sort_values("importance", kind="stable")
    if known.empty:
        axes.set_axis_off()
        style.sentence(axes, str(group["reason"].iloc[0]), width=36)
        return
    rows = range(len(known))
    axes.barh(rows, known["importance"], height=0.7, color=BLUE)
    axes.errorbar(known["importance"], rows, xerr=known["std"], fmt="none", ecolor="black", elinewidth=0.7, capsize=1.5)
    axes.set_yticks(rows, [style.plain(str(name)) for name in known["axis"]], parse_math=False)
