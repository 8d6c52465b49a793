"""`report.md`: the question, the table, the evidence."""

from __future__ import annotations

from ablations.launch import Run
from ablations.summary import agreement
from reports.tables import HEADINGS, NUMERIC, cells
from reports.terminal import footnotes


def render(run: Run) -> str:
    """The report of a run, finished or not, as Markdown."""
    study = run.study
    lines = [f"# {escape(study.name)}", ""]
    if study.question:
        lines += [f"**{escape(study.question)}**", ""]
    if study.source:
        lines += [f"After {escape(study.source)}.", ""]
    if study.notes:
        lines += [escape(study.notes), ""]
    lines += [state(run), ""]
    lines += ["| " + " | ".join(HEADINGS) + " |"]
    lines += ["|" + "|".join("---:" if heading in NUMERIC else "---" for heading in HEADINGS) + "|"]
    for arm, row in zip(run.summaries, cells(run.summaries), strict=True):
        name, *rest = (escape(cell) for cell in row)
        lines += ["| " + " | ".join([f"**{name}**" if arm.arm == study.baseline else name, *rest]) + " |"]
    lines += ["", *(f"- {note}" for note in footnotes(run.summaries, agreement(run.summaries), study.fail_above)), ""]
    if run.reasons:
        lines += ["## What did not end well", "", "| status | reason | trials |", "|---|---|---:|"]
        lines += [f"| {status} | {escape(reason)} | {count} |" for status, reason, count in run.reasons]
        lines += [""]
    return "\n".join([*lines, *setting(run)]) + "\n"


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
        f"- seeds: 0 to {study.seeds - 1}",
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


def escape(text: str) -> str:
    """Text as it is: nothing in it is markup, closes a cell, or starts a line."""
    special = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"})
    return " ".join(text.split()).translate(special)
