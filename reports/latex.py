"""The tables of a page as LaTeX, to include in a paper with \\input. Needs only the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reports.page import Cell, Grid, Mark, Page

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "≤": r"$\le$",
    "²": "$^2$",
    **{
        letter: f"$\\{name}$"
        for letter, name in zip(
            "αβγλρστχ", ["alpha", "beta", "gamma", "lambda", "rho", "sigma", "tau", "chi"], strict=True
        )
    },
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
UNSUPPORTED = re.compile(r"[^\x20-\x7eÀ-ÿ\u2013\u2014\u2018\u2019\u201c\u201d…]|[ÐðÞþ]")
"""Characters that pdflatex cannot print with its default fonts."""


def escape(text: str) -> str:
    """Return text with all TeX special characters escaped; unsupported characters become question marks."""
    line = " ".join(text.split())
    return "".join(SPECIAL.get(char) or ("?" if UNSUPPORTED.match(char) else char) for char in line)


SIGNS: dict[Mark, str] = {"open": r"$^{\dagger}$", "best": "Bold:"}
"""How the notes of a table show a mark."""


def render(page: Page) -> str:
    """Return the tables of the page. Equal pages give identical text."""
    tables = [table(grid) for section in page.sections for grid in section.paper]
    return f"% {escape(page.title)}: needs \\usepackage{{booktabs}}\n" + "\n".join(tables)


def table(grid: Grid) -> str:
    """Return a table in a floating environment, with its notes below."""
    columns = "".join("r" if heading in grid.numeric else "l" for heading in grid.headings)
    letters = grid.lettered
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{_sentence(grid.caption)}}}",
        f"  \\label{{tab:{grid.label}}}",
        f"  \\begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {' & '.join(map(escape, grid.headings))} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(_cell(cell, letters.get(cell.note, '')) for cell in row)} \\\\" for row in grid.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
    ]
    if notes := " ".join(_notes(grid)):
        lines += [r"  \par\smallskip", f"  \\parbox{{\\linewidth}}{{\\footnotesize {notes}}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _cell(cell: Cell, letter: str) -> str:
    text = _text(cell.shown)
    if cell.mark == "best":
        text = f"\\textbf{{{text}}}"
    return text + (f"$^{{{letter}}}$" if letter else "") + (SIGNS["open"] if cell.mark == "open" else "")


def _notes(grid: Grid) -> Iterator[str]:
    yield from (f"$^{{{letter}}}$ {_text(note)}." for note, letter in grid.lettered.items())
    yield from map(_text, grid.notes)
    yield from (f"{SIGNS[mark]} {_text(meaning)}" for mark, meaning in grid.legend.items())


def _sentence(text: str) -> str:
    """Return escaped text that ends with a full stop, unless it ends with `?` or `!`."""
    return _text(text if text.endswith((".", "?", "!")) else f"{text}.")


def _text(text: str) -> str:
    """Return escaped text with non-breaking spaces around ± and thin spaces before %."""
    tied = re.sub(r"(?<=\d) \$\\pm\$ (?=\d)", r"~$\\pm$~", escape(text))
    return re.sub(r"(?<=\d) (?=\\%)", r"\\,", tied)
