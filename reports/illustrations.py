"""The figures of a report: which there are for each kind of run, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, singledispatch
from math import isnan
from typing import TYPE_CHECKING

from ablations.published import Published
from ablations.run import AblationRun
from reports import arm_figures, beside, figures
from reports.beside import Known
from reports.figures import Mark
from search.exploring.run import SearchRun
from search.fronts.dominance import knee
from search.fronts.objectives import OBJECTIVES

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
    published: Sequence[Published] = ()
    """The published results that stand in a table below it."""

    @cached_property
    def figure(self) -> Figure:
        """Drawn when it is first asked for, and once for all formats."""
        return self.draw()


@singledispatch
def illustrations(run: object, published: Sequence[Published] = ()) -> Iterator[Illustration]:
    """By the kind of run; none by itself. Of `published` results those with a place stand behind fronts."""
    yield from ()


@illustrations.register
def _(run: SearchRun, published: Sequence[Published] = ()) -> Iterator[Illustration]:
    names = run.study.objectives
    costs = [name for name in names if name != "error"] if "error" in names else []
    with_table = [cost for cost in costs if cost in beside.COSTS][-1:]
    for cost in costs:
        known = beside.known(published, cost)
        caption = (
            f"The front of error and {OBJECTIVES[cost].heading}: bars are standard deviations over seeds, "
            "hollow points are provisional, dominated networks are grey."
            + beside.sentence(published, cost, _measured(run, cost), run.study.data.name)
        )
        below = published if cost in with_table else ()
        yield Illustration(f"front-{cost}", caption, partial(_front, run, cost, known), published=below)
    if run.study.reference and not run.reference_problem and len(run.trace):
        caption = "The hypervolume after each trial, as a share of the box below the reference point."
        yield Illustration("hypervolume", caption, lambda: figures.hypervolume(run.trace, ended=run.ended))
    table = run.importance
    if table["importance"].notna().any():
        caption = "What each axis matters for each objective: how much worse a forest predicts with that axis shuffled."
        yield Illustration("importance", caption, lambda: figures.importance(table))


@illustrations.register
def _(run: AblationRun, published: Sequence[Published] = ()) -> Iterator[Illustration]:
    draw: dict[str, Callable[..., Figure]] = {
        "differences": arm_figures.forest,
        "curves": arm_figures.curves,
        "complexity": partial(arm_figures.complexity, published=beside.known(published, "macs")),
    }
    for stem, heading, caption in arm_figures.captions(run):
        alt = arm_figures.forest_in_words(run) if stem == "differences" else ""
        below = published if stem == "complexity" else ()
        if below:
            caption += beside.sentence(below, "macs", arm_figures.measured(run), run.study.data.name)
        yield Illustration(stem, caption, partial(draw[stem], run), heading, alt, below)
    for epoch in arm_figures.epochs_probed(run):
        when = "at initialisation" if epoch == 0 else f"behind epoch {epoch}"
        caption = (
            f"How signals propagate {when}, unit by unit from the first to the last: the gradient's norm at a unit's "
            "input, the product of the shortcuts' gains up to it, the variance of its output, and dead ReLUs."
        )
        draw_it = partial(arm_figures.propagation, run, epoch)
        yield Illustration(f"propagation-{epoch}", caption, draw_it, "Signal propagation")


def _measured(run: SearchRun, cost: str) -> list[tuple[float, float]]:
    """Where all networks with a complete trial stand."""
    table = run.networks.dropna(subset=[cost, "error"])
    return [(float(row[cost]), float(row["error"])) for row in table.to_dict("records")]


def _front(run: SearchRun, cost: str, published: Sequence[Known] = ()) -> Figure:
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
    bend = run.front[knee(values)].key if len(values) > 2 else None
    return figures.front(marks, x=cost, y="error", knee=bend, published=published)
