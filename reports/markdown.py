"""A page as Markdown. Its figures are separate files in the same folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.page import Block, Cell, Facts, Grid, Link, Mark, Page, Picture, Section, Text

STRONG: tuple[Mark, ...] = ("best", "resolved")
"""Marks that are shown in bold."""
SIGNS: dict[Mark, str] = {"open": "~", "best": "Bold"}
"""How the legend of a table shows a mark."""


def render(page: Page) -> str:
    """Return the page as Markdown. Equal pages give identical text."""
    return "\n\n".join(_paragraphs(page)) + "\n"


def _paragraphs(page: Page) -> Iterator[str]:
    yield f"# {escape(page.headline)}"
    if page.title != page.question:
        yield f"Study: {escape(page.title)}"
    yield from filter(None, (escape(page.state),))
    if page.warning:
        yield f"**{escape(page.warning)}**"
    for section in page.sections:
        yield from section_paragraphs(section)


def section_paragraphs(section: Section) -> Iterator[str]:
    """Return the paragraphs of a section, starting with its heading."""
    yield f"## {escape(section.heading)}"
    for block in section.blocks:
        if isinstance(block, Grid) and block.caption != section.heading:
            yield f"### {escape(block.caption)}"
        yield from filter(None, _block(block))


def _block(block: Block) -> Iterator[str]:
    match block:
        case Grid():
            yield _table(block)
            yield "\n".join(f"- {note}" for note in _notes(block))
        case Picture():
            yield f"![{escape(block.alt or block.caption)}]({block.stem}.svg)"
            yield f"*{escape(block.caption)}*"
        case Text():
            yield from map(escape, block.lines)
        case Facts():
            yield "\n".join(f"- {escape(term)}: {_fact(fact)}" for term, fact in block.rows)


def _fact(fact: str | Link) -> str:
    return escape(fact) if isinstance(fact, str) else f"[{escape(fact.text)}]({fact.target})"


def _table(grid: Grid) -> str:
    rule = ("---:" if heading in grid.numeric else "---" for heading in grid.headings)
    letters = grid.lettered
    rows = [[_cell(cell, letters.get(cell.note, "")) for cell in row] for row in grid.rows]
    lines = [_row(list(map(escape, grid.headings))), f"|{'|'.join(rule)}|", *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell, letter: str) -> str:
    text = escape(cell.shown) + (SIGNS["open"] if cell.mark == "open" else "")
    text = f"**{text}**" if text and cell.mark in STRONG else text
    return text + (f"<sup>{letter}</sup>" if letter else "")


def _notes(grid: Grid) -> Iterator[str]:
    yield from (f"<sup>{letter}</sup> {escape(note)}" for note, letter in grid.lettered.items())
    yield from map(escape, grid.notes)
    yield from (f"{SIGNS[mark]}: {escape(meaning)}" for mark, meaning in grid.legend.items())


def escape(text: str) -> str:
    """Return text on one line with all Markdown special characters escaped."""
    special = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"})
    return " ".join(text.split()).translate(special)
