"""Parts of every run's document: progress, failed and diverged trials, and setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablations.published import Published
from reports.document.recipe import in_words
from reports.page import Block, Cell, Facts, Grid, Link, Page, Section, Text
from reports.runs import Run
from search.running.progress import format_duration
from search.trials.events import FINISHED

Fact = tuple[str, str | Link]
"""A term and its value, such as ("seeds", "0 to 2")."""
STUDY = Link("study.yaml", "../study.yaml")
"""The file of the study in the run's folder, of which the report's folder is a part."""


def state(run: Run) -> str:
    """Return the number of trials by status, such as `Trials: 3 complete, 1 running, 2 waiting.`"""
    counts = [f"{count} {status}" for status, count in run.counts.items() if count]
    return f"Trials: {', '.join(counts)}."


def warning(run: Run) -> str:
    """Return a warning for a run with waiting or running trials; empty for a finished run."""
    unfinished = run.counts.get("waiting", 0) + run.counts.get("running", 0)
    return "Unfinished run: numbers can still change." if unfinished else ""


def page(run: Run, answer: str, sections: Sequence[Section]) -> Page:
    """Return the page of a run with these sections."""
    return Page(
        title=run.study.name,
        question=run.study.question or run.study.name,
        answer=answer,
        state=state(run),
        warning=warning(run),
        sections=sections,
    )


def failed_trials(run: Run, _: Sequence[Published] = ()) -> Section | None:
    """Return failed and diverged trials by reason, most frequent first; None if there are none.

    Pruned and infeasible trials ended as planned and are not listed.
    """
    bad = [row for row in run.reasons if row[0] in ("failed", "diverged")]
    if not bad:
        return None
    rows = [[Cell(status), Cell(reason), Cell(f"{number}", number)] for status, reason, number in bad]
    ended = sum(run.counts[status] for status in FINISHED if status != "infeasible")
    return Section(
        "Failed and diverged trials",
        [Grid("Trials by reason", ("status", "reason", "trials"), ("trials",), rows)],
        brief=[Text([f"{number} of {ended} trials {status}: {reason}" for status, reason, number in bad])],
    )


def setting(run: Run, *, network: Sequence[Fact] = (), seeds: str, planned: Sequence[Fact] = ()) -> Section:
    """Return what is needed to repeat the run. The arguments are the facts that depend on the kind of study."""
    study, sessions = run.study, run.folder.read_manifest().get("sessions", [])
    # With the changes for all networks; the data do not matter here.
    recipe, _ = next(iter(study.on_each.values())).trainings[0]
    facts = [
        ("study", STUDY),
        *network,
        *_data(run),
        ("recipe", "; ".join(f"{name}: {value}" for name, value in in_words(recipe))),
        ("seeds", seeds),
        *planned,
        ("training", _training(run)),
        *_sessions(run, sessions),
    ]
    background = [line for line in (f"Source: {study.source}." if study.source else "", study.notes) if line]
    blocks: list[Block] = [Text(background)] if background else []
    return Section("Setting", [*blocks, Facts(facts)])


def _data(run: Run) -> list[Fact]:
    """Return one fact for each data set: its name, its splits, and its fingerprint if there are several."""
    facts: list[Fact] = []
    for place, (label, on_one) in enumerate(run.study.on_each.items()):
        data, prints = on_one.dataset, run.folder.at(place).fingerprints
        more = f", fingerprint {prints[0] if prints else 'not stored'}" if run.study.several else ""
        divided = ", divided anew for each seed" if data.split == "seed" else ""
        facts.append(("data", f"{label}, validation {data.validation:g}, test {data.test:g}{divided}{more}"))
    return facts


def _sessions(run: Run, sessions: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """Return the machine and versions of the last session, and the energy of all sessions."""
    if not sessions:
        return []
    machine, versions = sessions[-1]["machine"], sessions[-1]["versions"]
    prints = run.folder.fingerprints
    return [
        *([] if run.study.several else [("data fingerprint", prints[0] if prints else "not stored")]),
        (
            "machine",
            f"{machine['cpus']} CPUs{_processor_name(machine)}, "
            f"{', '.join(machine['gpus']) or 'no GPU'}, Python {machine['python']}, {machine['system']}",
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        *_wrong_kernels(sessions),
        ("commit", sessions[-1]["commit"] or "unknown: not run from a git checkout"),
        ("energy", _energy(sessions)),
        ("started", f"{sessions[0]['began']}" + (f", in {len(sessions)} sessions" if len(sessions) > 1 else "")),
    ]


def _processor_name(machine: Mapping[str, Any]) -> str:
    processor = machine.get("processor")
    return f" ({processor['name']})" if processor else ""


def _wrong_kernels(sessions: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """Return kernels with wrong results on a machine, and their workarounds."""
    lines = [line for session in sessions for line in session.get("kernels", ())]
    return [("wrong kernel", line) for line in dict.fromkeys(lines)]


def _energy(sessions: Sequence[Mapping[str, Any]]) -> str:
    known = [session["joules"] for session in sessions if session.get("joules") is not None]
    if not known:
        return "not measured: the counter is not readable"
    part = "" if len(known) == len(sessions) else f" in {len(known)} of {len(sessions)} sessions"
    return f"{sum(known) / 3600:.3g} Wh by the processors of the driver's machine{part}, including other programs"


def _training(run: Run) -> str:
    taken = sorted(record.seconds for record in run.records if record.seconds)
    if not taken:
        return "no trial has finished"
    hosts = sorted({record.host for record in run.records if record.host})
    where = f", on {len(hosts)} machines" if len(hosts) > 1 else ""
    return f"{len(taken)} trials, {format_duration(sum(taken))} in total, median {taken[len(taken) // 2]:.1f} s{where}"
