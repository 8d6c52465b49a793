"""The values of a measure for an arm's trials, by seed, and which of them are censored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from search.measures.catalogue import Measure
from search.trials.record import TrialRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measured:
    """One measure of complete trials, by seed."""

    values: Mapping[int, float] = field(default_factory=dict)
    beyond: Mapping[int, float] = field(default_factory=dict)
    """Of censored trials, the least value that is possible: one that has not reached an error in 30 epochs needs at
    least 31."""


def measured(measure: Measure, trials: Iterable[TrialRecord], curves: pd.DataFrame | None) -> Measured:
    """Return a measure of those of some trials that are complete; each trial has its own seed.

    A trial without the value is left out, such as the top-5 error of one that an earlier version stored. `curves` is
    `Store.curves()`; it is only needed for measures of epochs.
    """
    complete = {trial.key: trial for trial in trials if trial.status == "complete"}
    if measure.source != "epochs":
        found = {trial.seed: getattr(trial, measure.column) for trial in complete.values()}
        return Measured({seed: value for seed, value in found.items() if value is not None})
    assert curves is not None, measure.name
    values, beyond = {}, {}
    for key, rows in curves[curves["key"].isin(complete)].groupby("key"):
        seed, epochs = complete[str(key)].seed, rows.sort_values("epoch")
        column = epochs["seconds"].cumsum() if measure.column == "elapsed" else epochs[measure.column]
        if measure.until is None:
            values[seed] = float(column.iloc[-1])
            continue
        watched, error = measure.until
        reached = column[epochs[watched] <= error]
        if len(reached):
            values[seed] = float(reached.iloc[0])
        else:
            # Of whole epochs, the next one is the least that is possible.
            beyond[seed] = float(column.iloc[-1]) + measure.step
    return Measured(values, beyond)
