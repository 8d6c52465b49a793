"""The figures of an ablation: its run converted to the plain data that figures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING

import numpy as np

from ablations.findings import Finding
from ablations.published import Published
from ablations.run import AblationRun
from reports.figures import complexity, differences, lines, published_results
from reports.figures.complexity import Place
from reports.figures.differences import Bar
from reports.figures.lines import Curve, Trace
from reports.figures.published_results import Known
from reports.page import Picture
from search.fronts.dominance import nondominated
from search.measures.catalogue import MEASURES, Measure
from search.trials.events import Probe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DRAWN = 30
"""The most arms in one figure; readers cannot distinguish more."""

SIGNALS = {
    "gradient": "gradient norm at the unit's input",
    "product": "product of shortcut gains up to the unit",
    "variance": "variance of the unit's output",
    "dead": "dead ReLUs, %",
}


def forests(run: AblationRun) -> list[Picture]:
    """Return a figure of all differences for each measure, planned comparisons first; none for a study of one arm."""
    return [_forest(run, measure) for measure in run.study.planned.measures if _by(run, measure)]


def _by(run: AblationRun, measure: Measure) -> list[Finding]:
    return [found for found in run.findings if found.measure == measure]


def _forest(run: AblationRun, measure: Measure) -> Picture:
    caption = (
        f"Difference of each arm from {run.study.control} in {measure.words}, in {unit_of(measure)}, with its "
        "interval. Filled: resolved; hollow: not resolved."
        + (" Thin: the interval over seeds and images, on images like the test images." if _thin(run, measure) else "")
        + _drawn_arms_note(run)
    )
    stem = "differences" if measure == run.study.measure else f"differences-{stem_of(measure)}"
    return Picture(stem, partial(_draw_forest, run, measure), caption, _forest_in_words(run, measure))


def unit_of(measure: Measure) -> str:
    """Return the unit of differences in words."""
    return "percentage points" if measure.percent else measure.unit


def stem_of(measure: Measure) -> str:
    """Return the part of a file's name that names a measure."""
    return measure.name.replace("_", "-").replace(".", "-")


def _draw_forest(run: AblationRun, measure: Measure) -> Figure:
    index = drawn(run)
    bars = [
        Bar(
            arm=found.arm if found.versus == run.study.control else f"{found.arm} against {found.versus}",
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
        if found.arm in index
    ]
    return differences.forest(
        bars,
        baseline=run.study.control,
        margin=run.study.planned.equivalent_within if measure.split else None,
        measure=measure.words,
        unit=unit_of(measure),
        times=100 if measure.percent else 1,
    )


def _forest_in_words(run: AblationRun, measure: Measure) -> str:
    """Return a text alternative of the figure of differences."""
    index = drawn(run)
    rows = [f"{found.arm}: {_span(found)}{_images(run, found)}" for found in _by(run, measure) if found.arm in index]
    return "; ".join(rows) or "no comparison"


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
        stem = "curves" if column == "validation_error" else f"curves-{stem_of(CURVES[column])}"
        caption = f"{CURVES[column].words.capitalize()} by epoch: mean over seeds, with a band from minimum to maximum."
        pictures.append(Picture(stem, partial(_draw_curves, run, column), caption + _drawn_arms_note(run)))
    return pictures


def _draw_curves(run: AblationRun, column: str) -> Figure:
    trained = {record.key: record.architecture for record in run.records}
    frame = run.curves.assign(net=run.curves["key"].map(trained)).dropna(subset="net")
    stages = frame.groupby(["net", "epoch"])[column].agg(["mean", "min", "max"])
    found = []
    for arm, index in drawn(run).items():
        key = run.nets[arm].key
        if key in stages.index.get_level_values("net"):
            by_epoch = stages.loc[key]
            columns = [by_epoch[name].tolist() for name in ("mean", "min", "max")]
            found.append(Curve(arm, index, [int(epoch) for epoch in by_epoch.index], *columns))
    return lines.curves(found, measure=CURVES[column].heading)


def error_against_macs(run: AblationRun, published: Sequence[Published] = ()) -> Picture | None:
    """Return the figure of test errors against MACs, with published results in the background.

    None before the first finished trial.
    """
    if not any(arm.n for arm in run.summaries):
        return None
    caption = (
        "Test error against MACs. Bars: standard deviation over seeds; step line: the Pareto front."
        + _drawn_arms_note(run)
        + published_results.sentence(published, "macs", _measured(run), run.study.dataset.name)
    )
    return Picture("complexity", partial(_draw_complexity, run, published_results.known(published, "macs")), caption)


def _measured(run: AblationRun) -> list[tuple[float, float]]:
    """Return (MACs, test error) of each arm in the figure of complexity."""
    index = drawn(run)
    return [(arm.macs, arm.mean) for arm in run.summaries if arm.mean is not None and arm.arm in index]


def _draw_complexity(run: AblationRun, published: Sequence[Known]) -> Figure:
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
    )


