"""The figure of signal propagation: probes of an ablation's trials, averaged over seeds, by unit and by time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING

import numpy as np

from ablations.run import AblationRun
from reports.document.arm_figures import drawn, drawn_arms_note
from reports.figures import lines
from reports.figures.lines import Trace
from reports.page import Picture
from search.trials.events import Probe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNALS = {
    "gradient": "gradient norm at the unit's input",
    "product": "product of shortcut gains",
    "variance": "variance of the unit's output",
    "dead": "dead ReLUs, %",
}
MOST_TIMES = 4
"""The most times of the training in the figure of signals."""


def propagation(run: AblationRun) -> list[Picture]:
    """Return the figure of signals by unit, at the times of the training at which they were measured."""
    if not any(math.isfinite(value) for found in _signals(run).values() for value in _numbers(found)):
        return []
    epochs = sorted({probe.epoch for probe in run.probes})
    times = [*map(_when, _times(run))]
    left_out = "" if len(times) == len(epochs) else f" {len(times)} of {len(epochs)} times are drawn."
    when = " and ".join(times) if len(times) < 3 else ", ".join(times)
    caption = (
        f"Signal propagation {when}, from the first residual unit "
        "to the last: gradient norm at the unit's input, product of shortcut gains up to the unit, variance of the "
        f"unit's output, and percentage of dead ReLUs.{left_out}"
    )
    return [Picture("propagation", partial(_draw_propagation, run), caption + drawn_arms_note(run))]


def _when(epoch: int) -> str:
    return "at initialisation" if epoch == 0 else f"after epoch {epoch}"


def _times(run: AblationRun) -> list[int]:
    """Return the epochs that are drawn: the first, the last, and some between them."""
    epochs = sorted({probe.epoch for probe in run.probes})
    if len(epochs) <= MOST_TIMES:
        return epochs
    return [epochs[round(step * (len(epochs) - 1) / (MOST_TIMES - 1))] for step in range(MOST_TIMES)]


Signals = dict[str, dict[str, list[Trace]]]
"""Traces by signal and time, both in words."""


def _signals(run: AblationRun) -> Signals:
    """Return each arm's mean over seeds: the geometric mean for signals that span several orders of magnitude."""
    setups = {record.key: record.setup for record in run.records}
    panels: Signals = {heading: {} for heading in SIGNALS.values()}
    for epoch in _times(run):
        by_setup: dict[str, list[Probe]] = {}
        for probe in run.probes:
            if probe.epoch == epoch and probe.key in setups:
                by_setup.setdefault(setups[probe.key], []).append(probe)
        for arm, index in drawn(run).items():
            for name, values in signals(by_setup.get(run.setups[arm].key, [])).items():
                trace = Trace(arm, index, list(range(1, len(values) + 1)), values)
                panels[SIGNALS[name]].setdefault(_when(epoch), []).append(trace)
    return panels


def _numbers(by_time: Mapping[str, Sequence[Trace]]) -> Iterator[float]:
    yield from (value for traces in by_time.values() for trace in traces for value in trace.value)


def _draw_propagation(run: AblationRun, width: float) -> Figure:
    return lines.propagation(_signals(run), width=width)


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
