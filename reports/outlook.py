"""What a study will take, before a single step of its training: for people, and as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablations.plan import AblationPlan
from ablations.study import Ablation
from reports.numbers import engineering
from reports.page import Block, Grid, Text, texts
from resnet_space import Architecture, complexity
from resnet_space.errors import InputError
from search.exploring.plan import SearchPlan
from search.running import capacity
from search.running.inline import check
from search.running.plan import Plan
from search.running.progress import clock_face
from search.samplers.survey import reach
from search.training.forecast import available, by_macs, memory, seconds_a_trial
from search.training.fusing_pays import gain
from search.training.jobs import jobs, shape
from search.trials.trial import Job, TrialSpec

CALIBRATED = 5
"""Networks whose first steps are timed; the others are interpolated between them, by their MACs."""


@dataclass(frozen=True)
class Row:
    """One network: what it costs, and what a trial of it takes here."""

    name: str
    key: str
    depth: int
    params: int
    macs: int
    seconds: float | None
    """None where this machine lacks what a trial needs."""
    bytes: int


@dataclass(frozen=True)
class Outlook:
    """What will be run."""

    study: str
    kind: str
    trials: int | None
    """None where hours end it."""
    rows: list[Row]
    seconds: float | None
    """Of all trials, one after another."""
    at_once: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()
    misfits: Sequence[str] = ()

    def as_json(self, gpus: float, cpus: float) -> dict[str, Any]:
        """Plain data; hours are of devices (GPUs, or CPUs where a trial asks for no GPU) and by the clock."""
        hours = None if self.seconds is None else self.seconds / 3600
        return {
            "study": self.study,
            "kind": self.kind,
            "trials": self.trials,
            **self.facts,
            "networks": [vars(row) for row in self.rows],
            "device_hours": None if hours is None else hours * (gpus or cpus),
            "wall_hours": None if hours is None else hours / self.at_once,
            "at_once": self.at_once,
            "does_not_fit": list(self.misfits),
        }


def of_ablation(plan: AblationPlan) -> Outlook:
    """Its arms, and whether trials train together."""
    study, nets = plan.study, plan.architectures
    waiting = jobs(plan.first, study.resources, workers=_at_once(plan), steps=plan.steps)
    rows, faster = _rows(plan, nets, [job.trials for job in waiting])
    more = f", up to {study.most_seeds} where comparisons are open" if study.adaptive else ""
    by_key = {row.key: row for row in rows}
    return Outlook(
        study=study.name,
        kind=study.kind,
        trials=len(plan.first),
        rows=rows,
        seconds=_sum([by_key[spec.architecture.key].seconds for spec in plan.first]),
        at_once=_at_once(plan),
        facts={
            "arms": len(nets),
            "seeds": study.least_seeds,
            "most_trials": len(plan.trials),
            "planned": len(study.planned.compare),
            "estimates": [estimate.name for estimate in study.compiled.estimates] if study.compiled else [],
            "folded": [list(names) for names in plan.folded],
            "together": {"trials": max(len(job.trials) for job in waiting), "times_as_fast": faster},
        },
        lines=[
            f"{len(nets)} arms, {study.least_seeds} seeds{more}: {len(plan.first)} trials",
            *_estimates(study),
            *_together(waiting, faster),
            *plan.notices,
        ],
        misfits=_misfits(plan, rows, waiting),
    )


def _together(waiting: Sequence[Job], faster: Mapping[str, float | None]) -> list[str]:
    """How many trials train together, and how much faster that is, by the networks that were timed."""
    gains = [factor for factor in faster.values() if factor is not None]
    if not faster:
        return []
    if not gains:
        return ["trials go one after another: together they are not faster here"]
    largest = max(len(job.trials) for job in waiting)
    return [
        f"up to {largest} trials train as one network, {min(gains):.1f} to {max(gains):.1f} times as fast, "
        f"for {len(gains)} of {len(faster)} networks timed"
    ]


def _estimates(study: Ablation) -> list[str]:
    """Which effects the design can estimate."""
    if study.compiled is None:
        return []
    named = [
        estimate.name + (f" (or {', '.join(estimate.aliases)})" if estimate.aliases else "")
        for estimate in study.compiled.estimates
    ]
    return [f"the design estimates {', '.join(named)}"]


def of_search(plan: SearchPlan) -> Outlook:
    """Its space, and examples of its networks."""
    study, found = plan.study, reach(plan.space, examples=CALIBRATED)
    nets = {f"example {number}": net for number, net in enumerate(found.examples, 1)}
    rows, _ = _rows(plan, nets, [(plan.spec(net, 0),) for net in nets.values()])
    trials = study.budget.trials
    share = f"{found.feasible:.0%}" + (
        "" if found.exact else f" (95 % interval {found.feasible_low:.0%} to {found.feasible_high:.0%})"
    )
    seen = "all of them" if found.exact else f"{found.seen} drawn"
    many = "a continuum of" if found.raw is None else f"{found.raw}"
    spans = [f"{name} {engineering(found.least[name])} to {engineering(found.most[name])}" for name in found.least]
    return Outlook(
        study=study.name,
        kind=study.kind,
        trials=trials,
        rows=rows,
        # The examples stand evenly over the order of MACs.
        seconds=None
        if trials is None or (whole := _sum([row.seconds for row in rows])) is None
        else (trials * whole / len(rows)),
        at_once=_at_once(plan),
        facts={
            "space": {
                "raw": found.raw,
                "seen": found.seen,
                "exact": found.exact,
                "distinct": found.networks,
                "feasible": found.feasible,
                "feasible_interval": [found.feasible_low, found.feasible_high],
                "least": dict(found.least),
                "most": dict(found.most),
            },
            "confirm": study.confirm,
        },
        lines=[
            f"{many} combinations of {len(plan.space.axes)} axes; of {seen}, {share} are networks that keep the "
            f"constraints, {found.networks} of them distinct",
            f"these have {', '.join(spans)}",
            *([f"{trials} trials without early stopping"] if trials else []),
            *([f"then {study.confirm} more for each network on the front"] if study.confirm else []),
        ],
        misfits=_misfits(plan, rows),
    )


def blocks(found: Outlook) -> list[Block]:
    """An outlook for people."""
    headings = ("network", "key", "depth", "parameters", "MACs", "s a trial", "memory")
    rows = [
        (
            row.name,
            row.key,
            f"{row.depth}",
            engineering(row.params),
            engineering(row.macs),
            "-" if row.seconds is None else f"{row.seconds:.1f}",
            f"{engineering(row.bytes)}B",
        )
        for row in found.rows
    ]
    time = []
    if found.seconds is not None:
        time = [
            f"about {clock_face(found.seconds)} of training, by a short calibration on this machine; "
            f"{clock_face(found.seconds / found.at_once)} by the clock with {found.at_once} side by side"
        ]
    return [
        Text(found.lines),
        Grid(found.study, headings, headings[2:], texts(rows)),
        Text([*time, *found.misfits]),
    ]


def _rows(
    plan: Plan, nets: Mapping[str, Architecture], waiting: Sequence[Sequence[TrialSpec]]
) -> tuple[list[Row], dict[str, float | None]]:
    """A row a network; and by name, of those that were timed, how many times as fast their trials are together.

    `waiting` are the trials of each job; None where they go one after another.
    """
    by_key = {spec.architecture.key: specs for specs in reversed(waiting) for spec in specs}
    resources = plan.study.resources
    distinct = sorted({net.key: net for net in nets.values()}.values(), key=lambda net: complexity(net).macs)
    last = len(distinct) - 1
    timed = {round(step * last / max(CALIBRATED - 1, 1)) for step in range(CALIBRATED)}
    measured: list[tuple[int, float]] = []
    faster: dict[str, float | None] = {}
    # So many of one shape take as long together as any others.
    known: dict[tuple[str, int], tuple[float | None, float]] = {}
    for net in [] if _lacking(plan) else (distinct[index] for index in sorted(timed)):
        specs = by_key[net.key]
        alike = shape(net) or net.key, len(specs)
        if alike not in known:
            factor = gain(specs, plan.images, resources, steps=plan.steps)
            known[alike] = factor, seconds_a_trial(specs[0], plan.images, resources) / (factor or 1)
        factor, seconds = known[alike]
        measured.append((complexity(net).macs, seconds))
        if len(specs) > 1:
            faster[next(name for name, other in nets.items() if other.key == net.key)] = factor
    rows = [
        Row(
            name=name,
            key=net.key,
            depth=net.depth,
            params=complexity(net).params,
            macs=complexity(net).macs,
            seconds=by_macs(measured, complexity(net).macs) if measured else None,
            bytes=memory(net, plan.study.recipe).total,
        )
        for name, net in nets.items()
    ]
    return rows, faster


def _lacking(plan: Plan) -> str:
    """What a trial needs and this machine lacks; empty if it has all."""
    try:
        check(plan.study.resources)
    except InputError as error:
        return str(error)
    return ""


def _sum(seconds: Sequence[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return sum(known) if len(known) == len(seconds) else None


def _at_once(plan: Plan) -> int:
    """Trials side by side on this machine."""
    import torch

    here = {"CPU": os.cpu_count() or 1, "GPU": torch.cuda.device_count()}
    return capacity.workers([here], plan.study.resources)


def _misfits(plan: Plan, rows: Sequence[Row], waiting: Sequence[Job] = ()) -> list[str]:
    """What this machine lacks, and what needs more memory than there is for a job."""
    resources = plan.study.resources
    if lacking := _lacking(plan):
        return [f"not timed here: {lacking}"]
    room = available(resources.device) * (min(resources.gpus, 1) or 1)
    # By `auto` only those train together that have room.
    certain = waiting if resources.fuse != "auto" else ()
    together = {spec.architecture.key: len(job.trials) for job in reversed(certain) for spec in job.trials}
    lines = []
    for row in rows:
        number = together.get(row.key, 1)
        if number * row.bytes > room:
            name = row.name if number == 1 else f"{row.name}, {number} trials as one network,"
            lines.append(
                f"{name} does not fit: {engineering(number * row.bytes)}B of memory asked for, "
                f"{engineering(room)}B there"
            )
    return lines
