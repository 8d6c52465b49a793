"""The first front of what passes a filter, with the filter asked about few networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from resnet_space.expressions import Expression
from resnet_space.fields import Lookup
from resnet_space.parsing import Parser
from search.fronts.column_filter import certain
from search.fronts.dominance import nondominated
from search.fronts.objectives import NAMES_OF_RESULTS

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]

Describe = Callable[[str], Lookup]
"""From an architecture's key to its fields."""


def first_front(values: Floats, among: Indices, passes: Callable[[int], bool]) -> Indices:
    """Indices of the points, of values (n, m), that no other dominates among those of `among` that pass.

    The front is asked, and what fails is taken away, until all on it pass: what a passing point dominates is never
    asked but in advance. For the rounds to go with the logarithm of what fails, as many again as have failed so far
    are asked in advance, those first whose places in all objectives sum up to least.
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
    """The rows of `networks` for which `where`, over `NAMES_OF_RESULTS`, may be true, and whether it is.

    What the columns tell is found for all rows at once, the rest when it is asked for.
    """
    if where is None:
        return np.arange(len(table)), lambda i: True
    lookup = lookups(table, where, describe)
    columns = {name: table[name].to_numpy() for name in where.names if name in table}
    true, false = certain(Parser(where.text, NAMES_OF_RESULTS).parse(), columns, len(table))
    is_true, is_false = true.tolist(), false.tolist()
    passes = cache(lambda i: is_true[i] or (not is_false[i] and where.evaluate(lookup(i))))
    return np.flatnonzero(~false), passes


def lookups(table: pd.DataFrame, where: Expression, describe: Describe | None) -> Callable[[int], Lookup]:
    """From a row of `networks` to what an expression finds there: its columns, then its architecture's fields.

    Raises:
        ValueError: the expression asks for fields, and there is no `describe`.
    """
    columns = {name: table[name].tolist() for name in where.names if name in table}
    keys = table["architecture"].tolist()
    if describe is None and len(columns) < len(where.names):
        missing = ", ".join(name for name in where.names if name not in columns)
        raise ValueError(f"{where.text}: {missing} is in no column; give describe")
    described = cache(describe) if describe is not None else None

    def of_row(i: int) -> Lookup:
        def value(name: str) -> Any:
            return columns[name][i] if name in columns or described is None else described(keys[i])(name)

        return value

    return of_row
