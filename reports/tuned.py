"""An ablation with tuned arms as CSV and Parquet: arms at the shared and at their own recipes, and the tuning."""

from __future__ import annotations

from typing import Any

from ablations.tuning.run import TunedRun
from reports import arms, spreadsheet
from search.trials.setup import changes_text

OF_TUNING = ("arm", "number", "status", "validation_error", "best")
"""Columns of the tuning before the values of the axes."""


def columns_of_arms(run: TunedRun) -> tuple[str, ...]:
    return ("recipe", "own_recipe", *arms.columns(run.shared))


def rows_of_arms(run: TunedRun) -> list[dict[str, Any]]:
    """Return one mapping per arm at the shared recipe, then one per arm at its own; `own_recipe` has its values."""
    own = {name: changes_text(best.values) if best else "" for name, best in run.best.items()}
    return [
        {"recipe": label, "own_recipe": own[row["arm"]], **row}
        for label, part in run.parts.items()
        for row in arms.rows(part)
    ]


def columns_of_tuning(run: TunedRun) -> tuple[str, ...]:
    assert run.study.tune is not None
    return (*OF_TUNING, *run.study.tune.axes)


def rows_of_tuning(run: TunedRun) -> list[dict[str, Any]]:
    """Return one mapping per arm and recipe tried, in the order of the proposals; inactive axes are empty."""
    return [
        {"arm": name, "number": each.number, "status": each.status or "waiting", "validation_error": each.error}
        | {"best": each == run.best[name]}
        | {path: each.values.get(path) for path in columns_of_tuning(run)[len(OF_TUNING) :]}
        for name, tried in run.tried.items()
        for each in tried
    ]


def csv_of_arms(run: TunedRun) -> str:
    return spreadsheet.text(columns_of_arms(run), rows_of_arms(run))


def parquet_of_arms(run: TunedRun) -> bytes:
    return spreadsheet.parquet(columns_of_arms(run), rows_of_arms(run))


def csv_of_tuning(run: TunedRun) -> str:
    return spreadsheet.text(columns_of_tuning(run), rows_of_tuning(run))


def parquet_of_tuning(run: TunedRun) -> bytes:
    return spreadsheet.parquet(columns_of_tuning(run), rows_of_tuning(run))
