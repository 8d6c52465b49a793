"""Published results as a table, JSON, CSV and Parquet: figures as printed in papers, and costs that we count."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from ablations.published import Published
from ablations.published_costs import Cost, cost, cost_and_error
from reports.numbers import engineering, percent, published_mean, statistic
from reports.page import Cell, Grid

HEADINGS = ("network", "error on", "error, %", "statistic", "mean, %", "parameters", "MACs", "source", "remark")
NUMERIC = ("error, %", "mean, %", "parameters", "MACs")

TOP_K = {"top1": "top-1", "top5": "top-5"}
"""Metrics that are shown by name; other metrics are the error on the test split."""

LABEL = "published, not measured here"
"""The label of published results next to measured ones."""

NOTES = (
    "published: as printed in the papers, with their own recipes; not measured here.",
    "statistic: what the error is over the paper's runs; empty if it does not say. The best run is below the mean.",
    "counted: the paper gives no figure; we counted the preset of this network.",
)


def cells(rows: Sequence[Published]) -> list[tuple[str, ...]]:
    """Return one row of texts per result, in the order of `HEADINGS`."""
    return [
        (
            row.name,
            f"{row.dataset}, {TOP_K[row.metric]}" if row.metric in TOP_K else row.dataset,
            "fail" if row.fails else percent(row.error, None),
            statistic(row),
            published_mean(row),
            _cost(cost(row, "params")),
            _cost(cost(row, "macs")),
            row.paper,
            row.remark,
        )
        for row in rows
    ]


def table(rows: Sequence[Published], study: str) -> Grid | None:
    """Return a table of the results that figures can show; None if there are none."""
    if not (rows := with_a_place(rows)):
        return None
    numbers = [{"error, %": row["error"], "parameters": row["params"], "MACs": row["macs"]} for row in records(rows)]
    made = [
        [Cell(text, sorts.get(heading, text)) for heading, text in zip(HEADINGS, texts, strict=True)]
        for texts, sorts in zip(cells(rows), numbers, strict=True)
    ]
    grid = Grid(LABEL.capitalize(), HEADINGS, NUMERIC, made, notes=NOTES, label=f"{study}-published")
    return grid.without_empty_columns()


def with_a_place(rows: Sequence[Published]) -> list[Published]:
    """Return the results with an error and a cost, which a figure of error against parameters or MACs can show."""
    return [row for row in rows if cost_and_error(row, "params") or cost_and_error(row, "macs")]


def records(rows: Sequence[Published]) -> list[dict[str, Any]]:
    """Return one mapping per result, for programs. Errors are fractions; unknown values are None."""
    made = []
    for row in rows:
        params, macs = cost(row, "params"), cost(row, "macs")
        made.append(
            {
                "table": row.table,
                "dataset": row.dataset,
                "model": row.model,
                "variant": row.variant,
                "metric": row.metric,
                "error": row.error,
                "fails": row.fails,
                "statistic": row.statistic,
                "runs": row.runs,
                "mean": row.mean,
                "spread": row.spread,
                "params": params and params.value,
                "params_counted": params and params.counted,
                "macs": macs and macs.value,
                "macs_counted": macs and macs.counted,
                "source": row.paper,
                "costs_source": row.costs,
                "preset": row.preset,
                "changes": ";".join(row.changes),
                "remark": row.remark,
            }
        )
    return made


def as_csv(rows: Sequence[Published]) -> bytes:
    text = io.StringIO()
    made = records(rows)
    writer = csv.DictWriter(text, list(made[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(made)
    return text.getvalue().encode()


def as_parquet(rows: Sequence[Published]) -> bytes:
    import pandas as pd

    file = io.BytesIO()
    pd.DataFrame(records(rows)).to_parquet(file, index=False)
    return file.getvalue()


FILES: dict[str, Callable[[Sequence[Published]], bytes]] = {"csv": as_csv, "parquet": as_parquet}
"""Writers of published results for report formats that hold only one table, as a separate file."""


def _cost(found: Cost | None) -> str:
    """Return `1.7M`; `255M, counted` for a cost that we count; `-` if unknown."""
    if found is None:
        return "-"
    return engineering(found.value) + (", counted" if found.counted else "")
