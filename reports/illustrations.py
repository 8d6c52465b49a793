"""The figures of a report: which there are for each kind of run, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, singledispatch
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.launch import AblationRun
from reports import arm_figures, figures
from reports.figures import Mark
from search.dominance import knee
from search.found import SearchRun
from search.front import OBJECTIVES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Illustration:
    """A figure by the name of its files, and what it shows."""

    stem: str
    caption: str
    draw: Callable[[], Figure]
    heading: str = "Figures"
    """Of the part of a report that it belongs to."""
    alt: str = ""
    """What one sees in it, for who cannot; by itself the caption."""


def illustrate(run: object, folder: Path) -> list[tuple[str, str]]:
    """Draw a run's figures into a folder, each as SVG and PNG; (file name of the SVG, caption)."""
    drawn = []
    for figure in illustrations(run):
        figures.save(figure.draw(), folder, figure.stem)
        drawn.append((f"{figure.stem}.svg", figure.caption))
    return drawn


@singledispatch
def illustrations(run: object) -> Iterator[Illustration]:
    """By the kind of run; none by itself."""
    yield from ()


@illustrations.register
def _(run: SearchRun) -> Iterator[Illustration]:
    names = run.study.objectives
    if "error" in names:
        for cost in names:
            if cost != "error":
                caption = (
                    f"The front of error and {OBJECTIVES[cost].heading}: bars are standard deviations over seeds, "
                    "hollow points are provisional, dominated networks are grey."
                )
                yield Illustration(f"front-{cost}", caption, partial(_front, run, cost))
    if run.study.reference and not run.reference_inside and len(run.trace):
        caption = "The hypervolume after each trial, as a share of the box below the reference point."
        yield Illustration("hypervolume", caption, lambda: figures.hypervolume(run.trace, ended=run.ended))
    table = run.importance
    if table["importance"].notna().any():
        caption = "What each axis matters for each objective: how much worse a forest predicts with that axis shuffled."
        yield Illustration("importance", caption, lambda: figures.importance(table))


@illustrations.register
def _(run: AblationRun) -> Iterator[Illustration]:
    draw = {"differences": arm_figures.forest, "curves": arm_figures.curves, "complexity": arm_figures.complexity}
    for stem, heading, caption in arm_figures.captions(run):
        alt = arm_figures.forest_in_words(run) if stem == "differences" else ""
        yield Illustration(stem, caption, partial(draw[stem], run), heading, alt)
    for epoch in arm_figures.epochs_probed(run):
        when = "at initialisation" if epoch == 0 else f"behind epoch {epoch}"
        caption = (
            f"How signals propagate {when}, unit by unit from the first to the last: the gradient's norm at a unit's "
            "input, the product of the shortcuts' gains up to it, the variance of its output, and dead ReLUs."
        )
        draw_it = partial(arm_figures.propagation, run, epoch)
        yield Illustration(f"propagation-{epoch}", caption, draw_it, "Signal propagation")


def _front(run: SearchRun, cost: str) -> Figure:
    """All networks that have a complete trial; the front is that of all the study's objectives."""
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
    return figures.front(marks, x=cost, y="error", knee=run.front[knee(values)].key if len(values) > 2 else None)
