"""Group waiting trials into jobs: trials whose networks can be fused train together, unless a worker would be idle.

These are seeds of an arm, and arms that differ in initial values, such as a gate's bias, or in their shortcuts.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import torch

from resnet_space import Architecture, build, complexity
from resnet_space.fused import carries, draws, refusal, skeleton
from search.trials.record import TrialRecord
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Cost = Callable[[Architecture], float]
"""How long a step of a network takes, compared with other networks."""

MAX_TRIALS_PER_JOB = 8
"""The limit for trials in a job if `resources.fuse` is `auto`."""

MIN_STEPS_TO_MEASURE = 200
"""For shorter trials, the measurement whether they are faster together would take too large a part of the time."""


@dataclass(frozen=True)
class PastJobs:
    """Decisions about trials that have started. They hold when these trials resume, and for more seeds."""

    job: Mapping[str, str] = field(default_factory=dict)
    """The job that a trial was in, by the trial's key."""
    faster: Mapping[frozenset[str], bool] = field(default_factory=dict)
    """Whether trials of these networks, by key, were measured to be faster together."""

    @classmethod
    def of(cls, records: Iterable[TrialRecord]) -> PastJobs:
        begun = [record for record in records if record.job]
        jobs = defaultdict[str, list[TrialRecord]](list)
        for record in begun:
            jobs[str(record.job)].append(record)
        faster: dict[frozenset[str], bool] = {}
        for trials in jobs.values():
            faster |= _decisions(trials)
        return cls({record.key: str(record.job) for record in begun}, faster)

    def decision(self, nets: Iterable[str]) -> bool | None:
        """Return whether trials of these networks are faster together; None if that was never measured.

        What is faster together is also faster without some of the networks, and what is not, is not with more.
        """
        wanted = frozenset(nets)
        if any(wanted <= known for known, faster in self.faster.items() if faster):
            return True
        return False if any(known <= wanted for known, faster in self.faster.items() if not faster) else None


def _decisions(trials: Sequence[TrialRecord]) -> dict[frozenset[str], bool]:
    """Return what the trials of one job show: about all of its networks, and about each if not all trained together."""
    together = defaultdict[str, list[int]](list)
    for record in trials:
        if record.together is not None:
            together[record.architecture].append(record.together)
    if not together or len(trials) == 1:
        return {}
    # A trial that resumes without those that have ended is in a smaller group than at first.
    if max(map(max, together.values())) == len(trials):
        return {frozenset(together): True}
    several = {net: max(numbers) > 1 for net, numbers in together.items() if len(numbers) > 1}
    return {frozenset(together): False} | {frozenset({net}): faster for net, faster in several.items()}


NO_PAST_JOBS = PastJobs()


