"""`report.tex`: the tables as papers print them, to be read in by \\input; needs the package booktabs alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ablations.published import Published
from ablations.run import AblationRun
from reports import front
from reports import published as known
from reports.answer import answer
from reports.numerals import engineering, percent, published
from reports.origin import origin
from reports.tables import points
from search.exploring.run import SearchRun
from search.trials.study import Study

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "÷": r"$\div$",
    **{
        letter: f"$\\{name}$"
        for letter, name in zip("αβγλρστ", ["alpha", "beta", "gamma", "lambda", "rho", "sigma", "tau"], strict=True)
    },
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
NOT_DRAWN = re.compile(r"[^\x20-\x7eÀ-ÿ\u2013\u2014\u2018\u2019\u201c\u201d…]|[ÐðÞþ]")
"""What pdflatex has no letter for with its own fonts."""


def escape(text: str) -> str:
    """Text as it is: nothing in it is a command; a letter that TeX's fonts lack becomes a question mark."""
    line = " ".join(text.split())
    return "".join(SPECIAL.get(char) or ("?" if NOT_DRAWN.match(char) else char) for char in line)


def table(
    label: str, caption: str, headings: Sequence[str], numeric: Sequence[str], rows: Sequence[Sequence[str]], notes: str
) -> str:
    """A table with cells that are TeX already; `caption` and `notes` too."""
    columns = "".join("r" if heading in numeric else "l" for heading in headings)
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{caption}}}",
        f"  \\label{{tab:{label}}}",
        f"  \\begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {' & '.join(map(escape, headings))} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(row)} \\\\" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
    ]
    if notes:
        lines += [r"  \par\smallskip", f"  \\parbox{{\\linewidth}}{{\\footnotesize {notes}}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def of_ablation(run: AblationRun, published_rows: Sequence[Published] = ()) -> str:
    """The table of arms: mean ± standard deviation, the difference to the baseline with its interval."""
    best = run.best
    with_published = any(arm.published for arm in run.summaries)
    headings = ["arm", "params", "MACs", "test error, %", "n", "difference, points"]
    footnotes: list[str] = []
    rows = []
    for arm in run.summaries:
        marks = []
        if arm.bad:
            footnotes.append(f"{arm.outcome}: not in the mean")
            marks.append(f"$^{{{_letter(len(footnotes))}}}$")
        error = escape(percent(arm.mean, arm.std)).replace(" ", "~")
        bold = f"\\textbf{{{error}}}" if arm.arm == best else error
        found = run.finding_of(arm.arm)
        row = [
            escape(arm.arm) + (" (baseline)" if arm.arm == run.study.control else ""),
            engineering(arm.params),
            engineering(arm.macs),
            bold + "".join(marks) + (r"$^{\dagger}$" if arm.unfinished else ""),
            str(arm.n),
            escape(points(found)),
        ]
        rows.append([*row, published(arm.published)] if with_published else row)
    if with_published:
        headings.append("published, %")
    notes = [f"$^{{{_letter(number)}}}$ {escape(text)}." for number, text in enumerate(footnotes, 1)]
    notes += [escape(line) for line in origin(run)]
    if any(arm.unfinished for arm in run.summaries):
        notes.append(r"$^{\dagger}$ may still change: trials are to come.")
    notes.append(
        r"Mean $\pm$ standard deviation over $n$ seeds; differences over pairs of seeds, with 95\,\% interval."
    )
    if any(found.resolved for found in run.findings):
        notes.append(f"*: resolved, $p \\le {run.study.planned.alpha:g}$ {run.study.planned.adjustment.holds}.")
    if best:
        notes.append("Bold: better than every other arm.")
    caption = f"{escape(run.study.question or run.study.name)} {escape(answer(run))}"
    arms = table(run.study.name, caption, headings, headings[1:], rows, " ".join(notes))
    return _head(run.study) + arms + _known(run.study, published_rows)


def of_search(run: SearchRun, published_rows: Sequence[Published] = ()) -> str:
    """The table of the front."""
    rows = [[escape(cell) for cell in row[:-1]] for row in front.cells(run.front)]
    headings = front.HEADINGS[:-1]
    caption = escape(run.study.question or run.study.name)
    notes = " ".join(escape(line) for line in [*front.legend(run.front), *origin(run)])
    points = table(run.study.name, caption, headings, front.NUMERIC, rows, notes)
    return _head(run.study) + points + _known(run.study, published_rows)


def _known(study: Study, rows: Sequence[Published]) -> str:
    """A table of its own for what was published, if anything was asked for."""
    if not (rows := known.with_a_place(rows)):
        return ""
    cells = [[escape(text) for text in row] for row in known.cells(rows)]
    notes = " ".join(escape(note) for note in known.NOTES)
    label, caption = f"{study.name}-published", escape(known.LABEL.capitalize() + ".")
    return "\n" + table(label, caption, known.HEADINGS, known.NUMERIC, cells, notes)


def _head(study: Study) -> str:
    return f"% {escape(study.name)}: needs \\usepackage{{booktabs}}\n"


def _letter(number: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[(number - 1) % 26]
