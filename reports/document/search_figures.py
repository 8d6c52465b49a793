"""The figures of a search: its run converted to the plain data that figures are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isnan
from typing import TYPE_CHECKING

from ablations.published import Published
from reports.figures import front as fronts
from reports.figures import hypervolume, importance, published_results
from reports.figures.front import Mark
from reports.figures.published_results import Known
from reports.page import Picture
from search.exploring.run import SearchRun
from search.fronts.dominance import knee
from search.fronts.objectives import OBJECTIVES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def costs(run: SearchRun) -> list[str]:
    """Return the objectives that the error is drawn against."""
    names = run.study.objectives
    return [name for name in names if name != "error"] if "error" in names else []


def front_picture(run: SearchRun, cost: str, published: Sequence[Published] = ()) -> Picture:
    """Return the figure of error against a cost, with published results in the background."""
    caption = (
        f"Pareto front of error and {OBJECTIVES[cost].heading}. Bars: standard deviation over seeds; "
        "hollow: provisional; grey: dominated"
        + ("; crosses: stopped early, at their last error." if stopped_early(run, cost) else ".")
        + published_results.sentence(published, cost, _measured(run, cost), run.study.dataset.name)
    )
    known = published_results.known(published, cost)
    return Picture(f"front-{cost}", partial(_draw_front, run, cost, known), caption)


def has_points(run: SearchRun, cost: str) -> bool:
    """Whether a network has results that the figure of error against this cost shows."""
    return bool(_measured(run, cost) or stopped_early(run, cost))


def hypervolume_picture(run: SearchRun) -> Picture | None:
    """Return the figure of the hypervolume; None without a reference point that is worse than all trials."""
    if not run.study.reference or run.reference_problem or not len(run.trace):
        return None
    caption = "Hypervolume after each trial, as a share of the box below the reference point."
    return Picture(
        "hypervolume", lambda width: hypervolume.hypervolume(run.trace, ended=run.ended, width=width), caption
    )


def importance_picture(run: SearchRun) -> Picture | None:
    """Return the figure of the importance of axes; None if no axis has one."""
    table = run.importance
    if not table["importance"].notna().any():
        return None
    caption = (
        "Importance of each axis for each objective: how much worse a random forest predicts if the axis is shuffled."
    )
    return Picture("importance", lambda width: importance.importance(table, width=width), caption)


def _measured(run: SearchRun, cost: str) -> list[tuple[float, float]]:
    """Return (cost, error) of all networks with a finished trial."""
    table = run.networks.dropna(subset=[cost, "error"])
    return [(float(row[cost]), float(row["error"])) for row in table.to_dict("records")]


def _draw_front(run: SearchRun, cost: str, published: Sequence[Known], width: float) -> Figure:
    """Draw all networks with a finished trial; the front is over all objectives of the study."""
    members = {point.key for point in run.front}
    table = run.networks.dropna(subset=[cost, "error"])
    marks = [
        Mark(
            key=row["architecture"],
            x=float(row[cost]),
            y=float(row["error"]),
            y_std=None if isnan(row["error_std"]) else float(row["error_std"]),
            confirmed=bool(row["confirmed"]),
            on_front=row["architecture"] in members,
        )
        for row in table.to_dict("records")
    ]
    values = [tuple(point.values.values()) for point in run.front]
    bend = run.front[knee(values)].key if len(values) > 2 else None
    stopped = stopped_early(run, cost)
    return fronts.front(marks, x=cost, y="error", knee=bend, published=published, pruned=stopped, width=width)


def stopped_early(run: SearchRun, cost: str) -> list[tuple[float, float]]:
    """Return (cost, last validation error) of each pruned trial whose cost is known before training."""
    column, ends = OBJECTIVES[cost].column, run.curves.sort_values("epoch").groupby("key")["validation_error"].last()
    found = [
        (getattr(record, column, None), ends.get(record.key)) for record in run.searched if record.status == "pruned"
    ]
    return [(float(x), float(y)) for x, y in found if x is not None and y is not None and not isnan(y)]
