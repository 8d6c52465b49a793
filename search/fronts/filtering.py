"""The first front of the networks that pass a filter, with few evaluations of the filter."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from resnet_space.expressions import Expression
from resnet_space.fields import Lookup
from search.fronts.column_filter import evaluate_columns
from search.fronts.dominance import nondominated

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]

Describe = Callable[[str], Lookup]
"""From the key of a network, and after a space its `training` if there is one, to its fields."""


def first_front(values: Floats, among: Indices, passes: Callable[[int], bool]) -> Indices:
    """Return the indices of the first front of values (n, m), among the points of `among` that pass.

    In each round, `passes` is called for the members of the front, and those that fail are removed, until all members
    pass. So points that a passing point dominates are mostly never tested. To keep the number of rounds logarithmic in
    the number of failures, each round also tests as many further points as have failed so far, in ascending order of
    the sum of their ranks over all objectives.
    """
    alive = among
    known = np.zeros(len(values), dtype=bool)
    failed = 0
    while True:
        members = alive[nondominated(values[alive])]
        ask = members[~known[members]]
        if not len(ask):
            return members
        if failed:
            places = values[alive].argsort(axis=0).argsort(axis=0).sum(axis=1)
            along = alive[places.argsort(kind="stable")]
            ask = np.union1d(ask, along[~known[along]][:failed])
        fails = np.array([i for i in ask.tolist() if not passes(i)], dtype=np.intp)
        known[ask] = True
        failed += len(fails)
        alive = np.setdiff1d(alive, fails, assume_unique=True)


def filtered(
    table: pd.DataFrame, where: Expression | None, describe: Describe | None
) -> tuple[Indices, Callable[[int], bool]]:
    """Return the rows of `networks` for which `where` can be true, and a function that tells whether it is.

    Columns are evaluated for all rows at once, other fields only on demand.
    """
    if where is None:
        return np.arange(len(table)), lambda i: True
    lookup = lookups(table, where, describe)
    columns = {name: table[name].to_numpy() for name in where.names if name in table}
    true, false = evaluate_columns(where.root, columns, len(table))
    is_true, is_false = true.tolist(), false.tolist()
    passes = cache(lambda i: is_true[i] or (not is_false[i] and where.evaluate(lookup(i))))
    return np.flatnonzero(~false), passes


def lookups(table: pd.DataFrame, where: Expression, describe: Describe | None) -> Callable[[int], Lookup]:
    """Return a function from a row of `networks` to its lookup: its columns, then its architecture's fields.

    Raises:
        ValueError: the expression uses fields of the architecture, and there is no `describe`.
    """
    columns = {name: table[name].tolist() for name in where.names if name in table}
    keys = (table["architecture"] + " " + table["training"] if "training" in table else table["architecture"]).tolist()
    if describe is None and len(columns) < len(where.names):
        missing = ", ".join(name for name in where.names if name not in columns)
        raise ValueError(f"{where.text}: no column has {missing}; give describe")
    described = cache(describe) if describe is not None else None

    def of_row(i: int) -> Lookup:
        def value(name: str) -> Any:
            return columns[name][i] if name in columns or described is None else described(keys[i])(name)

        return value

    return of_row
