"""Main effects and interactions of a design's factors, by analysis of variance with seeds as blocks.

The model is value = mean + block + terms + residual; what no term names is in the residual. A factor of L levels has
L - 1 columns: -1 at its first level, 1 at one other each; an interaction has their products. So a term has the columns
of its own interaction only, whichever terms stand beside it, as a fraction needs, where AB may stand for itself and
its aliases without A.

Sums of squares are of type II: SS(term) = RSS(without it and all terms that contain it) - RSS(the same with it). They
depend on no order, and in a balanced table are those of any type. F = (SS / df) / (RSS / df of the whole model). Yates
1934, Journal of the American Statistical Association 29, 51-66; Langsrud 2003, Statistics and Computing 13, 163-167.
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
"""Of the largest value: a residual that is smaller is rounding."""
CONFIDENCE = 0.95
MOST_NAMED = 4
"""Cells that are named in a sentence."""


@dataclass(frozen=True)
class Term:
    """A main effect, or an interaction of several factors."""

    factors: tuple[str, ...]
    df: int
    """0 where the table cannot tell it from the terms beside it."""
    f: float | None
    """None without df, and where there is nothing to measure chance by: no residual, or no degree of freedom for it."""
    p: float | None
    share: float
    """η² = SS / SS total, the part of all that varies; 0 to 1."""
    effect: float | None
    """Of two-level factors: mean at the second level - mean at the first; None for others.

    Of an interaction it is half the difference of the effects of one factor at the other's levels; of three factors
    half the difference of such interactions, and so on. Where cells lack seeds, it is that of the model that its F is
    of, so that low and high leave 0 out exactly where p < 0.05.
    """
    low: float | None
    """The 95 % interval: effect ± t * standard error; None where f is."""
    high: float | None


def analyse(
    table: pd.DataFrame,
    factors: Sequence[str],
    terms: Sequence[tuple[str, ...]],
    *,
    value: str = "error",
    block: str = "seed",
) -> list[Term]:
    """The terms' effects on `value`, in their order. `table` has a row each trial: levels, block, value.

    Levels are in the order of the column's categories, or where it has none, in that of their first rows. In a
    fraction the first row need not have every factor's first level: there, give categories.

    Raises:
        InputError: a column or factor that is not there or stands twice, or a value that is no number.
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
            # Terms that cannot be told apart are expected: degrees of freedom are by rank.
            warnings.simplefilter("ignore", SingularMatrixWarning)
            return OLS(y, np.column_stack([*base, *(parts[place] for place in places)])).fit()

    whole = fit(range(len(parts)))
    left = int(whole.df_resid)
    mse = float(whole.ssr) / left if left > 0 and whole.ssr > nothing else None
    for place, term in enumerate(terms):
        beside = [at for at, other in enumerate(terms) if not set(term) <= set(other)]
        without, with_it = fit(beside), fit([*beside, place])
        df = int(without.df_resid - with_it.df_resid)
        ss = max(0.0, float(without.ssr - with_it.ssr)) if df else 0.0
        f = ss / df / mse if df and mse else None
        effect = low = high = None
        if df == 1 == parts[place].shape[1]:
            effect = 2 * float(with_it.params[-1])
            if mse:
                error = 2 * float(np.sqrt(with_it.normalized_cov_params[-1, -1] * mse))
                half = float(stats.t.isf((1 - CONFIDENCE) / 2, left)) * error
                low, high = effect - half, effect + half
        yield Term(
            factors=tuple(term),
            df=df,
            f=f,
            p=None if f is None else float(stats.f.sf(f, df, left)),
            share=ss / total if total > nothing else 0.0,
            effect=effect,
            low=low,
            high=high,
        )


def unbalanced(table: pd.DataFrame, factors: Sequence[str], block: str) -> str:
    """Which cells lack what others have, in words; empty where the table is balanced.

    Cells are those of the table: of a fraction, the others are not missed. Cells that are missing altogether are told
    where more than half of all combinations are there, which no fraction has, or by the levels that have fewer.

    Raises:
        InputError: a column that is not there or stands twice.
    """
    _check(table, factors, [], block, block)
    levels = {name: _levels(table[name]) for name in factors}
    rows = Counter(zip(*(table[name] for name in factors), strict=True))
    whole = prod(len(each) for each in levels.values())
    told = list(rows)
    said = []
    if whole / 2 < len(rows) < whole:
        told = list(product(*levels.values()))
        lost = [cell for cell in told if cell not in rows]
        said.append(f"{_of(len(lost), whole, 'has', 'have')} no row: {_named(factors, lost)}")
    elif len(rows) < whole:
        for at, (name, each) in enumerate(levels.items()):
            cells = Counter(cell[at] for cell in rows)
            if len(set(cells.values())) > 1:
                counts = ", ".join(f"{level} in {cells[level]}" for level in each)
                said.append(f"levels of {name} are not in equally many cells: {counts}")
    seen = Counter(zip(*(table[name] for name in (*factors, block)), strict=True))
    most = max(seen.values(), default=0)
    lacking: dict[tuple[Any, ...], list[str]] = {}
    for which in sorted(set(table[block])):
        if cells_without := tuple(cell for cell in told if cell in rows and seen[(*cell, which)] < most):
            lacking.setdefault(cells_without, []).append(str(which))
    for cells_without, which in lacking.items():
        lack = _of(len(cells_without), len(told), "lacks", "lack")
        said.append(f"{lack} {block} {', '.join(which)}: {_named(factors, cells_without)}")
    return ". ".join(said)


def _of(number: int, whole: int, one: str, more: str) -> str:
    return f"{number} of {whole} cells {one if number == 1 else more}"


def _named(factors: Sequence[str], cells: Sequence[tuple[Any, ...]]) -> str:
    named = [", ".join(f"{name}={level}" for name, level in zip(factors, cell, strict=True)) for cell in cells]
    rest = [f"and {len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    return "; ".join(named[:MOST_NAMED] + rest)


def _levels(column: pd.Series[Any]) -> list[Any]:
    """Those that are there, in the order of the categories or else of the rows."""
    there = list(dict.fromkeys(column))
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if level in there]
    return there


def _columns(column: pd.Series[Any]) -> Floats:
    """(N, levels - 1): -1 at the first level, 1 at one other each."""
    first, *others = _levels(column)
    at = column.to_numpy()
    coded = np.array([np.where(at == first, -1.0, at == level) for level in others], dtype=float)
    return coded.reshape(len(others), len(at)).T


def _product(coded: Sequence[Floats]) -> Floats:
    """(N, product of columns): every column of one times every column of the others."""
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
            raise InputError(f"table: column {name!r} stands twice; factors, {block!r} and {value!r} must differ")
        if name != value and table[name].isna().any():
            raise InputError(f"table: a row has no {name}; leave it out")
    for term in terms:
        for name in term:
            if name not in factors:
                raise unknown("factor", name, factors, path="terms")
        if not term or len(set(term)) < len(term) or sum(set(term) == set(other) for other in terms) > 1:
            raise InputError(f"terms: {term} stands twice, names a factor twice, or none")
