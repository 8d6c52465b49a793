"""A page as data, and its HTML: one file that needs nothing else, neither a network nor scripts, to be read."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from reports import themed


@dataclass(frozen=True)
class Cell:
    """A cell of a table. `sort` is what the row is sorted by, None where there is nothing: such rows come last.

    A `note` gets a mark behind the text, and stands below the table.
    """

    text: str
    sort: float | str | None = None
    strong: bool = False
    muted: bool = False
    note: str = ""


@dataclass(frozen=True)
class Grid:
    """A table; the first cell of a row is what the row is about. `arms` are the rows' arms, as the figures count them.

    `numeric` are those of the headings whose cells are numbers. `notes` stand below the table.
    """

    caption: str
    headings: Sequence[str]
    numeric: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    arms: Sequence[int | None] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A figure. The caption says what is in it, `alt` what one sees in it."""

    figure: Figure
    caption: str
    alt: str


@dataclass(frozen=True)
class Text:
    """Paragraphs, each a line of plain text."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Terms and what they are: where something comes from, how to do it again."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """What stands below a heading."""

    heading: str
    blocks: Sequence[Grid | Picture | Text | Facts]


@dataclass(frozen=True)
class Page:
    """A question and its answer first; then what they rest on. `state` is how far the run is."""

    title: str
    question: str
    answer: str
    state: str
    warning: str = ""
    sections: Sequence[Section] = ()


def render(page: Page) -> str:
    """The page as one HTML file. The same page is the same text."""
    script, style = _part("page.js"), _part("page.css")
    return (
        _templates()
        .get_template("page.html")
        .render(
            page=page,
            script=Markup(script),
            # What a browser compares the script with: any other is not run.
            hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            style=Markup(
                style.replace("/* figures: light */", themed.variables(dark=False)).replace(
                    "/* figures: dark */", themed.variables(dark=True)
                )
            ),
        )
    )


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: themed.printable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["kind"] = lambda block: type(block).__name__
    templates.filters["sortable"] = _sortable
    templates.filters["notes"] = _notes
    templates.filters["tone"] = themed.tone
    templates.filters["svg"] = lambda picture, prefix: Markup(themed.svg(picture.figure, picture.alt, prefix))
    return templates


def _part(name: str) -> str:
    return files("reports").joinpath("templates", name).read_text(encoding="utf-8")


def _sortable(value: float | str | None) -> str | None:
    """What a row is sorted by, as JavaScript reads it; None where a number is none."""
    if value is None or isinstance(value, str):
        return value
    if math.isnan(value):
        return None
    return repr(float(value)) if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _notes(grid: Grid) -> dict[str, str]:
    """The marks of a table's cells by note, each note once: a, b, c."""
    found = dict.fromkeys(cell.note for row in grid.rows for cell in row if cell.note)
    return {note: _letters(at) for at, note in enumerate(found)}


def _letters(at: int) -> str:
    """a to z, then aa, ab and so on."""
    return ("" if at < 26 else _letters(at // 26 - 1)) + chr(ord("a") + at % 26)
