"""Tables for other programs: Parquet, and CSV for spreadsheets, which would run text that starts like a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Prefixes of a cell that a spreadsheet evaluates as a formula, or strips and then evaluates."""


def text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return CSV with a header. Numbers are unchanged; text that starts like a formula gets an apostrophe in front."""
    made = io.StringIO()
    writer = csv.DictWriter(made, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return made.getvalue()


def cell(value: Any) -> Any:
    """Return a value as it is written to a cell.

    >>> cell("=cmd|' /C calc'!A0"), cell(-0.5), cell("bias -6")
    ("'=cmd|' /C calc'!A0", -0.5, 'bias -6')
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def parquet(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the same table as a Parquet file."""
    import pandas as pd

    file = io.BytesIO()
    pd.DataFrame(list(rows), columns=list(columns)).to_parquet(file, index=False)
    return file.getvalue()
