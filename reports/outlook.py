"""The cost of a study, estimated before training: trials, time and memory, for readers and as JSON."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablations.plan import AblationPlan
from ablations.sensitivity import Sensitivity
from ablations.study import Ablation
from reports import sensitivity
from reports.numbers import engineering
from reports.page import Block, Grid, Text, texts
from reports.sensitivity import Cost
from resnet_space import complexity
from resnet_space.errors import InputError
from search.data.places import dataset_folder
from search.exploring.plan import SearchPlan
from search.running import capacity
from search.running.inline import check
from search.running.plan import Plan, PlanOnOne
from search.running.progress import format_duration
from search.samplers.survey import survey
from search.training.forecast import interpolated_seconds, memory_of_step, seconds_per_trial, total_memory
from search.training.fusion_speedup import speedup
from search.training.jobs import shape_of
from search.trials.setup import Setup, changes_shown
from search.trials.trial import Job, TrialSpec

CALIBRATED = 5
"""Number of networks whose first steps are timed; times of the others are interpolated by MACs."""


@dataclass(frozen=True)
class Row:
    """One network: its complexity, and the time and memory of one trial on this machine."""

    name: str
    key: str
    depth: int
    params: int
    macs: int
    seconds: float | None
    """None if this machine cannot run the trial."""
    bytes: int
    epochs: int
    steps: int
    batch_size: int
    changes: Mapping[str, Any]
    """How its recipe and data differ from those of the study: values by path."""


@dataclass(frozen=True)
class Outlook:
    """The estimated cost of a study."""

    study: str
    kind: str
    trials: int | None
    """None if the budget is in hours."""
    rows: list[Row]
    seconds: float | None
    """Total training time of all trials, run one after another."""
    at_once: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()
    misfits: Sequence[str] = ()
    sensitivity: Sensitivity | None = None
    """What the seeds of an ablation can show."""
    read: bool = True
    """Whether the data were read; else only what is known of them."""

    def as_json(self, gpus: float, cpus: float) -> dict[str, Any]:
        """Return plain data. `device_hours` are of GPUs, or of CPUs without a GPU; `wall_hours` are elapsed time."""
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
            "data_read": self.read,
            **(
                {"sensitivity": sensitivity.as_json(self.sensitivity, self.seed_cost(self.sensitivity), gpus or cpus)}
                if self.sensitivity
                else {}
            ),
        }

    def seed_cost(self, found: Sensitivity) -> Cost:
        """The cost of one seed of all networks of an ablation."""
        return Cost(None if self.seconds is None else self.seconds / found.study.least_seeds, self.at_once)


def of_ablation(plan: AblationPlan) -> Outlook:
    """Estimate the cost of an ablation: its arms, and the gain from training trials together."""
    study, setups = plan.study, plan.setups
    waiting = plan.jobs(plan.first, workers=at_once(plan))
    rows, faster = _rows(plan, setups, [job.trials for job in waiting])
    names = {setup.key: name for name, setup in reversed([*setups.items()])}
    more = f", up to {study.most_seeds} while comparisons are not resolved" if study.adaptive else ""
    seconds = {setups[row.name].key: row.seconds for row in rows}
    return Outlook(
        study=study.name,
        kind=study.kind,
        trials=len(plan.first),
        rows=rows,
        seconds=added([seconds[Setup.of(spec).key] for spec in plan.first]),
        at_once=at_once(plan),
        facts={
            "arms": len(setups),
            "seeds": study.least_seeds,
            "most_trials": len(plan.trials),
            "planned": len(study.planned.compare),
            "estimates": [estimate.name for estimate in study.compiled.estimates] if study.compiled else [],
            "folded": [list(names) for names in plan.folded],
            "together": {"trials": max(len(job.trials) for job in waiting), "times_as_fast": faster},
        },
        lines=[
            f"{len(setups)} arms, {study.least_seeds} seeds{more}: {len(plan.first)} trials",
            *_estimates(study),
            *_together(waiting, faster),
            *plan.notices,
            *_unread(plan),
        ],
        read=plan.images.were_read,
        misfits=_misfits(plan, rows, [[names[Setup.of(spec).key] for spec in job.trials] for job in waiting]),
    )


def _together(waiting: Sequence[Job], faster: Mapping[str, float | None]) -> list[str]:
    """Return how many trials train as one network, and the speed-up of the networks that were timed; or why none do."""
    optimizers = [spec.recipe.optimizer for job in waiting for spec in job.trials]
    apart = Counter(each.why_apart for each in optimizers if each.why_apart)
    if apart.total() == len(optimizers):
        return [f"trials train one after another: {why}" for why in apart]
    lines = [f"{number} of {len(optimizers)} trials train one after another: {why}" for why, number in apart.items()]
    return [*lines, *_gains(waiting, faster)]


def _gains(waiting: Sequence[Job], faster: Mapping[str, float | None]) -> list[str]:
    """Return the largest number of trials that train as one network, and how much faster that is."""
    gains = [factor for factor in faster.values() if factor is not None]
    if not faster:
        return []
    if not gains:
        return ["trials train one after another: training them together is not faster on this machine"]
    largest = max(len(job.trials) for job in waiting)
    return [
        f"up to {largest} trials train as one network, {min(gains):.1f} to {max(gains):.1f} times as fast, "
        f"for {len(gains)} of {len(faster)} networks timed"
    ]


def _estimates(study: Ablation) -> list[str]:
    """Return the effects that the design can estimate."""
    if study.compiled is None:
        return []
    named = [
        estimate.name + (f" (or {', '.join(estimate.aliases)})" if estimate.aliases else "")
        for estimate in study.compiled.estimates
    ]
    return [f"the design estimates {', '.join(named)}"]


def of_search(plan: SearchPlan) -> Outlook:
    """Estimate the cost of a search: its space, and examples of its networks."""
    study, found = plan.study, survey(plan.space, examples=CALIBRATED)
    setups = {f"example {number}": plan.setup_of(point) for number, point in enumerate(found.examples, 1)}
    rows, _ = _rows(plan, setups, [(setup.spec(0),) for setup in setups.values()])
    trials = study.budget.trials
    share = f"{found.feasible:.0%}" + (
        "" if found.exact else f" (95 % interval {found.feasible_low:.0%} to {found.feasible_high:.0%})"
    )
    seen = "all of them" if found.exact else f"{found.seen} sampled"
    combinations = "infinitely many" if found.raw is None else f"{found.raw}"
    spans = [f"{name} {engineering(found.least[name])} to {engineering(found.most[name])}" for name in found.least]
    return Outlook(
        study=study.name,
        kind=study.kind,
        trials=trials,
        rows=rows,
        # The examples are evenly spaced in the order of MACs, so their mean estimates the mean of the space.
        seconds=None
        if trials is None or (total := added([row.seconds for row in rows])) is None
        else (trials * total / len(rows)),
        at_once=at_once(plan),
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
            f"{combinations} combinations of {len(plan.space.axes)} axes; of {seen}, {share} satisfy the constraints: "
            f"{found.networks} distinct networks",
            f"these networks have {', '.join(spans)}",
            *([f"{trials} trials without early stopping"] if trials else []),
            *([f"then {study.confirm} trials with fresh seeds for each network on the front"] if study.confirm else []),
            *_unread(plan),
        ],
        read=plan.images.were_read,
        misfits=_misfits(plan, rows),
    )


def blocks(found: Outlook) -> list[Block]:
    """Return an outlook as blocks of a page."""
    headings = ("network", "key", "depth", "parameters", "MACs", "s per trial", "memory")
    # Only where arms differ in them.
    varied = any(row.changes for row in found.rows)
    further = ("epochs", "steps", "recipe and data") if varied else ()
    rows = [
        (
            row.name,
            row.key,
            f"{row.depth}",
            engineering(row.params),
            engineering(row.macs),
            "-" if row.seconds is None else f"{row.seconds:.1f}",
            f"{engineering(row.bytes)}B",
            *((f"{row.epochs}", f"{row.steps}", changes_shown(row.changes)) if varied else ()),
        )
        for row in found.rows
    ]
    time = []
    if found.seconds is not None:
        time = [
            f"about {format_duration(found.seconds)} of training, estimated by timing a few steps on this machine; "
            f"{format_duration(found.seconds / found.at_once)} elapsed with {found.at_once} trials in parallel"
        ]
    return [
        Text(found.lines),
        Grid(found.study, (*headings, *further), (*headings[2:], *further[:-1]), texts(rows)),
        Text([*time, *found.misfits]),
        *(sensitivity.blocks(found.sensitivity, found.seed_cost(found.sensitivity)) if found.sensitivity else ()),
    ]


def _rows(
    plan: PlanOnOne, setups: Mapping[str, Setup], waiting: Sequence[Sequence[TrialSpec]]
) -> tuple[list[Row], dict[str, float | None]]:
    """Return one row per setup, and by name the speed-up of timed setups whose trials train together.

    A speed-up of None means that their trials train one after another.

    Args:
        waiting: the trials of each job.
    """
    by_key = {Setup.of(spec).key: specs for specs in reversed(waiting) for spec in specs}
    resources = plan.study.resources
    work = {setup.key: _work(plan, setup) for setup in setups.values()}
    distinct = sorted({setup.key: setup for setup in setups.values()}.values(), key=lambda setup: work[setup.key])
    last = len(distinct) - 1
    timed = {round(step * last / max(CALIBRATED - 1, 1)) for step in range(CALIBRATED)}
    measured: list[tuple[int, float]] = []
    faster: dict[str, float | None] = {}
    # Networks of one shape take the same time, alone and in jobs of the same shapes: each is timed once.
    gains: dict[tuple[str, ...], float | None] = {}
    alone: dict[tuple[str, str], float] = {}
    for setup in [] if _lacking(plan) else (distinct[index] for index in sorted(timed)):
        specs, shape, training = by_key[setup.key], shape_of(setup.net).whole, setup.identity.training
        images, steps = plan.images_of(setup.data), plan.steps_of(setup.recipe, setup.data)
        shapes = (training, shape, *sorted(shape_of(spec.architecture).whole for spec in specs))
        if shapes not in gains:
            alike = [spec for spec in specs if shape_of(spec.architecture).whole == shape]
            gains[shapes] = speedup(specs, images, resources, steps=steps)
            if gains[shapes] is None and len(alike) < len(specs):
                # A worker then tries those of one shape.
                gains[shapes] = speedup(alike, images, resources, steps=steps)
        if (shape, training) not in alone:
            own = next(spec for spec in specs if Setup.of(spec).key == setup.key)
            alone[shape, training] = seconds_per_trial(own, images, resources)
        factor = gains[shapes]
        measured.append((work[setup.key], alone[shape, training] / (factor or 1)))
        if len(specs) > 1:
            faster[next(name for name, other in setups.items() if other.key == setup.key)] = factor
    return [_row(plan, name, setup, measured) for name, setup in setups.items()], faster


def _row(plan: PlanOnOne, name: str, setup: Setup, measured: Sequence[tuple[int, float]]) -> Row:
    net, cost, study = setup.net, complexity(setup.net), plan.study
    changes, varied = setup.changes_from(*study.trainings[0]), study.varied(setup.recipe, setup.data)
    return Row(
        name=name,
        key=net.key,
        depth=net.depth,
        params=cost.params,
        macs=cost.macs,
        seconds=interpolated_seconds(measured, _work(plan, setup)) if measured else None,
        bytes=memory_of_step(net, setup.recipe).total,
        epochs=plan.epochs_of(setup.recipe, setup.data),
        steps=plan.steps_of(setup.recipe, setup.data),
        batch_size=setup.recipe.batch_size,
        changes={path: value for path, value in changes.items() if path in varied},
    )


def _work(plan: PlanOnOne, setup: Setup) -> int:
    """Return the MACs of the forward passes of a training: for trials of one recipe, in proportion to the MACs."""
    return complexity(setup.net).macs * plan.steps_of(setup.recipe, setup.data) * setup.recipe.batch_size


def _lacking(plan: Plan) -> str:
    """Return which required resource this machine lacks; empty if none."""
    try:
        check(plan.study.resources)
    except InputError as error:
        return str(error)
    return ""


def _unread(plan: PlanOnOne) -> list[str]:
    """Return the line about data that were not read."""
    images, data = plan.images, plan.study.dataset
    if images.were_read:
        return []
    splits = ", ".join(f"{len(getattr(images, name)):,} {name}" for name in ("train", "validation", "test"))
    return [
        f"data set {data.name!r} is not in {data.root or dataset_folder()}, and nothing was read; known are {splits} "
        f"images of {images.shape} in {images.classes} classes; a run needs the data"
    ]


def added(seconds: Sequence[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return sum(known) if len(known) == len(seconds) else None


def at_once(plan: Plan) -> int:
    """Return how many trials run in parallel on this machine."""
    import torch

    machine = {"CPU": os.cpu_count() or 1, "GPU": torch.cuda.device_count()}
    return capacity.workers([machine], plan.study.resources)


def _misfits(plan: Plan, rows: Sequence[Row], waiting: Sequence[Sequence[str]] = ()) -> list[str]:
    """Return which resource this machine lacks, or which jobs need more memory than it has.

    Args:
        waiting: for each job, the names of the rows of its trials.
    """
    resources = plan.study.resources
    if lacking := _lacking(plan):
        return [f"not timed on this machine: {lacking}"]
    room = total_memory(resources.device) * (min(resources.gpus, 1) or 1)
    # With `auto`, trials train together only if they fit in memory.
    certain = waiting if resources.fuse != "auto" else ()
    together = {name: job for job in reversed(certain) for name in job}
    needed = {row.name: row.bytes for row in rows}
    lines = []
    for row in rows:
        trials = together.get(row.name, ())
        asked = sum(needed[name] for name in trials) or row.bytes
        if asked > room:
            name = row.name if len(trials) < 2 else f"{row.name}, {len(trials)} trials as one network,"
            lines.append(f"{name} does not fit: needs {engineering(asked)}B of memory, {engineering(room)}B available")
    return lines
