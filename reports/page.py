"""A page: what a report says, as plain data. Renderers turn it into HTML, Markdown, LaTeX and lines on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Mark = Literal["", "baseline", "best", "resolved", "open"]
"""What a cell is, beyond its text: the baseline's name, the best value where that is resolved, a finding that is
resolved, a value that may still change. Each renderer shows a mark in its own way."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table. A row is sorted by `sort`; rows where it is None come last.

    A `note` is shown below the table, with a letter after the cell's text.
    """

    text: str
    sort: float | str | None = None
    mark: Mark = ""
    note: str = ""


@dataclass(frozen=True)
class Grid:
    """A table. The first cell of a row names what the row is about."""

    caption: str
    headings: Sequence[str]
    numeric: Sequence[str]
    """The headings of columns of numbers."""
    rows: Sequence[Sequence[Cell]]
    arms: Sequence[int | None] = ()
    """The arm of each row, by its place in the table of arms: figures count arms in the same way."""
    notes: Sequence[str] = ()
    """Shown below the table, after the notes of cells."""
    legend: Mapping[Mark, str] = field(default_factory=dict)
    """What marks mean, for the marks that need an explanation here."""
    label: str = ""
    """How a paper refers to the table."""

    @property
    def lettered(self) -> dict[str, str]:
        """Letters a, b, c by note of a cell, each note once."""
        found = dict.fromkeys(cell.note for row in self.rows for cell in row if cell.note)
        return {note: letters(at) for at, note in enumerate(found)}

    def without_empty_columns(self) -> Grid:
        """The same table without columns that have neither a text nor a note in any row."""
        if not self.rows:
            return self
        kept = [at for at in range(len(self.headings)) if any(row[at].text or row[at].note for row in self.rows)]
        rows = [[row[at] for at in kept] for row in self.rows]
        return replace(self, headings=[self.headings[at] for at in kept], rows=rows)


@dataclass(frozen=True)
class Picture:
    """A figure. `caption` explains it, `alt` says what it shows to readers who cannot see it."""

    stem: str
    """The name of its files, without their formats."""
    draw: Callable[[], Figure]
    caption: str
    alt: str = ""

    @cached_property
    def figure(self) -> Figure:
        """Drawn when it is first needed, and once for all formats."""
        return self.draw()


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Terms and facts, such as the setting of a run."""

    rows: Sequence[tuple[str, str]]


Block = Grid | Picture | Text | Facts


@dataclass(frozen=True)
class Section:
    """A heading and the blocks below it."""

    heading: str
    blocks: Sequence[Block]
    """The whole section, for documents: HTML and Markdown."""
    brief: Sequence[Block] = ()
    """What a terminal shows of it."""
    paper: Sequence[Grid] = ()
    """The tables that a paper prints of it: LaTeX."""


@dataclass(frozen=True)
class Page:
    """A question and its answer, then the evidence. `state` says how far the run is."""

    title: str
    question: str
    answer: str
    state: str
    warning: str = ""
    sections: Sequence[Section] = ()

    @property
    def pictures(self) -> list[Picture]:
        """All pictures, in their order on the page."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]


def texts(rows: Iterable[Iterable[str]]) -> list[list[Cell]]:
    """Rows of cells that are text alone."""
    return [[Cell(text) for text in row] for row in rows]


def letters(at: int) -> str:
    """a to z, then aa, ab and so on.

    >>> [letters(at) for at in (0, 25, 26)]
    ['a', 'z', 'aa']
    """
    return ("" if at < 26 else letters(at // 26 - 1)) + chr(ord("a") + at % 26)
