"""A page for tests: a study of three arms, with any text in all places."""

from __future__ import annotations

from functools import cache
from typing import Any

from reports import html
from reports.figures import complexity, differences
from reports.figures.complexity import Place
from reports.figures.differences import Bar
from reports.page import Block, Cell, Facts, Grid, Link, Page, Picture, Section, Text

BREAKING = "<script>alert(1)</script>"
HOSTILE = [
    BREAKING,
    '"><img src=x onerror=alert(1)>',
    "</style></title></script>",
    "{{ 7 * 7 }}",
    "&lt;",
    "шорткат $x$",
]
ARMS = ["identity", "exclusive gate, bias -6", "dropout 0.5"]
# Not sorted by value or by name; the last arm has no error.
ERRORS = [0.0966, 0.0130, None]


def grid(arms: list[str] = ARMS, errors: list[float | None] = ERRORS, **others: Any) -> Grid:
    rows = [
        [Cell(arm), Cell("-" if error is None else f"{100 * error:.2f} ± 0.43", sort=error)]
        for arm, error in zip(arms, errors, strict=True)
    ]
    known: dict[str, Any] = {"caption": "All arms", "arms": range(len(arms))}
    return Grid(headings=["arm", "test error, %"], numeric=["test error, %"], rows=rows, **known | others)


@cache
def forest(*arms: str) -> Picture:
    bars = [Bar(arm, index, 0.01 * index, 0, 0.05, index > 1, True) for index, arm in enumerate(arms or ARMS)]
    return Picture(
        "forest", lambda width: differences.forest(bars, baseline="identity", width=width), "Differences", "Three rows"
    )


@cache
def costs(*arms: str) -> Picture:
    places = [Place(arm, index, 1e6 * (index + 1), 0.1, 0.01, False) for index, arm in enumerate(arms or ARMS)]
    return Picture("costs", lambda width: complexity.complexity(places, width=width), "Costs", "Three points")


def study(text: str = "plain", sections: int = 4) -> Page:
    first = Section("What was found", [grid(), forest(), costs()])
    rest = [Section(f"Section {at}", [Text([text]), Facts([(text, text)])]) for at in range(2, sections + 1)]
    return Page(text, text, text, text, warning=text, sections=[first, *rest])


@cache
def html_of(text: str = "plain") -> str:
    return html.render(study(text))


def headings(page: Page) -> list[str]:
    return [section.heading for section in page.sections]


def blocks(page: Page, heading: str) -> list[Block]:
    """Return the blocks of the section with this heading."""
    (found,) = [section.blocks for section in page.sections if section.heading == heading]
    return list(found)


def table(page: Page, caption: str) -> Grid:
    """Return the table with this caption."""
    found = [block for section in page.sections for block in section.blocks if isinstance(block, Grid)]
    (grid,) = [grid for grid in found if grid.caption == caption]
    return grid


def facts(page: Page) -> dict[str, str | Link]:
    """Return the facts of the setting."""
    (found,) = [block for block in blocks(page, "Setting") if isinstance(block, Facts)]
    return dict(found.rows)
