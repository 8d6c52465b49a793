"""An ablation on several data sets as CSV and Parquet: arms on each data set, and comparisons over data sets."""

from __future__ import annotations

from typing import Any

from ablations.across.run import RunAcross
from reports import arms, spreadsheet

COMPARED: tuple[str, ...] = (
    "arm",
    "versus",
    "measure",
    "planned",
    "data_sets",
    "delta",
    "delta_low",
    "delta_high",
    "confidence",
    "next_low",
    "next_high",
    "tau",
    "i2",
    "q",
    "q_p",
    "p",
    "p_adjusted",
    "verdict",
)
"""Columns of comparisons over data sets. Differences are fractions, or in the unit of a measure that is no share.

`delta` is the mean over the `data_sets` that have a difference, `delta_low` and `delta_high` its interval at the level
`confidence`; `next_low` and `next_high` are the 95 % prediction interval of the difference on a further data set.
`tau`, `i2`, `q` and `q_p` are those of `ablations.across.heterogeneity`. Missing values are empty.
"""


def columns_of_arms(run: RunAcross) -> tuple[str, ...]:
    return ("data", *arms.columns(next(iter(run.parts.values()))))


def rows_of_arms(run: RunAcross) -> list[dict[str, Any]]:
    """Return one mapping per data set and arm: the data set's label, and the row of the arm on it."""
    return [{"data": label, **row} for label, part in run.parts.items() for row in arms.rows(part)]


def rows_of_comparisons(run: RunAcross) -> list[dict[str, Any]]:
    """Return one mapping per comparison over data sets, in the order of the report."""
    made = []
    for found in run.findings:
        seen, varies = found.difference, found.heterogeneity
        next_low, next_high = found.prediction or (None, None)
        row = {
            "arm": found.arm,
            "versus": found.versus,
            "measure": found.measure.name,
            "planned": found.planned,
            "data_sets": seen.n,
            "delta": seen.delta,
            "delta_low": seen.low,
            "delta_high": seen.high,
            "confidence": None if seen.low is None else seen.confidence,
            "next_low": next_low,
            "next_high": next_high,
            "p": found.p,
            "p_adjusted": found.p_adjusted,
            "verdict": found.verdict,
        }
        if varies:
            row |= {"tau": varies.tau, "i2": varies.i2, "q": varies.q, "q_p": varies.p}
        made.append({name: row.get(name) for name in COMPARED})
    return made


def csv_of_arms(run: RunAcross) -> str:
    return spreadsheet.text(columns_of_arms(run), rows_of_arms(run))


def parquet_of_arms(run: RunAcross) -> bytes:
    return spreadsheet.parquet(columns_of_arms(run), rows_of_arms(run))


def csv_of_comparisons(run: RunAcross) -> str:
    return spreadsheet.text(COMPARED, rows_of_comparisons(run))


def parquet_of_comparisons(run: RunAcross) -> bytes:
    return spreadsheet.parquet(COMPARED, rows_of_comparisons(run))
