"""`report.md`: the question, the table, the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from ablations.kinds import Run
from ablations.launch import AblationRun
from ablations.summary import agreement
from reports import front, tables
from reports.course import course
from reports.illustrations import illustrate
from reports.terminal import footnotes
from search.found import SearchRun
from search.search_study import Search
from search.study import Study


def render(run: Run) -> str:
    """The report of a run, finished or not, as Markdown."""
    lines = [*question(run.study), state(run), "", *findings(run), ""]
    # What was stopped or refused has ended as it should.
    ill = [row for row in run.reasons if row[0] in ("failed", "diverged")]
    if ill:
        rows = [(status, escape(reason), str(count)) for status, reason, count in ill]
        lines += ["## What did not end well", "", *table(("status", "reason", "trials"), ("trials",), rows), ""]
    return "\n".join([*lines, *setting(run)]) + "\n"


@singledispatch
def findings(run: object) -> list[str]:
    """What was found, by the kind of run."""
    raise TypeError(type(run).__name__)


@findings.register
def _(run: AblationRun) -> list[str]:
    rows = []
    for arm, (name, *rest) in zip(run.summaries, tables.cells(run.summaries), strict=True):
        bold = f"**{escape(name)}**" if arm.arm == run.study.baseline else escape(name)
        rows.append((bold, *map(escape, rest)))
    notes = footnotes(run.summaries, agreement(run.summaries), run.study.fail_above)
    return [*table(tables.HEADINGS, tables.NUMERIC, rows), "", *(f"- {note}" for note in notes)]


@findings.register
def _(run: SearchRun) -> list[str]:
    rows = [tuple(map(escape, row)) for row in front.cells(run.front)]
    lines = [*table(front.HEADINGS, front.NUMERIC, rows), ""]
    lines += [f"- {escape(line)}" for line in [*front.legend(run.front), *course(run)]]
    nets = [run.nets[point.key] for point in run.front]
    for file, caption in illustrate(run, run.folder.report):
        lines += ["", f"![{escape(caption)}]({file})", "", f"*{escape(caption)}*"]
    for objective, reason in run.unexplained:
        lines += ["", f"No importance of axes for {escape(objective)}: {escape(reason)}."]
    lines += ["", "## What the networks are", "", "Fields in which they differ.", ""]
    lines += [f"- `{point.key}`: {escape(front.differences(run.nets[point.key], nets))}" for point in run.front]
    return lines


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


def state(run: Run) -> str:
    """How far the run is."""
    counts = {status: count for status, count in run.counts.items() if count}
    text = ", ".join(f"{count} {status}" for status, count in counts.items())
    open_ones = counts.get("waiting", 0) + counts.get("running", 0)
    return f"Trials: {text}." + (" **Unfinished: the numbers below may still change.**" if open_ones else "")


def setting(run: Run) -> list[str]:
    """Data, recipe, seeds, machines, versions: what one needs to do it again."""
    study, sessions = run.study, run.folder.read_manifest().get("sessions", [])
    recipe = ", ".join(
        f"{name}: {value}" for name, value in study.recipe.model_dump(mode="json", exclude_defaults=True).items()
    )
    lines = [
        "## Setting",
        "",
        f"- data: {escape(study.data.name)}, validation {study.data.validation:g}, test {study.data.test:g}",
        f"- recipe: {escape(recipe)}",
        *seeds(study),
    ]
    for session in sessions[-1:]:
        machine, versions = session["machine"], session["versions"]
        lines += [
            f"- data fingerprint: {session['fingerprint']}",
            f"- machine: {machine['cpus']} CPUs, {', '.join(machine['gpus']) or 'no GPU'}, Python {machine['python']}, "
            f"{machine['system']}",
            f"- versions: {', '.join(f'{name} {version}' for name, version in versions.items())}",
            f"- commit: {session['commit'] or 'not in a checkout'}",
        ]
    return lines


@singledispatch
def seeds(study: Study) -> list[str]:
    """Which seeds, by the kind of study."""
    return [f"- seeds: 0 to {study.confirming[-1]}"]


@seeds.register
def _(study: Search) -> list[str]:
    found = f"- seeds: 0 to {study.replicates - 1} to search, "
    return [
        found + (f"{study.confirming[0]} to {study.confirming[-1]} to confirm" if study.confirm else "none to confirm")
    ]


def escape(text: str) -> str:
    """Text as it is: nothing in it is markup, closes a cell, or starts a line."""
    special = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"})
    return " ".join(text.split()).translate(special)
