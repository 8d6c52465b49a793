"""A page on a terminal: the brief form of each section."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.table import Table
from rich.text import Text as RichText

from reports.page import Block, Cell, Facts, Grid, Mark, Page, Text
from resnet_space.errors import printable

SIGNS: dict[Mark, str] = {"open": "~"}
"""How the legend of a table shows a mark. The best is in bold, which not every terminal shows, so it has no legend."""


def render(page: Page) -> Iterator[Table | str]:
    """Return tables and lines, section by section."""
    for section in page.sections:
        yield from parts(section.brief)


def parts(blocks: Iterable[Block]) -> Iterator[Table | str]:
    """Return blocks as tables and lines, without figures."""
    for block in blocks:
        match block:
            case Grid():
                yield _table(block)
                yield from _notes(block)
            case Text():
                yield from block.lines
            case Facts():
                yield from (f"{term}: {fact}" for term, fact in block.texts)


def _table(grid: Grid) -> Table:
    """Return a table with right-aligned numbers, and the best in bold."""
    made = Table(
        title=printable(grid.caption),
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in grid.headings:
        made.add_column(
            heading,
            justify="right" if heading in grid.numeric else "left",
            no_wrap=heading in grid.numeric,
            overflow="fold",
        )
    letters = grid.lettered
    for row in grid.rows:
        made.add_row(*[_cell(cell, letters.get(cell.note, "")) for cell in row])
    return made


def _cell(cell: Cell, letter: str) -> RichText:
    text = cell.shown + SIGNS.get(cell.mark, "") + (f" ({letter})" if letter else "")
    return RichText(text, style="bold" if cell.mark == "best" else "")


def _notes(grid: Grid) -> Iterator[str]:
    yield from (f"({letter}) {note}" for note, letter in grid.lettered.items())
    yield from grid.notes
    yield from (f"{SIGNS[mark]}: {meaning}" for mark, meaning in grid.legend.items() if mark in SIGNS)
