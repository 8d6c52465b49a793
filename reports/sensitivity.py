"""What the seeds of a study can show, for readers and as JSON, with the cost of more seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ablations.comparisons import TESTS
from ablations.expected import Expected
from ablations.power import MAX_SEEDS, POWER
from ablations.sensitivity import Asked, Need, Row, Sensitivity
from reports.numbers import POINTS
from reports.page import Block, Cell, Grid, Text
from search.measures.catalogue import Measure
from search.running.progress import format_duration


@dataclass(frozen=True)
class Cost:
    """The estimated cost of one seed of all networks."""

    seconds: float | None
    """Training time, one trial after another; None if this machine cannot run the trials."""
    at_once: int
    """The number of trials that run in parallel."""

    def as_json(self, seeds: int | None, devices: float) -> dict[str, Any]:
        """Return the hours of this number of seeds; `devices` is the number of GPUs, or CPUs, that a trial takes."""
        if self.seconds is None or seeds is None:
            return {"device_hours": None, "wall_hours": None}
        hours = self.seconds * seeds / 3600
        return {"device_hours": hours * devices, "wall_hours": hours / self.at_once}

    def text(self, seeds: int) -> str:
        if self.seconds is None:
            return "of unknown duration on this machine"
        total = self.seconds * seeds
        return (
            f"about {format_duration(total)} of training, {format_duration(total / self.at_once)} elapsed with "
            f"{self.at_once} in parallel"
        )


def as_json(found: Sensitivity, cost: Cost, devices: float) -> dict[str, Any]:
    """Return plain data. Errors, differences and margins are fractions."""
    return {
        "power": POWER,
        "planned": found.planned,
        "test": found.study.planned.test,
        "expected": {
            measure.name: {
                "error": (error := expected.error_of(found.study.control)),
                "std": expected.std(error),
                "std_is_sampling": expected.sampled(error),
                "correlation": expected.correlation,
                "images": expected.images,
                "source": expected.source,
            }
            for measure, expected in found.expected.items()
        },
        "not_forecast": {measure.name: number for measure, number in found.unknown.items()},
        "comparisons": [
            {
                **_asked(row.asked),
                "error": row.error,
                "seeds": row.seeds,
                "level": row.level,
                "smallest": row.smallest,
                "power": row.power,
                "obstacle": row.obstacle,
            }
            for row in found.rows
        ],
        "needed": [
            {
                **_asked(need.asked),
                "wanted": need.wanted,
                "seeds": need.seeds,
                "trials": need.trials,
                **cost.as_json(need.seeds, devices),
            }
            for need in found.needs
        ],
        "warnings": found.warnings,
    }


def _asked(asked: Asked) -> dict[str, Any]:
    return {**vars(asked), "arms": list(asked.arms), "measure": asked.measure.name}


def blocks(found: Sensitivity, cost: Cost) -> list[Block]:
    """Return the table of what can be shown, its basis, the seeds needed and warnings; empty without comparisons."""
    headings = ("arm", "versus", "measure", "question", "seeds", "level", f"{POINTS * POWER:.0f} % power at", "power")
    table = Grid(
        "What the seeds can show",
        headings,
        headings[4:],
        [_cells(row, found) for row in found.rows],
        notes=_notes(found),
    )
    needs = [_need(found, need, cost) for need in found.needs]
    lines = [*_unknown(found), *needs, *(f"warning: {each}" for each in found.warnings)]
    return [*([table.without_empty_columns()] if found.rows else []), *([Text(lines)] if lines else [])]


def _unknown(found: Sensitivity) -> list[str]:
    """Return which comparisons are not forecast, and why."""
    data = found.study.dataset.name
    return [
        f"not forecast: {number} comparison{'s' * (number > 1)} of {measure.words}, "
        + (
            f"whose spread on data set {data!r} is unknown; name a run on it with --from DIR"
            if measure.split
            else "which is no share of images"
        )
        for measure, number in found.unknown.items()
    ]


def _cells(row: Row, found: Sensitivity) -> list[Cell]:
    asked, wanted = row.asked, found.wanted
    # As in most studies, there is only one.
    measure = asked.measure.words if len(found.expected) > 1 else ""
    arms = asked.arms[0] if len(asked.arms) == 1 else f"{len(asked.arms)} arms"
    smallest = "none" if row.smallest is None else f"{POINTS * row.smallest:.2f} points"
    power = "" if row.power is None else f"{POINTS * row.power:.0f} %"
    return [
        Cell(text)
        for text in (
            *(arms, asked.versus, measure, _question(asked, wanted)),
            *(f"{row.seeds}", f"{row.level:.2g}", smallest, power),
        )
    ]


def _question(asked: Asked, wanted: float | None) -> str:
    if asked.question == "difference":
        return "a difference" if wanted is None else f"a difference of {POINTS * wanted:.2f} points"
    shown = {"no_worse": "no worse by", "equivalent": "equivalent within"}[asked.question]
    return f"{shown} {POINTS * (asked.margin or 0):.2f} points"


def _notes(found: Sensitivity) -> list[str]:
    planned = found.study.planned
    which = "planned comparisons" if found.planned else "comparisons of all arms with the baseline: none is planned"
    shares = f", shared by {len(found.study.analyses)} analyses" if len(found.study.analyses) > 1 else ""
    alpha = f"alpha {planned.alpha:g} {planned.adjustment.holds}{shares}"
    return [
        f"{TESTS[planned.test].label}, {alpha}; {found.family} {which}",
        *(_expected(measure, each, each.error_of(found.study.control)) for measure, each in found.expected.items()),
        "the power for a difference is that for an arm with a larger error, and for a margin that for an equal error",
    ]


def _expected(measure: Measure, expected: Expected, error: float) -> str:
    images, over_seeds = f"{expected.images:,} images", expected.spread * error * (1 - error)
    sampling = f"sampling {images} alone gives {POINTS * expected.std(error):.2f}, which counts"
    return "; ".join(
        [
            f"expected: a {measure.words} of {POINTS * error:.2f} %, with a standard deviation over seeds of "
            f"{POINTS * over_seeds:.2f} points, as of {expected.source}",
            *([sampling] if expected.sampled(error) else []),
            *([f"arms correlate over seeds by {expected.correlation:.2f}"] if expected.correlation else []),
        ]
    )


def _need(found: Sensitivity, need: Need, cost: Cost) -> str:
    asked, points = need.asked, f"{POINTS * need.wanted:.2f}"
    what = {
        "difference": f"a difference of {points} points from {asked.versus}",
        "no_worse": f"an arm no worse than {asked.versus} by {points} points",
        "equivalent": f"an arm equivalent to {asked.versus} within {points} points",
    }[asked.question]
    if need.seeds is None or need.trials is None:
        return f"{what}: more than {MAX_SEEDS:,} seeds are needed"
    most = "at most " if found.study.adaptive else ""
    return f"{what}: {need.seeds} seeds are needed, {most}{need.trials:,} trials, {cost.text(need.seeds)}"
