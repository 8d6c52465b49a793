"""A page to test with: a study of three arms, every text of it as wanted."""

from __future__ import annotations

from functools import cache
from typing import Any

from reports import comparisons, page
from reports.comparisons import Bar
from reports.numbering import Place
from reports.page import Cell, Facts, Grid, Page, Picture, Section, Text

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
# Neither in the order of their numbers nor in that of their names; the last has none.
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
    return Picture(comparisons.forest(bars, baseline="identity"), caption="Differences", alt="Three rows")


@cache
def costs(*arms: str) -> Picture:
    places = [Place(arm, index, 1e6 * (index + 1), 0.1, 0.01, False) for index, arm in enumerate(arms or ARMS)]
    return Picture(comparisons.complexity(places), caption="Costs", alt="Three points")


def study(text: str = "plain", sections: int = 4) -> Page:
    first = Section("What was found", [grid(), forest(), costs()])
    rest = [Section(f"Section {at}", [Text([text]), Facts([(text, text)])]) for at in range(2, sections + 1)]
    return Page(text, text, text, text, warning=text, sections=[first, *rest])


@cache
def html_of(text: str = "plain") -> str:
    return page.render(study(text))
