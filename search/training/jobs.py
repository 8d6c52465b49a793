"""Trials that wait, as jobs: those of one shape go together, as far as no worker idles.

Of one shape are an arm's seeds, and arms that differ in nothing but where their weights begin, such as a gate's bias.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import torch

from resnet_space import Architecture, build, complexity
from resnet_space.fused import refusal
from search.trials.record import TrialRecord
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

MOST = 8
"""Trials in a job, where it is not said."""

FEWEST_STEPS = 200
"""Of a shorter trial, to measure whether it is faster together would be too large a part."""


@dataclass(frozen=True)
class Before:
    """What was decided of trials that were handed out: it holds for them when they go on, and for more seeds."""

    job: Mapping[str, str] = field(default_factory=dict)
    """By a trial's key, the job that it was in."""
    faster: Mapping[str, bool] = field(default_factory=dict)
    """By a network's key, whether its trials were found to be faster together."""

    @classmethod
    def of(cls, records: Iterable[TrialRecord]) -> Before:
        begun = [record for record in records if record.job]
        jobs = {record.key: str(record.job) for record in begun}
        sizes = Counter(jobs.values())
        faster = {
            record.architecture: record.together > 1
            for record in begun
            if record.together is not None and sizes[jobs[record.key]] > 1
        }
        return cls(jobs, faster)


NOTHING = Before()


def jobs(
    specs: Sequence[TrialSpec],
    resources: Resources,
    *,
    workers: int,
    steps: int,
    probes: tuple[int, ...] = (),
    before: Before = NOTHING,
) -> list[Job]:
    """Trials that wait as jobs, those of one shape together where they may be; `steps` is the length of a trial.

    Those that were in one job before are again, so that a run that goes on gives the numbers of an undisturbed one.
    """
    apart: dict[tuple[str, str], list[TrialSpec]] = {}
    for spec in specs:
        alike = shape(spec.architecture) if at_most(spec, resources, steps) > 1 else spec.architecture.key
        apart.setdefault((before.job.get(spec.key, ""), alike), []).append(spec)
    # Long ones first, so that no worker is left alone with one at the end; of equals, whose first trial stands first.
    places = {spec.key: place for place, spec in enumerate(specs)}

    def turn(named: tuple[str, list[TrialSpec]]) -> tuple[int, int]:
        return -length(named[1]), places[named[1][0].key]

    arms = sorted(((job, mates) for (job, _), mates in apart.items()), key=turn)
    # So many are left when every worker has had as many as every other: they are divided to keep all busy.
    last = len(arms) % workers
    parted: list[tuple[str, list[TrialSpec]]] = []
    for place, (job, mates) in enumerate(arms):
        most = at_most(mates[0], resources, steps) if len(mates) > 1 else 1
        beside = last if place >= len(arms) - last else workers
        number = -(-len(mates) // most) if job else parts(beside, len(mates), most, workers)
        parted += [(job if number == 1 else "", part) for part in divided(mates, number)]
    parted.sort(key=turn)
    faster = before.faster if resources.fuse == "auto" else {}
    return [
        Job(trials=tuple(part), probes=probes, name=name, together=faster.get(part[0].architecture.key))
        for name, part in parted
    ]


def at_most(spec: TrialSpec, resources: Resources, steps: int) -> int:
    """How many trials like this one may train together, before anything is measured."""
    asked = asked_for(spec, resources, steps)
    return asked if asked > 1 and shape(spec.architecture) else 1


def asked_for(spec: TrialSpec, resources: Resources, steps: int) -> int:
    """The same, whatever the network is."""
    fuse = resources.fuse
    if fuse == "off" or (fuse == "auto" and (spec.recipe.compile or steps < FEWEST_STEPS)):
        return 1
    return MOST if fuse == "auto" else fuse


def parts(arms: int, trials: int, most: int, workers: int) -> int:
    """Into how many jobs each of so many arms is divided, to be done soonest.

    Rounds of `workers` jobs, k trials together taken to be sqrt(k) times as fast as alone; of equals the fewest jobs.
    """

    def rounds(number: int) -> float:
        largest = -(-trials // number)
        return -(-arms * number // workers) * math.sqrt(largest)

    numbers: Sequence[int] = range(-(-trials // most), trials + 1)
    return min(numbers, key=rounds)


def length(specs: Sequence[TrialSpec]) -> int:
    """How long trials of one shape may take together, beside others of as many steps, in steps of sqrt(2): those that
    are about as long keep their order."""
    return round(2 * math.log2(math.sqrt(len(specs)) * complexity(specs[0].architecture).macs))


def divided(specs: Sequence[TrialSpec], number: int) -> list[list[TrialSpec]]:
    """In order, in so many parts that differ by one at the most, larger ones first."""
    each, more = divmod(len(specs), number)
    ends = [part * each + min(part, more) for part in range(number + 1)]
    return [list(specs[begin:end]) for begin, end in pairwise(ends)]


# Every arm of a study is asked for again with every seed, and takes some hundredths of a second.
@lru_cache(maxsize=4096)
def shape(net: Architecture) -> str:
    """What networks have in common that can be fused; empty of one that cannot be."""
    with torch.device("meta"):
        model = build(net)
    found = hashlib.sha256(repr(model).encode()).hexdigest()
    return "" if refusal(model) else found
