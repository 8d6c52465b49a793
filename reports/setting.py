"""Where a run's numbers come from: how far it is, data, recipe, seeds, machines, versions, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

from ablations.run import AblationRun
from ablations.study import Ablation
from reports.runs import Run
from search.exploring.study import Search
from search.running.progress import format_duration
from search.trials.study import Study


def unfinished(run: Run) -> bool:
    """Whether trials are to come."""
    return bool(run.counts.get("waiting", 0) + run.counts.get("running", 0))


def state(run: Run) -> str:
    """How far the run is."""
    counts = {status: count for status, count in run.counts.items() if count}
    return f"Trials: {', '.join(f'{count} {status}' for status, count in counts.items())}."


def setting(run: Run) -> list[tuple[str, str]]:
    """What one needs to do it again, as terms and facts."""
    study, sessions = run.study, run.folder.read_manifest().get("sessions", [])
    recipe = study.recipe.model_dump(mode="json", exclude_defaults=True)
    facts = [
        *networks(study),
        ("data", f"{study.data.name}, validation {study.data.validation:g}, test {study.data.test:g}"),
        ("recipe", ", ".join(f"{name}: {value}" for name, value in recipe.items())),
        ("seeds", seeds(study)),
        *planned(run),
        ("training", _training(run)),
    ]
    prints = run.folder.fingerprints
    for session in sessions[-1:]:
        machine, versions = session["machine"], session["versions"]
        facts += [
            ("data fingerprint", prints[0] if prints else "not stored"),
            (
                "machine",
                f"{machine['cpus']} CPUs{_named(machine)}, {', '.join(machine['gpus']) or 'no GPU'}, "
                f"Python {machine['python']}, {machine['system']}",
            ),
            ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
            *_kernels(sessions),
            ("commit", session["commit"] or "not in a checkout"),
            ("energy", _energy(sessions)),
            ("begun", f"{sessions[0]['began']}" + (f", in {len(sessions)} sessions" if len(sessions) > 1 else "")),
        ]
    return facts


def _kernels(sessions: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Those that were wrong on a machine, and how they were avoided."""
    lines = [line for session in sessions for line in session.get("kernels", ())]
    return [("wrong kernel", line) for line in dict.fromkeys(lines)]


def _named(machine: Mapping[str, Any]) -> str:
    processor = machine.get("processor")
    return f" ({processor['name']})" if processor else ""


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
    return f"{len(taken)} trials, {format_duration(sum(taken))} in all, median {taken[len(taken) // 2]:.1f} s{where}"


@singledispatch
def networks(study: Study) -> list[tuple[str, str]]:
    """What the networks are made from, by the kind of study."""
    return []


@networks.register
def _(study: Ablation) -> list[tuple[str, str]]:
    base = study.net if isinstance(study.net, str) else "an architecture of its own"
    return [("network", ", ".join([base, *(f"{path}={value}" for path, value in study.set.items())]))]


@singledispatch
def planned(run: Any) -> list[tuple[str, str]]:
    """What was written down before the first trial, by the kind of run."""
    return []


@planned.register
def _(run: AblationRun) -> list[tuple[str, str]]:
    study = run.study
    if not study.planned.compare:
        return [("planned comparisons", "none")]
    when = "stored before the first trial" if run.as_planned else "changed after the first trial"
    return [("planned comparisons", f"{len(study.planned.compare)}, {when} (hash {study.plan_hash})")]


@singledispatch
def seeds(study: Study) -> str:
    """Which seeds, by the kind of study."""
    return f"0 to {study.confirmation_seeds[-1]}"


@seeds.register
def _(study: Ablation) -> str:
    more = f", up to {study.most_seeds - 1} where comparisons are open" if study.adaptive else ""
    return f"0 to {study.least_seeds - 1}{more}; a seed gives all arms the same order, augmentation and common weights"


@seeds.register
def _(study: Search) -> str:
    found = f"0 to {study.replicates - 1} to search, "
    return found + (
        f"{study.confirmation_seeds[0]} to {study.confirmation_seeds[-1]} to confirm"
        if study.confirm
        else "none to confirm"
    )
