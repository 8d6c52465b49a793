"""The tables of a page for Typst, to include in a paper with `#include`. Needs no package.

All text is in string literals, so that no character of a name is markup.
"""

from __future__ import annotations

from collections.abc import Iterator

from reports.page import Cell, Grid, Mark, Page

SIGNS: dict[Mark, str] = {"open": "†", "best": "Bold:"}
"""How the notes of a table show a mark."""


def render(page: Page) -> str:
    """Return the tables of the page. Equal pages give identical text."""
    tables = [table(grid) for section in page.sections for grid in section.paper]
    return f"// {_line(page.title)}\n\n" + "\n".join(tables)


def table(grid: Grid) -> str:
    """Return a table as a figure with its notes below, under the label `tab:LABEL`."""
    letters = grid.lettered
    aligned = ", ".join("right" if heading in grid.numeric else "left" for heading in grid.headings)
    rows = [", ".join(_cell(cell, letters.get(cell.note, "")) for cell in row) for row in grid.rows]
    notes = " ".join(_notes(grid))
    lines = [
        "#figure(",
        "  kind: table,",
        f"  caption: {string(grid.caption)},",
        "  {",
        "    set text(size: 0.85em)",
        "    table(",
        f"      columns: {len(grid.headings)},",
        f"      align: ({aligned},),",
        "      stroke: none,",
        "      table.hline(),",
        f"      table.header({', '.join(map(string, grid.headings))}),",
        "      table.hline(stroke: 0.5pt),",
        *(f"      {row}," for row in rows),
        "      table.hline(),",
        "    )",
        *([f"    {string(notes)}"] if notes else []),
        "  },",
        f") <tab:{grid.label}>" if grid.label else ")",
    ]
    return "\n".join(lines) + "\n"


def string(text: str) -> str:
    """Return a string literal of one line.

    >>> string('50 % of "x" #2')
    '"50 % of \\\\"x\\\\" #2"'
    """
    tied = _line(text).replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    return '"' + tied.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))


def _cell(cell: Cell, letter: str) -> str:
    text = string(cell.shown)
    made = f"strong({text})" if cell.mark == "best" else text
    raised = letter + (SIGNS["open"] if cell.mark == "open" else "")
    return f"{made} + super({string(raised)})" if raised else made


def _notes(grid: Grid) -> Iterator[str]:
    yield from (f"{letter} {note}." for note, letter in grid.lettered.items())
    yield from grid.notes
    yield from (f"{SIGNS[mark]} {meaning}" for mark, meaning in grid.legend.items())
