"""`report.md`: the question, the table, the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import singledispatch

from ablations.run import AblationRun
from reports import figures, front, tables
from reports import published as known
from reports.answer import answer
from reports.course import course
from reports.illustrations import Illustration, illustrations
from reports.notes import footnotes, ill
from reports.runs import Run
from reports.setting import setting, state, unfinished
from search.exploring.run import SearchRun
from search.trials.study import Study


def render(run: Run, illustrated: Iterable[Illustration] | None = None) -> str:
    """The report of a run, finished or not, as Markdown; its figures, by themselves those without anything published,
    are drawn into the report's folder."""
    illustrated = illustrations(run) if illustrated is None else illustrated
    far = state(run) + (" **Unfinished: the numbers below may still change.**" if unfinished(run) else "")
    lines = [*question(run.study), far, "", *findings(run, illustrated), ""]
    if lost := ill(run):
        rows = [(status, escape(reason), str(count)) for status, reason, count in lost]
        lines += ["## What did not end well", "", *table(("status", "reason", "trials"), ("trials",), rows), ""]
    facts = [f"- {term}: {escape(fact)}" for term, fact in setting(run)]
    return "\n".join([*lines, "## Setting", "", *facts]) + "\n"


@singledispatch
def findings(run: object, illustrated: Iterable[Illustration]) -> list[str]:
    """What was found, by the kind of run."""
    raise TypeError(type(run).__name__)


@findings.register
def _(run: AblationRun, illustrated: Iterable[Illustration]) -> list[str]:
    rows = []
    for arm, (name, *rest) in zip(run.summaries, tables.cells(run), strict=True):
        bold = f"**{escape(name)}**" if arm.arm == run.study.control else escape(name)
        rows.append((bold, *map(escape, rest)))
    lines = [escape(answer(run)), "", *table(tables.HEADINGS, tables.NUMERIC, rows), ""]
    lines += [f"- {escape(note)}" for note in footnotes(run)]
    for heading, planned in (("Planned comparisons", True), ("Exploratory comparisons", False)):
        found = [each for each in run.findings if each.planned == planned]
        if found:
            cells = [tuple(map(escape, tables.compared(each))) for each in found]
            lines += ["", f"## {heading}", "", *table(tables.COMPARED, tables.COMPARED[3:], cells)]
    if both := tables.both_ways(run):
        cells = [tuple(map(escape, row)) for row in both]
        lines += ["", "## Raw and matched", "", *table(tables.BOTH_WAYS, tables.BOTH_WAYS[1:], cells)]
    lines += effects_of_factors(run)
    return [*lines, *pictures(run, illustrated)]


@findings.register
def _(run: SearchRun, illustrated: Iterable[Illustration]) -> list[str]:
    rows = [tuple(map(escape, row)) for row in front.cells(run.front)]
    lines = [*table(front.HEADINGS, front.NUMERIC, rows), ""]
    lines += [f"- {escape(line)}" for line in [*front.legend(run.front), *course(run)]]
    lines += pictures(run, illustrated)
    for objective, reason in run.without_importance:
        lines += ["", f"No importance of axes for {escape(objective)}: {escape(reason)}."]
    lines += ["", "## What the networks are", "", "Fields in which they differ.", ""]
    apart = front.differences([run.nets[point.key] for point in run.front])
    lines += [f"- `{point.key}`: {escape(told)}" for point, told in zip(run.front, apart, strict=True)]
    return lines


def pictures(run: Run, illustrated: Iterable[Illustration]) -> list[str]:
    """The figures, drawn into the report's folder as SVG and PNG."""
    lines = []
    for each in illustrated:
        figures.save(each.figure, run.folder.report, each.stem)
        caption = escape(each.caption)
        lines += ["", f"![{caption}]({each.stem}.svg)", "", f"*{caption}*"]
        if rows := known.with_a_place(each.published):
            cells = [tuple(map(escape, row)) for row in known.cells(rows)]
            lines += ["", *table(known.HEADINGS, known.NUMERIC, cells), ""]
            lines += [f"- {escape(note)}" for note in known.NOTES]
    return lines


def effects_of_factors(run: AblationRun) -> list[str]:
    """Main effects and interactions, where the design has factors."""
    found = tables.terms(run)
    if not found:
        return []
    rows = [tuple(map(escape, row)) for row in found]
    notes = [f"- {escape(note)}" for note in run.variance_notes]
    return ["", "## Effects of the factors", "", *table(tables.TERMS, tables.TERMS[1:-1], rows), "", *notes]


def question(study: Study) -> list[str]:
    """What was asked, and after whom."""
    lines = [f"# {escape(study.name)}", ""]
    if study.question:
        lines += [f"**{escape(study.question)}**", ""]
    if study.source:
        lines += [f"After {escape(study.source)}.", ""]
    if study.notes:
        lines += [escape(study.notes), ""]
    return lines


def table(headings: Sequence[str], numeric: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells that are escaped already."""
    rule = "|" + "|".join("---:" if heading in numeric else "---" for heading in headings) + "|"
    return [f"| {' | '.join(headings)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)]


def escape(text: str) -> str:
    """Text as it is: nothing in it is markup, closes a cell, or starts a line."""
    special = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"})
    return " ".join(text.split()).translate(special)
