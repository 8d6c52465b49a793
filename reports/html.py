"""A page as HTML: one self-contained file that needs no network connection and is readable without scripts."""

from __future__ import annotations

import base64
import hashlib
import math
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports.figures import embedding
from reports.page import DOUBLE, SINGLE, Mark, Page, Picture

STRONG: tuple[Mark, ...] = ("best", "resolved")
"""Marks that are shown in bold."""
SIGNS: dict[Mark, str] = {"open": "~", "best": "Bold"}
"""How the legend of a table shows a mark."""
STACKED = 3
"""On a phone, each row of a table with more columns becomes a block: no number is hidden at the side."""


def render(page: Page) -> str:
    """Return the page as one HTML file. Equal pages give identical text."""
    script, style = _part("page.js"), _part("page.css")
    for theme, dark in (("light", False), ("dark", True)):
        style = style.replace(f"/* figures: {theme} */", embedding.variables(dark=dark))
    return (
        _templates()
        .get_template("page.html")
        .render(
            page=page,
            script=Markup(script),
            # The content security policy allows only the script with this hash.
            hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            style=Markup(style),
        )
    )


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: embedding.printable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"STRONG": STRONG, "SIGNS": SIGNS, "SINGLE": SINGLE, "DOUBLE": DOUBLE, "STACKED": STACKED}
    templates.filters["kind"] = lambda block: type(block).__name__
    templates.filters["sortable"] = _sortable
    templates.filters["is_long"] = _is_long
    templates.filters["key"] = lambda index: Markup(embedding.key(index))
    templates.filters["svg"] = _svg
    return templates


def _part(name: str) -> str:
    return files("reports").joinpath("templates", name).read_text(encoding="utf-8")


def _svg(picture: Picture, prefix: str, width: float) -> Markup:
    return Markup(embedding.svg(picture.at(width), picture.alt or picture.caption, prefix))


def _is_long(text: str, numeric: bool) -> bool:
    """Whether a cell may be wrapped: long text, and a number with words, such as `6.61 ± 0.16 (mean of 5)`."""
    return len(text) > (16 if numeric else 24) and (not numeric or any(map(str.isalpha, text)))


def _sortable(value: float | str | None) -> str | None:
    """Return the sort key of a row as JavaScript reads it; None for a missing number or NaN."""
    if value is None or isinstance(value, str):
        return value
    if math.isnan(value):
        return None
    return repr(float(value)) if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
