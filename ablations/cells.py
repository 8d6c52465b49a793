"""The cells of a factorial table: coded columns of factors and interactions, and cells that are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from ablations.scales import Floats
from resnet_space.errors import unknown

MAX_NAMED_CELLS = 4
"""The maximum number of cells named in a sentence."""


def describe_imbalance(table: pd.DataFrame, factors: Sequence[str], block: str) -> str:
    """Return a text that says which cells are missing or lack blocks; empty if the table is balanced.

    Only cells of the table need all blocks, since a fraction does not have all cells. Missing cells are named if the
    table has more than half of all combinations, which no fraction has. Otherwise levels with fewer cells are named.

    Raises:
        InputError: a column is missing.
    """
    for name in (*factors, block):
        if name not in table.columns:
            raise unknown("column", name, map(str, table.columns), path="table")
    levels = {name: _levels(table[name]) for name in factors}
    rows = Counter(zip(*(table[name] for name in factors), strict=True))
    combinations = prod(len(each) for each in levels.values())
    expected = list(rows)
    sentences = []
    if combinations / 2 < len(rows) < combinations:
        expected = list(product(*levels.values()))
        missing = [cell for cell in expected if cell not in rows]
        sentences.append(
            f"{_cells_that(len(missing), combinations, 'has', 'have')} no row: {_list_cells(factors, missing)}"
        )
    elif len(rows) < combinations:
        for at, (name, each) in enumerate(levels.items()):
            cells = Counter(cell[at] for cell in rows)
            if len(set(cells.values())) > 1:
                counts = ", ".join(f"{level} in {cells[level]}" for level in each)
                sentences.append(f"levels of {name} are not in equally many cells: {counts}")
    seen = Counter(zip(*(table[name] for name in (*factors, block)), strict=True))
    most = max(seen.values(), default=0)
    lacking: dict[tuple[Any, ...], list[str]] = {}
    for which in sorted(set(table[block])):
        if cells_without := tuple(cell for cell in expected if cell in rows and seen[(*cell, which)] < most):
            lacking.setdefault(cells_without, []).append(str(which))
    for cells_without, which in lacking.items():
        lack = _cells_that(len(cells_without), len(expected), "lacks", "lack")
        sentences.append(f"{lack} {block} {', '.join(which)}: {_list_cells(factors, cells_without)}")
    return ". ".join(sentences)


def _cells_that(number: int, total: int, singular: str, plural: str) -> str:
    return f"{number} of {total} cells {singular if number == 1 else plural}"


def _list_cells(factors: Sequence[str], cells: Sequence[tuple[Any, ...]]) -> str:
    named = [", ".join(f"{name}={level}" for name, level in zip(factors, cell, strict=True)) for cell in cells]
    rest = [f"and {len(named) - MAX_NAMED_CELLS} more"] if len(named) > MAX_NAMED_CELLS else []
    return "; ".join(named[:MAX_NAMED_CELLS] + rest)


def _levels(column: pd.Series[Any]) -> list[Any]:
    """The levels in a column, in the order of its categories, or else of its rows."""
    found = list(dict.fromkeys(column))
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if level in found]
    return found


def columns(column: pd.Series[Any]) -> Floats:
    """Return the columns of a factor, (N, levels - 1): -1 at the first level, and 1 at one of the others."""
    first, *others = _levels(column)
    at = column.to_numpy()
    coded = np.array([np.where(at == first, -1.0, at == level) for level in others], dtype=float)
    return coded.reshape(len(others), len(at)).T


def product_columns(coded: Sequence[Floats]) -> Floats:
    """Return the columns of an interaction, (N, product of widths): the products of one column of each factor."""
    found = coded[0]
    for other in coded[1:]:
        found = np.einsum("ni,nj->nij", found, other).reshape(len(found), -1)
    return found