def propagation(run: AblationRun) -> list[Picture]:
    """Return one figure of signals by unit for each epoch after which they were measured."""
    pictures = []
    for epoch in sorted({probe.epoch for probe in run.probes}):
        when = "at initialisation" if epoch == 0 else f"after epoch {epoch}"
        caption = (
            f"Signal propagation {when}, from the first residual unit to the last: gradient norm at the unit's input, "
            "product of shortcut gains up to the unit, variance of the unit's output, and percentage of dead ReLUs."
        )
        pictures.append(Picture(f"propagation-{epoch}", partial(_draw_propagation, run, epoch), caption))
    return pictures


def _draw_propagation(run: AblationRun, epoch: int) -> Figure:
    """Draw each arm's mean over seeds: the geometric mean for signals that span several orders of magnitude."""
    by_net: dict[str, list[Probe]] = {}
    nets = {record.key: record.architecture for record in run.records}
    for probe in run.probes:
        if probe.epoch == epoch and probe.key in nets:
            by_net.setdefault(nets[probe.key], []).append(probe)
    panels: dict[str, list[Trace]] = {heading: [] for heading in SIGNALS.values()}
    for arm, index in drawn(run).items():
        for name, values in signals(by_net.get(run.nets[arm].key, [])).items():
            panels[SIGNALS[name]].append(Trace(arm, index, list(range(1, len(values) + 1)), values))
    return lines.propagation(panels)


def signals(probes: list[Probe]) -> Mapping[str, list[float]]:
    """Return one value per residual unit for each signal, averaged over seeds; NaN if no seed has a value."""
    if not probes:
        return {}

    def over_seeds(name: str, *, logarithmic: bool = False) -> list[float]:
        table = np.array([getattr(probe, name) for probe in probes], dtype=float)
        known = np.isfinite(table)
        with np.errstate(divide="ignore"):
            scaled = np.log(table) if logarithmic else table
        sums = np.where(known, scaled, 0).sum(axis=0)
        means = np.divide(sums, known.sum(axis=0), out=np.full(len(sums), np.nan), where=known.any(axis=0))
        return [float(value) for value in (np.exp(means) if logarithmic else means)]

    gains = over_seeds("gain")
    return {
        "gradient": over_seeds("gradient", logarithmic=True),
        "product": list(accumulate(gains, mul)),
        "variance": over_seeds("variance", logarithmic=True),
        "dead": over_seeds("dead"),
    }


def indices(run: AblationRun) -> dict[str, int]:
    """Return each arm's index in the table of arms, which links figures to table rows."""
    return {arm.arm: place for place, arm in enumerate(run.summaries)}


def drawn(run: AblationRun) -> dict[str, int]:
    """Return the arms that figures show, with their indices in the table of arms.

    If there are more than `MOST_DRAWN`: the baseline, then arms of planned comparisons, then those that differ most.
    """
    places = indices(run)
    if len(places) <= MOST_DRAWN:
        return places
    ranked = sorted(run.findings, key=lambda found: (not found.planned, -abs(found.difference.delta or 0.0)))
    chosen = dict.fromkeys([run.study.control, *(found.arm for found in ranked)])
    return {arm: places[arm] for arm in sorted(list(chosen)[:MOST_DRAWN], key=places.__getitem__)}


def _drawn_arms_note(run: AblationRun) -> str:
    """Return the sentence for captions that says which arms are drawn; empty if all are."""
    if len(run.summaries) <= MOST_DRAWN:
        return ""
    number = f"{MOST_DRAWN} of {len(run.summaries)}"
    return f" {number} arms are drawn: the baseline, planned comparisons, and the arms that differ most."
