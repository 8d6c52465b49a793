"""Main effects and interactions of a design's factors, by analysis of variance with seeds as blocks.

The model is value = mean + block + terms + residual; effects without a term are in the residual. A factor of L levels
has L - 1 columns: -1 at its first level, and 1 at one of the others; an interaction has the products of these columns.
So the columns of a term do not depend on the other terms. Fractional designs need this: there, a model can have AB, for
itself and its aliases, without A.

Sums of squares are of type II: SS(term) = RSS(without it and all terms that contain it) - RSS(the same with it). They
do not depend on the order of terms, and in a balanced table all types are equal. F = (SS / df) / (RSS / df of the
complete model). Yates 1934, Journal of the American Statistical Association 29, 51-66; Langsrud 2003, Statistics and
Computing 13, 163-167.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from resnet_space.errors import InputError, unknown

Floats = NDArray[np.float64]

NOISE = 1e-13
"""A residual that is smaller than this fraction of the largest value is a rounding error."""
CONFIDENCE = 0.95
MAX_NAMED_CELLS = 4
"""The maximum number of cells named in a sentence."""


@dataclass(frozen=True)
class Term:
    """A main effect, or an interaction of several factors."""

    factors: tuple[str, ...]
    df: int
    """The degrees of freedom; 0 if the table cannot distinguish the term from the other terms."""
    f: float | None
    """None if df is 0, or if the residual is 0 or has no degrees of freedom."""
    p: float | None
    share: float
    """η² = SS / SS total, the share of the total variation; 0 to 1."""
    effect: float | None
    """For two-level factors: the mean at the second level minus the mean at the first; None for others.

    For an interaction of two factors, half the difference of the effects of one factor at the two levels of the other;
    for three factors, half the difference of such interactions, and so on. If cells lack seeds, it is the effect in the
    model that gives its F, so that the interval excludes 0 exactly if p < 0.05.
    """
    low: float | None
    """The 95 % interval: effect ± t * standard error; None if f is None."""
    high: float | None


def analyse_variance(
    table: pd.DataFrame,
    factors: Sequence[str],
    terms: Sequence[tuple[str, ...]],
    *,
    value: str = "error",
    block: str = "seed",
) -> list[Term]:
    """Return the effects of the terms on `value`, in order. `table` has one row per trial: levels, block, value.

    Levels are in the order of the column's categories, or else in the order of their first rows. For a fraction, give
    categories, since its first row does not always have the first level of every factor.

    Raises:
        InputError: a column or factor is missing or given twice, or a value is not finite.
    """
    _check(table, factors, terms, value, block)
    raw = table[value].to_numpy(dtype=float)
    if wrong := np.flatnonzero(~np.isfinite(raw)).tolist():
        raise InputError(f"{value}: {raw[wrong[0]]} in row {wrong[0]}; leave rows without a value out")
    if not len(raw):
        return [Term(tuple(term), 0, None, None, 0.0, None, None, None) for term in terms]
    coded = {name: _columns(table[name]) for name in factors}
    blocks = _columns(table[block])
    parts = [_product([coded[name] for name in term]) for term in terms]
    return list(_terms(raw, [np.ones((len(raw), 1)), blocks], parts, terms))


def _terms(raw: Floats, base: list[Floats], parts: list[Floats], terms: Sequence[tuple[str, ...]]) -> Iterator[Term]:
    from scipy import stats
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tools.sm_exceptions import SingularMatrixWarning

    y = raw - raw.mean()
    total, nothing = float(y @ y), len(y) * (NOISE * float(np.abs(raw).max())) ** 2

    def fit(places: Iterable[int]) -> Any:
        with warnings.catch_warnings():
            # Terms that cannot be distinguished are expected: degrees of freedom are computed from the rank.
            warnings.simplefilter("ignore", SingularMatrixWarning)
            return OLS(y, np.column_stack([*base, *(parts[place] for place in places)])).fit()

    complete = fit(range(len(parts)))
    residual_df = int(complete.df_resid)
    mse = float(complete.ssr) / residual_df if residual_df > 0 and complete.ssr > nothing else None
    for place, term in enumerate(terms):
        others = [index for index, other in enumerate(terms) if not set(term) <= set(other)]
        without, with_it = fit(others), fit([*others, place])
        df = int(without.df_resid - with_it.df_resid)
        ss = max(0.0, float(without.ssr - with_it.ssr)) if df else 0.0
        f = ss / df / mse if df and mse else None
        effect = low = high = None
        if df == 1 == parts[place].shape[1]:
            effect = 2 * float(with_it.params[-1])
            if mse:
                error = 2 * float(np.sqrt(with_it.normalized_cov_params[-1, -1] * mse))
                half = float(stats.t.isf((1 - CONFIDENCE) / 2, residual_df)) * error
                low, high = effect - half, effect + half
        yield Term(
            factors=tuple(term),
            df=df,
            f=f,
            p=None if f is None else float(stats.f.sf(f, df, residual_df)),
            share=ss / total if total > nothing else 0.0,
            effect=effect,
            low=low,
            high=high,
        )


def describe_imbalance(table: pd.DataFrame, factors: Sequence[str], block: str) -> str:
    """Return a text that says which cells are missing or lack blocks; empty if the table is balanced.

    Only cells of the table need all blocks, since a fraction does not have all cells. Missing cells are named if the
    table has more than half of all combinations, which no fraction has. Otherwise levels with fewer cells are named.

    Raises:
        InputError: a column is missing or given twice.
    """
    _check(table, factors, [], block, block)
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


def _columns(column: pd.Series[Any]) -> Floats:
    """The columns of a factor, (N, levels - 1): -1 at the first level, and 1 at one of the others."""
    first, *others = _levels(column)
    at = column.to_numpy()
    coded = np.array([np.where(at == first, -1.0, at == level) for level in others], dtype=float)
    return coded.reshape(len(others), len(at)).T


def _product(coded: Sequence[Floats]) -> Floats:
    """The columns of an interaction, (N, product of widths): the products of one column of each factor."""
    found = coded[0]
    for other in coded[1:]:
        found = np.einsum("ni,nj->nij", found, other).reshape(len(found), -1)
    return found


def _check(
    table: pd.DataFrame, factors: Sequence[str], terms: Sequence[tuple[str, ...]], value: str, block: str
) -> None:
    columns = list(table.columns)
    needed = [*factors, *dict.fromkeys([block, value])]
    for name in needed:
        if name not in columns:
            raise unknown("column", name, map(str, columns), path="table")
        if columns.count(name) > 1 or needed.count(name) > 1:
            raise InputError(f"table: column {name!r} is given twice; factors, {block!r} and {value!r} must differ")
        if name != value and table[name].isna().any():
            raise InputError(f"table: a row has no {name}; leave it out")
    for term in terms:
        for name in term:
            if name not in factors:
                raise unknown("factor", name, factors, path="terms")
        if not term or len(set(term)) < len(term) or sum(set(term) == set(other) for other in terms) > 1:
            raise InputError(f"terms: {term} is given twice, names a factor twice, or names none")
