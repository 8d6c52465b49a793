"""Print results to stdout: tables, rich text, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table

    grid = Table(*headings, box=None, header_style="bold")
    for row in rows:
        grid.add_row(*row)
    console().print(grid)


def print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, allow_nan=False))


def console() -> Console:
    """The console on stdout; 200 characters wide if it is not a terminal, so that nothing is cut off in a pipe."""
    from rich.console import Console

    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200)


def print_parts(parts: Iterable[Table | str]) -> None:
    """Print tables and lines; a line is not wrapped."""
    for part in parts:
        console().print(part, soft_wrap=isinstance(part, str))
