"""The figures of an ablation: its run converted to the plain data that figures are drawn from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from ablations.findings import Finding
from ablations.published import Published
from ablations.run import AblationRun
from reports.figures import complexity, differences, lines, published_results
from reports.figures.complexity import Place
from reports.figures.differences import Bar
from reports.figures.lines import Curve
from reports.figures.palette import PALETTE
from reports.figures.published_results import Known
from reports.names import against, quoted
from reports.page import Picture
from search.fronts.dominance import nondominated
from search.measures.catalogue import MEASURES, Measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DRAWN = len(PALETTE)
"""The most arms in one figure: each has a colour of its own."""
DIFFERENT = 1.25
"""Costs of arms are compared with their errors if the greatest is at least this many times the least."""


def forests(run: AblationRun) -> list[Picture]:
    """Return a figure of all differences for each measure, by size; none before two arms have results."""
    measures = run.study.planned.measures
    return [_forest(run, measure) for measure in measures if any(map(has_number, _by(run, measure)))]


def has_number(found: Finding) -> bool:
    return found.difference.delta is not None


def by_size(found: Iterable[Finding]) -> list[Finding]:
    """Return comparisons from the arm with the lowest values to the one with the highest; last those without."""
    return sorted(found, key=lambda each: math.inf if each.difference.delta is None else each.difference.delta)


def _by(run: AblationRun, measure: Measure) -> list[Finding]:
    index = drawn(run)
    return by_size(found for found in run.findings if found.measure == measure and found.arm in index)


def _forest(run: AblationRun, measure: Measure) -> Picture:
    caption = (
        f"Difference of each arm from {quoted(run.study.control)} in {measure.words}, in {unit_of(measure)}, with its "
        "interval. Filled: resolved; hollow: not resolved."
        + (" Thin: the interval over seeds and images, on images like the test images." if _thin(run, measure) else "")
        + drawn_arms_note(run)
    )
    stem = "differences" if measure == run.study.measure else f"differences-{stem_of(measure)}"
    return Picture(stem, partial(_draw_forest, run, measure), caption, _forest_in_words(run, measure))


def unit_of(measure: Measure) -> str:
    """Return the unit of differences in words."""
    return "percentage points" if measure.percent else measure.unit


def stem_of(measure: Measure) -> str:
    """Return the part of a file's name that names a measure."""
    return measure.name.replace("_", "-").replace(".", "-")


def _draw_forest(run: AblationRun, measure: Measure, width: float) -> Figure:
    index = drawn(run)
    bars = [
        Bar(
            arm=found.arm if found.versus == run.study.control else against(found.arm, found.versus),
            index=index[found.arm],
            delta=found.difference.delta,
            low=found.difference.low,
            high=found.difference.high,
            resolved=found.resolved,
            planned=found.planned,
            note="" if found.difference.delta is not None else found.verdict,
            low_images=both.low_images if (both := run.image_interval(found)) else None,
            high_images=both.high_images if both else None,
        )
        for found in _by(run, measure)
    ]
    return differences.forest(
        bars,
        width=width,
        baseline=_compared_with(run, measure),
        level=_level(run, measure),
        margin=run.study.planned.equivalent_within if measure.split else None,
        measure=measure.words,
        unit=unit_of(measure),
        times=100 if measure.percent else 1,
    )


def _compared_with(run: AblationRun, measure: Measure) -> str:
    others = any(found.versus != run.study.control for found in _by(run, measure))
    return quoted(run.study.control) + " or of the arm named" * others


def _level(run: AblationRun, measure: Measure) -> float | None:
    """Return the baseline's mean of a measure that is a fraction, if all differences are from the baseline."""
    (control,) = (arm for arm in run.summaries if arm.arm == run.study.control)
    values = control.values(measure)
    if not measure.percent or not values or any(found.versus != run.study.control for found in _by(run, measure)):
        return None
    return fmean(values)


def _forest_in_words(run: AblationRun, measure: Measure) -> str:
    """Return a text alternative of the figure of differences."""
    return "; ".join(f"{quoted(found.arm)}: {_span(found)}{_images(run, found)}" for found in _by(run, measure))


def _thin(run: AblationRun, measure: Measure) -> bool:
    return any(run.image_interval(found) for found in _by(run, measure))


def _images(run: AblationRun, found: Finding) -> str:
    both = run.image_interval(found)
    if both is None:
        return ""
    low, high = (found.measure.signed(end) for end in (both.low_images, both.high_images))
    return f" (on images like these from {low} to {high})"


def _span(found: Finding) -> str:
    seen = found.difference
    if seen.delta is None:
        return found.verdict
    delta = f"{found.measure.signed(seen.delta)} {found.measure.difference_unit}"
    if seen.low is None or seen.high is None:
        return delta
    return f"{delta}, from {found.measure.signed(seen.low)} to {found.measure.signed(seen.high)}"


