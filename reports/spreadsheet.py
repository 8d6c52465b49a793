"""Cells of CSV as spreadsheets take them: text that begins like a formula would be run by them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""The beginnings of cells that a spreadsheet calculates, or strips to find a formula."""


def text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV with a line of headings. Numbers stay numbers; text that begins like a formula gets an apostrophe."""
    made = io.StringIO()
    writer = csv.DictWriter(made, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return made.getvalue()


def cell(value: Any) -> Any:
    """A value as it stands in a cell.

    >>> cell("=cmd|' /C calc'!A0"), cell(-0.5), cell("bias -6")
    ("'=cmd|' /C calc'!A0", -0.5, 'bias -6')
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
