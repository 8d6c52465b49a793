"""A page: the content of a report as plain data. Renderers show it as HTML, Markdown, LaTeX or terminal output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SINGLE, DOUBLE = 3.25, 6.75
"""Widths of figures in inches: one and two columns of a paper. A page shows the wide form, a phone the narrow one."""

Mark = Literal["", "baseline", "best", "resolved", "open"]
"""The meaning of a cell in addition to its text; each renderer shows it in its own way.

`baseline`: the name of the baseline; `best`: the best value, if that is resolved; `resolved`: a resolved finding;
`open`: a value that can still change.
"""


@dataclass(frozen=True)
class Cell:
    """A cell of a table. Rows are sorted by `sort`; rows in which it is None come last.

    A `note` is shown below the table, with a letter after the cell's text.
    """

    text: str
    sort: float | str | None = None
    mark: Mark = ""
    note: str = ""

    @property
    def shown(self) -> str:
        """The text, with a word for the baseline."""
        return f"{self.text} (baseline)" if self.mark == "baseline" else self.text


@dataclass(frozen=True)
class Grid:
    """A table. The first cell of a row is its name, such as an arm or a network.

    >>> Grid("Arms", ["arm", "error, %"], ["error, %"], [[Cell("base"), Cell("1.39", sort=0.0139)]]).caption
    'Arms'
    """

    caption: str
    headings: Sequence[str]
    numeric: Sequence[str]
    """The headings of columns of numbers."""
    rows: Sequence[Sequence[Cell]]
    arms: Sequence[int | None] = ()
    """The index of each row's arm in the table of arms; figures use the same indices."""
    notes: Sequence[str] = ()
    """Shown below the table, after the notes of cells."""
    legend: Mapping[Mark, str] = field(default_factory=dict)
    """The meaning of marks, for the marks that need an explanation in this table."""
    label: str = ""
    """The LaTeX label of the table."""

    @property
    def lettered(self) -> dict[str, str]:
        """Letters a, b, c ... by note, one per distinct note."""
        found = dict.fromkeys(cell.note for row in self.rows for cell in row if cell.note)
        return {note: letters(at) for at, note in enumerate(found)}

    def without_empty_columns(self) -> Grid:
        """Return the table without columns that have no text and no note in any row."""
        empty = [
            heading
            for at, heading in enumerate(self.headings)
            if self.rows and not any(row[at].text or row[at].note for row in self.rows)
        ]
        return self.without(*empty)

    def without(self, *headings: str) -> Grid:
        """Return the table without these columns."""
        kept = [at for at, heading in enumerate(self.headings) if heading not in headings]
        rows = [[row[at] for at in kept] for row in self.rows]
        return replace(self, headings=[self.headings[at] for at in kept], rows=rows)


@dataclass(frozen=True)
class Picture:
    """A figure. `caption` explains it; `alt` is its text alternative."""

    stem: str
    """The name of its files without the suffix."""
    draw: Callable[[float], Figure]
    """From a width in inches to the figure, laid out for this width."""
    caption: str
    alt: str = ""

    @property
    def figure(self) -> Figure:
        """The figure over two columns."""
        return self.at(DOUBLE)

    def at(self, width: float) -> Figure:
        """Return the figure at this width in inches, drawn on first use and cached for all formats."""
        if width not in self._drawn:
            self._drawn[width] = self.draw(width)
        return self._drawn[width]

    @cached_property
    def _drawn(self) -> dict[float, Figure]:
        return {}


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Link:
    """The text of a link to a file. `target` is a path relative to the folder of the report."""

    text: str
    target: str


@dataclass(frozen=True)
class Facts:
    """Terms and facts, such as the setting of a run."""

    rows: Sequence[tuple[str, str | Link]]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """The rows with the text of each link alone."""
        return [(term, fact if isinstance(fact, str) else fact.text) for term, fact in self.rows]


Block = Grid | Picture | Text | Facts


@dataclass(frozen=True)
class Section:
    """A heading and the blocks below it."""

    heading: str
    blocks: Sequence[Block]
    """The complete section, for HTML and Markdown."""
    brief: Sequence[Block] = ()
    """The part that a terminal shows."""
    paper: Sequence[Grid] = ()
    """The tables for a paper, in LaTeX."""


@dataclass(frozen=True)
class Page:
    """A question, its answer, and the evidence in sections. `state` is the progress of the run."""

    title: str
    question: str
    answer: str
    state: str
    warning: str = ""
    sections: Sequence[Section] = ()

    @property
    def headline(self) -> str:
        """The question and its answer in one line; the name of the study in place of a missing question."""
        question = self.question or self.title
        return " ".join(filter(None, (question if question.endswith(("?", ".", "!")) else f"{question}:", self.answer)))

    @property
    def pictures(self) -> list[Picture]:
        """All figures, in page order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]


def texts(rows: Iterable[Iterable[str]]) -> list[list[Cell]]:
    """Return rows of cells that have only text."""
    return [[Cell(text) for text in row] for row in rows]


def letters(at: int) -> str:
    """Return a to z, then aa, ab and so on.

    >>> [letters(at) for at in (0, 25, 26)]
    ['a', 'z', 'aa']
    """
    return ("" if at < 26 else letters(at // 26 - 1)) + chr(ord("a") + at % 26)
