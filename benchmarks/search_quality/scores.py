"""From what each repetition has trained to medians, their bands, and the evaluations until random search is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search_quality.table import Floats, Table

AT = (10, 20, 40, 80, 120)
"""Evaluations at which results are reported and compared."""
RESAMPLES = 1000
LEVEL = (2.5, 97.5)
"""The percentiles of a band of 95 %."""
RANDOM = "random"
OURS = ("local", "local+mo_asha")
"""The methods of ours that all others are compared with."""


@dataclass(frozen=True)
class Trained:
    """A network that was trained completely, and the epochs that the method had used by then."""

    key: str
    epochs: int


def trace(table: Table, trained: Sequence[Trained], scale: str, trials: int) -> Floats:
    """Return the hypervolume after 1, 2, ... evaluations, shape (trials,); an evaluation is a training's epochs."""
    shares = np.concatenate([[0.0], table.share([each.key for each in trained], scale)])
    used = [each.epochs for each in trained]
    return shares[np.searchsorted(used, np.arange(1, trials + 1) * table.epochs, side="right")]


def steps(trace: Floats) -> list[list[float]]:
    """Return a trace as its steps, [evaluations, hypervolume] wherever it increases: a tenth of the numbers."""
    rises = np.flatnonzero(np.diff(trace.round(5), prepend=0.0))
    return [[int(at) + 1, round(float(trace[at]), 5)] for at in rises]


def unpacked(rows: Sequence[Sequence[Sequence[float]]], trials: int) -> Floats:
    """Return the traces of repetitions given as steps, shape (repetitions, trials)."""
    found = np.zeros((len(rows), trials))
    for trace, row in zip(found, rows, strict=True):
        for at, value in row:
            trace[int(at) - 1 :] = value
    return found


def summary(rows: Mapping[str, Floats]) -> dict[str, dict[str, Any]]:
    """Return the scores of each method, from traces of shape (repetitions, trials) on one table and scale.

    `after`: low, median, high after some evaluations, a bootstrap's band of the median. `reaches`: the same for the
    evaluations until the median is that of random search at the end; None if it does not get there. `worse`: for each
    of ours, the evaluations in `AT` at which ours is below this method, and the band of the difference is below 0.
    """
    rng = np.random.default_rng(0)
    medians = {name: _medians(traces, rng) for name, traces in rows.items()}
    found: dict[str, dict[str, Any]] = {}
    for name, traces in rows.items():
        trials = traces.shape[1]
        at = [n for n in AT if n <= trials]
        middle = np.median(traces, axis=0)
        bands = np.percentile(medians[name], LEVEL, axis=0)
        found[name] = {
            "repetitions": len(traces),
            "after": {str(n): [round(float(x[n - 1]), 4) for x in (bands[0], middle, bands[1])] for n in at},
        }
        if RANDOM in rows:
            goals = medians[RANDOM][:, -1]
            own = _first(middle[None], np.median(rows[RANDOM], axis=0)[-1:])[0]
            low, high = np.percentile(_first(medians[name], goals), LEVEL)
            found[name]["reaches"] = [
                each if each <= trials else None for each in (int(low), int(own), int(np.ceil(high)))
            ]
        found[name]["worse"] = {
            ours: [n for n in at if np.percentile(medians[ours][:, n - 1] - medians[name][:, n - 1], LEVEL[1]) < 0]
            for ours in OURS
            if ours in rows and ours != name
        }
    return found


def _medians(traces: Floats, rng: np.random.Generator) -> Floats:
    """Return the medians of resampled repetitions, shape (RESAMPLES, trials)."""
    drawn = rng.integers(len(traces), size=(RESAMPLES, len(traces)))
    return np.median(traces[drawn], axis=1)


def _first(traces: Floats, goals: Floats) -> Floats:
    """Return for each trace the number of evaluations at which it reaches its goal, or one more than all of them."""
    reached = traces >= goals[:, None] - 1e-9
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, traces.shape[1] + 1)
