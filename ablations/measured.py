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


Curves = Mapping[str, "pd.DataFrame"]
"""The epochs of each trial, in order, by key."""


def by_trial(curves: pd.DataFrame) -> Curves:
    """Return the rows of `Store.curves()` by trial: looking for each trial in all rows takes long for many arms."""
    return {str(key): rows for key, rows in curves.sort_values(["key", "epoch"]).groupby("key")}


def measured(measure: Measure, trials: Iterable[TrialRecord], curves: Curves) -> Measured:
    """Return a measure of those of some trials that are complete; each trial has its own seed.

    A trial without the value is left out, such as the top-5 error of one that an earlier version stored. `curves` are
    only needed for measures of epochs.
    """
    complete = {trial.key: trial for trial in trials if trial.status == "complete"}
    if measure.source != "epochs":
        found = {trial.seed: getattr(trial, measure.column) for trial in complete.values()}
        return Measured({seed: value for seed, value in found.items() if value is not None})
    values, beyond = {}, {}
    for key, trial in complete.items():
        if key not in curves:
            continue
        seed, epochs = trial.seed, curves[key]
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