CURVES = {"validation_error": MEASURES["validation_error"]} | {
    measure.curve: measure for measure in MEASURES.values() if measure.curve
}
"""The measures that are drawn by epoch, by their column of epochs."""


def curves(run: AblationRun) -> list[Picture]:
    """Return a figure of the validation error by epoch, and one of each further curve that the study's measures are of.

    None before the first epoch has finished.
    """
    if not len(run.curves):
        return []
    columns = dict.fromkeys(["validation_error", *(each.curve for each in run.study.shown_measures if each.curve)])
    pictures = []
    for column in columns:
        if not run.curves[column].notna().any():
            continue
        stem = "curves" if column == "validation_error" else f"curves-{stem_of(CURVES[column])}"
        caption = f"{CURVES[column].words.capitalize()} by epoch: mean over seeds, with a band from minimum to maximum."
        pictures.append(Picture(stem, partial(_draw_curves, run, column), caption + drawn_arms_note(run)))
    return pictures


def _draw_curves(run: AblationRun, column: str, width: float) -> Figure:
    trained = {record.key: record.setup for record in run.records}
    frame = run.curves.assign(setup=run.curves["key"].map(trained)).dropna(subset="setup")
    stages = frame.groupby(["setup", "epoch"])[column].agg(["mean", "min", "max"])
    found = []
    for arm, index in drawn(run).items():
        key = run.setups[arm].key
        if key in stages.index.get_level_values("setup"):
            by_epoch = stages.loc[key]
            columns = [by_epoch[name].tolist() for name in ("mean", "min", "max")]
            found.append(Curve(arm, index, [int(epoch) for epoch in by_epoch.index], *columns))
    return lines.curves(found, measure=CURVES[column].heading, width=width)


def error_against_macs(run: AblationRun, published: Sequence[Published] = ()) -> Picture | None:
    """Return the figure of test errors against MACs, with published results in the background.

    None before the first finished trial, and if the arms cost almost the same: their MACs are in the table of arms.
    """
    costs = [macs for macs, _ in _measured(run)]
    if not costs or not (published or max(costs) >= DIFFERENT * min(costs)):
        return None
    caption = (
        "Test error against MACs. Bars: standard deviation over seeds; step line: the Pareto front."
        + drawn_arms_note(run)
        + published_results.sentence(published, "macs", _measured(run), run.study.dataset.name)
    )
    return Picture("complexity", partial(_draw_complexity, run, published_results.known(published, "macs")), caption)


def _measured(run: AblationRun) -> list[tuple[float, float]]:
    """Return (MACs, test error) of each arm in the figure of complexity."""
    index = drawn(run)
    return [(arm.macs, arm.mean) for arm in run.summaries if arm.mean is not None and arm.arm in index]


def _draw_complexity(run: AblationRun, published: Sequence[Known], width: float) -> Figure:
    index = drawn(run)
    arms = [arm for arm in run.summaries if arm.mean is not None and arm.arm in index]
    values = np.array([(arm.mean, arm.macs) for arm in arms], dtype=float).reshape(-1, 2)
    front = nondominated(values)
    return complexity.complexity(
        [
            Place(arm.arm, index[arm.arm], arm.macs, arm.mean, arm.std, bool(on))
            for arm, on in zip(arms, front, strict=True)
            if arm.mean is not None
        ],
        published=published,
        width=width,
    )


def indices(run: AblationRun) -> dict[str, int]:
    """Return each arm's index, which links figures to rows of tables: first those of `drawn`, in table order."""
    shown = drawn(run)
    others = (arm.arm for arm in run.summaries if arm.arm not in shown)
    return shown | {arm: place for place, arm in enumerate(others, len(shown))}


def drawn(run: AblationRun) -> dict[str, int]:
    """Return the arms that figures show, with their indices, in the order of the table of arms.

    If there are more than `MOST_DRAWN`: the baseline, then arms of planned comparisons, then those that differ most.
    """
    names = [arm.arm for arm in run.summaries]
    if len(names) > MOST_DRAWN:
        ranked = sorted(run.findings, key=lambda found: (not found.planned, -abs(found.difference.delta or 0.0)))
        chosen = list(dict.fromkeys([run.study.control, *(found.arm for found in ranked)]))[:MOST_DRAWN]
        names = sorted(chosen, key=names.index)
    return {arm: place for place, arm in enumerate(names)}


def drawn_arms_note(run: AblationRun) -> str:
    """Return the sentence for captions that says which arms are drawn; empty if all are."""
    if len(run.summaries) <= MOST_DRAWN:
        return ""
    number = f"{MOST_DRAWN} of {len(run.summaries)}"
    return f" {number} arms are drawn: the baseline, planned comparisons, and the arms that differ most."
