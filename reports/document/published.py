"""Published results as a table that stands beside measured ones."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.published import Published
from reports.page import Cell, Grid
from reports.published import HEADINGS, LABEL, NOTES, NUMERIC, cells, records, with_a_place


def published_table(rows: Sequence[Published], study: str) -> Grid | None:
    """The rows that can stand in a figure; None where there are none."""
    if not (rows := with_a_place(rows)):
        return None
    numbers = [{"error, %": row["error"], "parameters": row["params"], "MACs": row["macs"]} for row in records(rows)]
    made = [
        [Cell(text, sorts.get(heading, text)) for heading, text in zip(HEADINGS, texts, strict=True)]
        for texts, sorts in zip(cells(rows), numbers, strict=True)
    ]
    grid = Grid(LABEL.capitalize(), HEADINGS, NUMERIC, made, notes=NOTES, label=f"{study}-published")
    return grid.without_empty_columns()
