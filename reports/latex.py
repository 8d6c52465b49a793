"""The tables of a page as LaTeX, to include in a paper with \\input. Needs only the package booktabs."""

from __future__ import annotations

import re
import unicodedata
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
ACCENTS = dict(
    zip(
        "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327",
        ["`", "'", "^", "~", "=", "u", ".", '"', "r", "H", "v", "c"],
        strict=True,
    )
)
"""Commands of accents, by the combining character: they work in every engine and with every font."""
NAMED = {
    "ß": "ss",
    "æ": "ae",
    "Æ": "AE",
    "ø": "o",
    "Ø": "O",
    "œ": "oe",
    "Œ": "OE",
    "ł": "l",
    "Ł": "L",
    "\u0131": "i",
    "…": "ldots",
}
"""Commands of characters without an accent."""
LIGATURES = {"“": "``", "”": "''", "\u2018": "`", "\u2019": "'", "\u2013": "--", "\u2014": "---"}

BY_NUMBER = r"""% Other characters, such as CJK: as they are if the engine and the font have them, else by their number.
% Define \unicodechar before, as in \newcommand{\unicodechar}[2]{#1}, if your document can print all of them.
\ifdefined\unicodechar\else\DeclareRobustCommand{\unicodechar}[2]{%
  \ifdefined\Umathchar % LuaTeX and XeTeX
    \ifdefined\xeCJKsetup #1\else\ifdefined\ltjsetparameter #1\else
      \iffontchar\font"#2 #1\else\texttt{U+#2}\fi\fi\fi
  \else\texttt{U+#2}\fi}\fi
"""
"""The definition of the command that prints unsupported characters."""


def escape(text: str) -> str:
    r"""Return text with all TeX special characters escaped, and unsupported characters in a command.

    Characters that are no text, such as control characters, become question marks.

    >>> escape("50 % 卷")
    '50 \\% \\unicodechar{卷}{5377}'
    """
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(SPECIAL.get(char) or LIGATURES.get(char) or _printed(char) for char in line)


def _printed(char: str) -> str:
    """Return a character that every engine prints: with a command for its accent, or by its number."""
    if " " <= char <= "~":
        return char
    if char in NAMED:
        return f"\\{NAMED[char]}{{}}"
    parts = unicodedata.normalize("NFD", char)
    if len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in ACCENTS:
        return f"\\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"\\unicodechar{{{char}}}{{{ord(char):X}}}" if char.isprintable() else "?"


SIGNS: dict[Mark, str] = {"open": r"$^{\dagger}$", "best": "Bold:"}
"""How the notes of a table show a mark."""


def render(page: Page) -> str:
    """Return the tables of the page. Equal pages give identical text."""
    tables = [table(grid) for section in page.sections for grid in section.paper]
    made = f"% {escape(page.title)}: needs \\usepackage{{booktabs}}\n"
    return made + (BY_NUMBER if any("\\unicodechar{" in one for one in tables) else "") + "\n".join(tables)


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
