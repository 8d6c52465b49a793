"""Cells of a factorial table that are missing, in words."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
import pytest

from ablations.cells import describe_imbalance
from resnet_space import InputError


def crossed(levels: dict[str, str], seeds: int, error: Callable[..., float]) -> pd.DataFrame:
    """All combinations of one-letter levels, with all seeds; `error` is a function of level indices and seed."""
    rows = []
    for places in product(*(range(len(each)) for each in levels.values())):
        named = {name: each[place] for (name, each), place in zip(levels.items(), places, strict=True)}
        rows += [{**named, "seed": seed, "error": error(*places, seed)} for seed in range(seeds)]
    return pd.DataFrame(rows)


def noise(seed: int = 0) -> Callable[..., float]:
    rng = np.random.default_rng(seed)
    return lambda *_: float(rng.normal(0.06, 0.004))


def lacking(*lost: tuple[str, int], levels: dict[str, str] | None = None) -> str:
    """The text for all cells of two or more factors with three seeds each, without the given (levels, seed)."""
    levels = levels or {"order": "xy", "width": "pq"}
    table = crossed(levels, 3, noise())
    cells = table[list(levels)].agg("".join, axis=1)
    gone = [any((cell, seed) == each for each in lost) for cell, seed in zip(cells, table["seed"], strict=True)]
    return describe_imbalance(table[~np.array(gone)], list(levels), "seed")


def test_a_complete_table_is_balanced() -> None:
    assert lacking() == ""
    assert lacking(levels={"a": "xyz", "b": "pq", "c": "uv"}) == ""


def test_cells_that_lack_a_seed_are_named() -> None:
    assert lacking(("xq", 1)) == "1 of 4 cells lacks seed 1: order=x, width=q"
    assert lacking(("xq", 1), ("yp", 1)) == "2 of 4 cells lack seed 1: order=x, width=q; order=y, width=p"


def test_seeds_that_the_same_cells_lack_are_reported_together() -> None:
    assert lacking(("xq", 0), ("xq", 2)) == "1 of 4 cells lacks seed 0, 2: order=x, width=q"
    assert lacking(("xq", 0), ("yq", 2)) == (
        "1 of 4 cells lacks seed 0: order=x, width=q. 1 of 4 cells lacks seed 2: order=y, width=q"
    )


def test_many_cells_are_not_all_named() -> None:
    levels = {"a": "wxyz", "b": "pq"}
    text = lacking(*((a + "p", 0) for a in "wxyz"), ("wq", 0), levels=levels)
    assert text == "5 of 8 cells lack seed 0: a=w, b=p; a=w, b=q; a=x, b=p; a=y, b=p; and 1 more"


def test_a_cell_without_rows_is_reported() -> None:
    assert lacking(("xq", 0), ("xq", 1), ("xq", 2)) == "1 of 4 cells has no row: order=x, width=q"


def test_a_fraction_is_balanced_and_lacks_only_its_own_cells() -> None:
    levels = {"A": "-+", "B": "-+", "C": "-+"}
    table = crossed(levels, 2, noise())
    minus = table[list(levels)].agg("".join, axis=1).str.count("-")
    half = table[minus % 2 == 0]
    assert describe_imbalance(half, list(levels), "seed") == ""
    assert describe_imbalance(half.iloc[1:], list(levels), "seed") == "1 of 4 cells lacks seed 0: A=-, B=-, C=+"
    assert describe_imbalance(half.iloc[2:], list(levels), "seed").startswith(
        "levels of A are not in equally many cells: - in 1, + in 2."
    )


def test_a_column_that_does_not_exist_is_refused_by_name() -> None:
    table = crossed({"a": "xy", "b": "pq"}, 2, noise())
    with pytest.raises(InputError, match=r"table: unknown column 'sed'; did you mean 'seed'\?"):
        describe_imbalance(table, "ab", "sed")