def make_jobs(
    specs: Sequence[TrialSpec],
    resources: Resources,
    *,
    workers: int,
    steps: int,
    probes: tuple[int, ...] = (),
    before: PastJobs = NO_PAST_JOBS,
    mixed: bool = True,
    cost: Cost | None = None,
) -> list[Job]:
    """Group waiting trials into jobs, those whose networks can be fused together if allowed.

    Trials that were in one job before are in one job again, so a resumed run has the numbers of an undisturbed one.

    Args:
        steps: the length of a trial.
        mixed: whether a job can have networks with different shortcuts.
        cost: by which jobs are ordered; default: MACs. Who trains together depends on MACs alone, since a measured time
            differs from run to run, and rounding depends on the group.
    """
    groups: dict[tuple[str, str], list[TrialSpec]] = {}
    # Layers of few networks on the shortcut are slow: seeds of one arm gain more without those of arms with other ones.
    waiting = Counter(shape_of(spec.architecture).whole for spec in specs)
    left = Counter(before.job.get(spec.key, "") for spec in specs)
    for spec in specs:
        job, alike = before.job.get(spec.key, ""), spec.key
        if max_together(spec, resources, steps) > 1:
            shape = shape_of(spec.architecture)
            alike = shape.skeleton if mixed else shape.whole
            if mixed and not job and waiting[shape.whole] > 1:
                alike += shape.carries
        groups.setdefault((job, alike), []).append(spec)
    # Long jobs first, so that no worker is busy alone at the end. Of equal ones, in order of their first trials.
    places = {spec.key: place for place, spec in enumerate(specs)}

    def turn(named: tuple[str, Sequence[TrialSpec]], cost: Cost = _macs) -> tuple[int, int]:
        return -job_length(named[1], cost), min(places[spec.key] for spec in named[1])

    def in_order(spec: TrialSpec) -> tuple[Any, ...]:
        # Equal layers side by side. The order is the same after some trials have ended, so resumed ones are too.
        return (*shape_of(spec.architecture).order, places[spec.key])

    arms = sorted(((job, mates) for (job, _), mates in groups.items()), key=turn)
    # The groups left over when all workers have had the same number: they are split to keep all workers busy.
    last = len(arms) % workers
    parted: list[tuple[str, list[TrialSpec]]] = []
    for place, (job, mates) in enumerate(arms):
        most = max_together(mates[0], resources, steps) if len(mates) > 1 else 1
        side_by_side = last if place >= len(arms) - last else workers
        number = -(-len(mates) // most) if job else parts_per_arm(side_by_side, len(mates), most, workers)
        # The last parts have fewer trials, so they get the slow ones.
        mates = sorted(mates, key=lambda spec: (_macs(spec.architecture), *in_order(spec)))
        for part in split_evenly(mates, number):
            pieces = _divided(sorted(part, key=in_order), before)
            parted += [(job if len(piece) == left[job] else "", piece) for piece in pieces]
    parted.sort(key=partial(turn, cost=cost or _macs))
    decisions = before if resources.fuse == "auto" else NO_PAST_JOBS
    return [
        Job(trials=tuple(part), probes=probes, name=name, together=decisions.decision(_nets(part)))
        for name, part in parted
    ]


def _divided(trials: list[TrialSpec], before: PastJobs) -> list[list[TrialSpec]]:
    """Divide trials by the shape of their networks if these were measured not to be faster together."""
    by_shape = trials_by_shape(trials)
    return by_shape if len(by_shape) > 1 and before.decision(_nets(trials)) is False else [trials]


def trials_by_shape(trials: Iterable[TrialSpec]) -> list[list[TrialSpec]]:
    """Return the trials of each shape of network, in the order of the first ones."""
    found: dict[str, list[TrialSpec]] = {}
    for spec in trials:
        found.setdefault(shape_of(spec.architecture).whole, []).append(spec)
    return [*found.values()]


def _nets(trials: Iterable[TrialSpec]) -> Iterable[str]:
    return {spec.architecture.key for spec in trials}


def _macs(net: Architecture) -> float:
    return complexity(net).macs


def max_together(spec: TrialSpec, resources: Resources, steps: int) -> int:
    """Return how many trials like this one can train together, before anything is measured."""
    asked = max_together_by_settings(spec, resources, steps)
    return asked if asked > 1 and can_be_fused(spec.architecture, resources, drops=spec.recipe.dropout > 0) else 1


def can_be_fused(net: Architecture, resources: Resources, *, drops: bool = False) -> bool:
    """Whether several networks of this shape can be fused. `drops`: the recipe has dropout before the classifier.

    With dropout they can on a CPU that stores activations: elsewhere they would draw other masks than alone.
    """
    shape = shape_of(net)
    return shape.fusable and not ((shape.draws or drops) and (resources.device != "cpu" or resources.recompute))


def max_together_by_settings(spec: TrialSpec, resources: Resources, steps: int) -> int:
    """Return the same limit for any network, from the settings and the length of the trial alone."""
    fuse = resources.fuse
    if spec.data.split == "seed" or spec.recipe.optimizer.why_apart:
        # A fused network sees one validation split, and each seed has its own.
        return 1
    if fuse == "off" or (fuse == "auto" and (spec.recipe.compile or steps < MIN_STEPS_TO_MEASURE)):
        return 1
    return MAX_TRIALS_PER_JOB if fuse == "auto" else fuse


def parts_per_arm(arms: int, trials: int, most: int, workers: int) -> int:
    """Return into how many jobs to split each of `arms` arms of `trials` trials, to finish soonest.

    Time is counted in rounds of `workers` jobs, where k fused trials take sqrt(k) times as long as one. If several
    numbers are equal, the smallest is returned.
    """

    def rounds(number: int) -> float:
        largest = -(-trials // number)
        return -(-arms * number // workers) * math.sqrt(largest)

    numbers: Sequence[int] = range(-(-trials // most), trials + 1)
    return min(numbers, key=rounds)


def job_length(specs: Sequence[TrialSpec], cost: Cost) -> int:
    """Return how long trials take together, compared with other jobs whose trials have the same number of steps.

    It is a logarithm to the base sqrt(2), rounded, so that jobs of about the same length keep their order.
    """
    return round(2 * math.log2(sum(cost(spec.architecture) for spec in specs) / math.sqrt(len(specs))))


def split_evenly(specs: Sequence[TrialSpec], number: int) -> list[list[TrialSpec]]:
    """Split the trials in order into `number` parts. Their sizes differ by at most one, larger parts first."""
    each, more = divmod(len(specs), number)
    ends = [part * each + min(part, more) for part in range(number + 1)]
    return [list(specs[begin:end]) for begin, end in pairwise(ends)]


@dataclass(frozen=True)
class FusionShape:
    """What decides which networks can be fused."""

    whole: str
    """A hash that is equal for networks that differ only in initial values: fused, they share every layer."""
    skeleton: str
    """A hash that is equal for networks that differ in nothing but shortcuts: fused, they share all other layers."""
    carries: str
    """A hash that is equal for networks with the same layers, if any, on the way of x through the shortcuts."""
    fusable: bool
    draws: bool
    """Whether the network has dropout."""

    @property
    def order(self) -> tuple[bool, str, str]:
        """Sorted by it, networks with equal layers are next to each other, which makes the fused network faster."""
        return self.draws, self.carries, self.whole


# Cached: it is called for every seed of every arm, and takes some hundredths of a second.
@lru_cache(maxsize=4096)
def shape_of(net: Architecture) -> FusionShape:
    """Return the shape of a network."""
    with torch.device("meta"):
        model = build(net)
    texts = repr(model), skeleton(model), carries(model)
    whole, without, carried = (hashlib.sha256(text.encode()).hexdigest() if text else "" for text in texts)
    return FusionShape(whole, without, carried, fusable=not refusal(model), draws=draws(model))
