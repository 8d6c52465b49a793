"""Blocks of a page as a fragment of HTML, for notebooks: tables and lines without style, script or figures."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from reports.page import Block, Facts, Grid, Page, Text, texts


def page(found: Page) -> str:
    """Return the question of a page, its answer, its state, and the brief form of its sections."""
    lines = [found.answer, found.state, *filter(None, [found.warning])]
    brief = (block for section in found.sections for block in section.brief)
    return _heading(found.title) + _lines([found.question]) + _lines(lines) + blocks(brief)


def blocks(some: Iterable[Block]) -> str:
    """Return blocks one after another, without figures."""
    return Markup("").join(map(_block, some))


def table(caption: str, headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of texts."""
    return _grid(Grid(caption, list(headings), [], texts(rows)))


def _block(block: Block) -> Markup:
    match block:
        case Grid():
            return _grid(block)
        case Text():
            return _lines(block.lines)
        case Facts():
            return _grid(Grid("", ["", ""], [], texts(block.texts)))
    return Markup("")


def _grid(grid: Grid) -> Markup:
    caption = Markup("<caption>{}</caption>").format(grid.caption) if grid.caption else Markup("")
    shown = any(grid.headings)
    head = Markup("<thead>{}</thead>").format(_row("th", grid.headings)) if shown else Markup("")
    letters = grid.lettered
    rows = [[cell.shown + (f" ({letters[cell.note]})" if cell.note else "") for cell in row] for row in grid.rows]
    body = Markup("<tbody>{}</tbody>").format(Markup("").join(_row("td", row) for row in rows))
    notes = [*(f"({letter}) {note}" for note, letter in letters.items()), *grid.notes]
    return Markup("<table>{}{}{}</table>{}").format(caption, head, body, _lines(notes))


def _row(tag: str, cells: Iterable[str]) -> Markup:
    cell = Markup(f"<{tag}>{{}}</{tag}>")
    return Markup("<tr>{}</tr>").format(Markup("").join(cell.format(text) for text in cells))


def _lines(lines: Iterable[str]) -> Markup:
    return Markup("").join(Markup("<p>{}</p>").format(line) for line in lines if line)


def _heading(text: str) -> Markup:
    return Markup("<h3>{}</h3>").format(text)
