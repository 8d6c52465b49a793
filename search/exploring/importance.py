"""Which axes of a space an objective depends on: permutation importance of a random forest over the trials."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from resnet_space.axes import Axis, Choices
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError, unknown
from resnet_space.fields import governs
from search.samplers.forests import answers
from search.samplers.sampler import AnySpace

MIN_TRIALS = 20
"""With fewer different assignments that have a value, no importance is computed."""
MAX_TRIALS = 1000
"""From more trials with a value, this number is drawn. More would change no share by more than its std, and take
minutes."""
FOLDS = 5
TREES = 100
ABSENT = "absent"
"""The value of an axis that does not count. It differs from every other value: in JSON a word has quotes."""

Matrix = NDArray[np.float64]


def importance(
    space: AnySpace,
    assignments: Sequence[Assignment],
    values: Mapping[str, Sequence[float]],
    *,
    seed: int = 0,
    repeats: int = 10,
) -> pd.DataFrame:
    """Return one row per axis and objective: axis, objective, importance, std, r2, reason.

    importance_a = max(0, mean over `repeats` of (MSE with axis a permuted) - MSE), divided by the sum over the axes;
    std over the repeats, divided by the same sum. MSE is that of a forest on trials that it was not trained on
    (`FOLDS`-fold cross-validation, trials of the same assignment in the same fold), so an axis without effect has an
    importance of about 0 even if the forest overfits it. r2 = 1 - MSE / variance is that of the same forest. It is in
    every row, because importances from a forest that explains nothing mean nothing: with r2 <= 0, fewer than
    `MIN_TRIALS` different assignments, or an objective that does not vary, importance and std are NaN and `reason`
    says why.

    An axis that does not count has the value "absent". A conditional axis (a gate's bias) is permuted among the trials
    in which it counts, but the error is over all trials: an axis that counts in a tenth of the trials explains little
    of the total. If other axes depend on the permuted axis, they follow it: an axis that no longer counts becomes
    absent, one that starts to count takes the value of another trial. So every permuted trial is an assignment of the
    space, and an absent bias does not reveal the kind of its shortcut.

    From more than `MAX_TRIALS` trials, this number is drawn by `seed`; objectives with values in the same trials get
    the same draw. `values` has one number per assignment; numbers that are not finite are left out. Correlated axes
    share their importance. Breiman 2001, "Random Forests", Machine Learning 45, section 10; held-out data as in
    Fisher, Rudin and Dominici 2019, 1801.01489.

    Raises:
        InputError: a drawn assignment is not of the space, the numbers of values and assignments differ, or
            `repeats` is below 1.
    """
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, not {repeats}")
    for name, column in values.items():
        if len(column) != len(assignments):
            raise InputError(f"values.{name}: {len(column)} values for {len(assignments)} assignments; give one each")
    parts = [record for name in values for record in _explain(space, assignments, name, values[name], seed, repeats)]
    return pd.DataFrame(parts, columns=["axis", "objective", "importance", "std", "r2", "reason"])


def _explain(
    space: AnySpace, assignments: Sequence[Assignment], name: str, column: Sequence[float], seed: int, repeats: int
) -> list[dict[str, Any]]:
    """Return one record per axis, for one objective."""
    y = np.asarray(column, dtype=np.float64)
    taken = np.flatnonzero(np.isfinite(y))
    if len(taken) > MAX_TRIALS:
        taken = taken[sorted(Random(seed).sample(range(len(taken)), MAX_TRIALS))]
    rows, y = [_of_space(space, assignments[int(i)]) for i in taken], y[taken]
    mean, std, r2, reason = _measured(space, rows, y, seed, repeats)
    return [
        {"axis": axis, "objective": name, "importance": mean[i], "std": std[i], "r2": r2, "reason": reason}
        for i, axis in enumerate(space.axes)
    ]


def _measured(
    space: AnySpace, rows: list[Assignment], y: Matrix, seed: int, repeats: int
) -> tuple[Matrix, Matrix, float, str]:
    """Return importance and std by axis, r2, and the reason if importances are NaN, else ""."""
    none = np.full(len(space.axes), np.nan)
    x = _encoded(space, rows)
    distinct, same = np.unique(x, axis=0, return_inverse=True) if rows else (x, np.zeros(0, dtype=int))
    if len(distinct) < MIN_TRIALS:
        return none, none, math.nan, f"{len(distinct)} different assignments with a value, of {MIN_TRIALS} needed"
    if math.isclose(y.min(), y.max()):
        return none, none, math.nan, "the same value everywhere"
    rng = np.random.default_rng(seed)
    fold = (rng.permutation(len(distinct)) % FOLDS)[same]
    forests = [
        RandomForestRegressor(TREES, random_state=seed, n_jobs=1).fit(x[fold != k], y[fold != k]) for k in range(FOLDS)
    ]

    def losses(changed: Matrix) -> Matrix:
        """Return the MSE of each table of a stack of shape (tables, rows, columns)."""
        guess = np.empty(changed.shape[:2])
        for k, forest in enumerate(forests):
            held = changed[:, fold == k]
            guess[:, fold == k] = answers(forest, held.reshape(-1, x.shape[1])).mean(axis=0).reshape(held.shape[:2])
        found: Matrix = np.square(guess - y).mean(axis=1)
        return found

    loss = losses(x[None])[0]
    r2 = float(1 - loss / y.var())
    if r2 <= 0:
        return none, none, r2, f"the forest explains nothing: R² {r2:.2f} on trials that it has not seen"
    rises = np.array([losses(_permuted(space, rows, x, axis, repeats, rng)) - loss for axis in space.axes])
    mean = rises.mean(axis=1).clip(min=0)
    if not mean.sum():
        return none, none, r2, "no axis raises the error when it is permuted"
    return mean / mean.sum(), rises.std(axis=1) / mean.sum(), r2, ""


def _permuted(
    space: AnySpace, rows: list[Assignment], x: Matrix, axis: str, repeats: int, rng: np.random.Generator
) -> Matrix:
    """Return `repeats` encoded tables, in which the axis is permuted among the rows where it counts."""
    changed = np.repeat(x[None], repeats, axis=0)
    counts = np.array([i for i, row in enumerate(rows) if axis in row], dtype=int)
    if any(axis in space.when.get(other, {}) or governs(axis, other) for other in space.axes):
        pools = {path: [row[path] for row in rows if path in row] for path in space.axes}
        for table in changed:
            donors = rng.permutation(counts)
            exchanged = [
                space.suggest(partial(_value, rows[i] | {axis: rows[j][axis]}, pools, rng))
                for i, j in zip(counts, donors, strict=True)
            ]
            table[counts] = _encoded(space, exchanged)
    else:
        columns = _columns(space)[axis]
        for table in changed:
            table[counts, columns] = x[rng.permutation(counts), columns]
    return changed


def _value(row: Assignment, pools: Mapping[str, Sequence[Any]], rng: np.random.Generator, path: str, axis: Axis) -> Any:
    """Return the row's own value. Without one: the value of a random trial that has one, or any value of the axis."""
    if path in row:
        return row[path]
    pool = pools[path]
    return pool[int(rng.integers(len(pool)))] if pool else axis.draw(Random(int(rng.integers(2**32))))


def _of_space(space: AnySpace, assignment: Assignment) -> Assignment:
    """Return the assignment without axes that do not count, with the axes' own values: 1.0 becomes 1 if 1 is meant."""
    for path in assignment:
        if path not in space.axes:
            raise unknown("axis", path, space.axes, path="assignments")

    def given(path: str, _: Axis) -> Any:
        if path not in assignment:
            raise InputError(f"assignments: {path} has no value where it counts, in {assignment}")
        return assignment[path]

    return space.suggest(given)


def _encoded(space: AnySpace, rows: Sequence[Assignment]) -> Matrix:
    """Return shape (rows, columns): one column per axis of numbers, and one per word of an axis of words."""
    x = np.zeros((len(rows), sum(_width(axis) for axis in space.axes.values())))
    for (path, axis), columns in zip(space.axes.items(), _columns(space).values(), strict=True):
        words = _words(axis)
        for i, row in enumerate(rows):
            if words:
                x[i, columns.start + words[json.dumps(row[path]) if path in row else ABSENT]] = 1
            else:
                x[i, columns] = row[path] if path in row else _absent_number(axis)
    return x


def _columns(space: AnySpace) -> dict[str, slice]:
    ends = np.cumsum([_width(axis) for axis in space.axes.values()]).tolist()
    return {path: slice(end - _width(axis), end) for (path, axis), end in zip(space.axes.items(), ends, strict=True)}


def _width(axis: Axis) -> int:
    return len(_words(axis)) or 1


def _words(axis: Axis) -> dict[str, int]:
    """Return the column of each word of an axis, and of `ABSENT`; empty if all its values are numbers."""
    if isinstance(axis, Choices) and not all(_is_number(option) for option in axis.options):
        return {word: i for i, word in enumerate([*map(json.dumps, axis.options), ABSENT])}
    return {}


def _absent_number(axis: Axis) -> float:
    """Return a number for "absent" that is below all values of the axis, so one split separates it."""
    ends = axis.options if isinstance(axis, Choices) else (axis.at(0), axis.at((axis.count or 3) - 1))
    return float(2 * min(ends) - max(ends) - 1)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
