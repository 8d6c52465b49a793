"""What the document of every run has: how far it is, trials that did not end well, and its setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablations.published import Published
from reports.page import Block, Cell, Facts, Grid, Section, Text
from reports.runs import Run
from search.running.progress import clock_face
from search.trials.events import FINISHED

Fact = tuple[str, str]
"""A term, and what it is."""


def state(run: Run) -> str:
    """How far the run is."""
    return f"Trials: {', '.join(f'{count} {status}' for status, count in run.counts.items() if count)}."


def warning(run: Run) -> str:
    """Of a run with trials to come; of a finished one nothing."""
    to_come = run.counts.get("waiting", 0) + run.counts.get("running", 0)
    return "Unfinished: numbers may still change." if to_come else ""


def not_ended_well(run: Run, _: Sequence[Published] = ()) -> Section | None:
    """Failed and diverged trials by reason, the most frequent first. Stopped and refused trials ended as planned."""
    bad = [row for row in run.reasons if row[0] in ("failed", "diverged")]
    if not bad:
        return None
    rows = [[Cell(status), Cell(reason), Cell(f"{number}", number)] for status, reason, number in bad]
    ended = sum(run.counts[status] for status in FINISHED if status != "infeasible")
    return Section(
        "What did not end well",
        [Grid("Trials by reason", ("status", "reason", "trials"), ("trials",), rows)],
        brief=[Text([f"{number} of {ended} trials {status}: {reason}" for status, reason, number in bad])],
    )


def setting(run: Run, *, network: Sequence[Fact] = (), seeds: str, planned: Sequence[Fact] = ()) -> Section:
    """What one needs to repeat the run; what depends on the kind of study is given."""
    study, sessions = run.study, run.folder.read_manifest().get("sessions", [])
    recipe = study.recipe.model_dump(mode="json", exclude_defaults=True)
    facts = [
        *network,
        ("data", f"{study.data.name}, validation {study.data.validation:g}, test {study.data.test:g}"),
        ("recipe", ", ".join(f"{name}: {value}" for name, value in recipe.items())),
        ("seeds", seeds),
        *planned,
        ("training", _training(run)),
        *_sessions(run, sessions),
    ]
    background = [line for line in (f"After {study.source}." if study.source else "", study.notes) if line]
    blocks: list[Block] = [Text(background)] if background else []
    return Section("Setting", [*blocks, Facts(facts)])


def _sessions(run: Run, sessions: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """The machine and the versions of the last session, and what all sessions took."""
    if not sessions:
        return []
    machine, versions = sessions[-1]["machine"], sessions[-1]["versions"]
    prints = run.folder.fingerprints
    return [
        ("data fingerprint", prints[0] if prints else "not stored"),
        (
            "machine",
            f"{machine['cpus']} CPUs{_named(machine)}, "
            f"{', '.join(machine['gpus']) or 'no GPU'}, Python {machine['python']}, {machine['system']}",
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        *_wrong_kernels(sessions),
        ("commit", sessions[-1]["commit"] or "not in a checkout"),
        ("energy", _energy(sessions)),
        ("begun", f"{sessions[0]['began']}" + (f", in {len(sessions)} sessions" if len(sessions) > 1 else "")),
    ]


def _named(machine: Mapping[str, Any]) -> str:
    processor = machine.get("processor")
    return f" ({processor['name']})" if processor else ""


def _wrong_kernels(sessions: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """Kernels that were wrong on a machine, and how they were avoided."""
    lines = [line for session in sessions for line in session.get("kernels", ())]
    return [("wrong kernel", line) for line in dict.fromkeys(lines)]


def _energy(sessions: Sequence[Mapping[str, Any]]) -> str:
    known = [session["joules"] for session in sessions if session.get("joules") is not None]
    if not known:
        return "not readable"
    part = "" if len(known) == len(sessions) else f" in {len(known)} of {len(sessions)} sessions"
    return f"{sum(known) / 3600:.3g} Wh by the driver's processors{part}, all that ran there included"


def _training(run: Run) -> str:
    taken = sorted(record.seconds for record in run.records if record.seconds)
    if not taken:
        return "no trial has ended"
    hosts = sorted({record.host for record in run.records if record.host})
    where = f", on {len(hosts)} machines" if len(hosts) > 1 else ""
    return f"{len(taken)} trials, {clock_face(sum(taken))} in all, median {taken[len(taken) // 2]:.1f} s{where}"
