"""Group waiting trials into jobs: trials of one shape train together, unless a worker would be idle.

Trials have one shape if they are seeds of an arm, or of arms that differ only in initial values such as a gate's bias.
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

MAX_TRIALS_PER_JOB = 8
"""The limit for trials in a job if `resources.fuse` is `auto`."""

MIN_STEPS_TO_MEASURE = 200
"""For shorter trials, the measurement whether they are faster together would take too large a part of the time."""


@dataclass(frozen=True)
class PastJobs:
    """Decisions about trials that have started. They hold when these trials resume, and for more seeds."""

    job: Mapping[str, str] = field(default_factory=dict)
    """The job that a trial was in, by the trial's key."""
    faster: Mapping[str, bool] = field(default_factory=dict)
    """Whether a network's trials were measured to be faster together, by the network's key."""

    @classmethod
    def of(cls, records: Iterable[TrialRecord]) -> PastJobs:
        begun = [record for record in records if record.job]
        jobs = {record.key: str(record.job) for record in begun}
        sizes = Counter(jobs.values())
        faster = {
            record.architecture: record.together > 1
            for record in begun
            if record.together is not None and sizes[jobs[record.key]] > 1
        }
        return cls(jobs, faster)


NO_PAST_JOBS = PastJobs()


def make_jobs(
    specs: Sequence[TrialSpec],
    resources: Resources,
    *,
    workers: int,
    steps: int,
    probes: tuple[int, ...] = (),
    before: PastJobs = NO_PAST_JOBS,
) -> list[Job]:
    """Group waiting trials into jobs, those of one shape together if allowed. `steps` is the length of a trial.

    Trials that were in one job before are in one job again, so a resumed run has the numbers of an undisturbed one.
    """
    apart: dict[tuple[str, str], list[TrialSpec]] = {}
    for spec in specs:
        alike = fusion_shape(spec.architecture) if max_together(spec, resources, steps) > 1 else spec.architecture.key
        apart.setdefault((before.job.get(spec.key, ""), alike), []).append(spec)
    # Long jobs first, so that no worker is busy alone at the end. Of equal ones, in order of their first trials.
    places = {spec.key: place for place, spec in enumerate(specs)}

    def turn(named: tuple[str, list[TrialSpec]]) -> tuple[int, int]:
        return -job_length(named[1]), places[named[1][0].key]

    arms = sorted(((job, mates) for (job, _), mates in apart.items()), key=turn)
    # The arms left over when all workers have had the same number: they are split to keep all workers busy.
    last = len(arms) % workers
    parted: list[tuple[str, list[TrialSpec]]] = []
    for place, (job, mates) in enumerate(arms):
        most = max_together(mates[0], resources, steps) if len(mates) > 1 else 1
        side_by_side = last if place >= len(arms) - last else workers
        number = -(-len(mates) // most) if job else parts_per_arm(side_by_side, len(mates), most, workers)
        parted += [(job if number == 1 else "", part) for part in split_evenly(mates, number)]
    parted.sort(key=turn)
    faster = before.faster if resources.fuse == "auto" else {}
    return [
        Job(trials=tuple(part), probes=probes, name=name, together=faster.get(part[0].architecture.key))
        for name, part in parted
    ]


def max_together(spec: TrialSpec, resources: Resources, steps: int) -> int:
    """Return how many trials like this one can train together, before anything is measured."""
    asked = max_together_by_settings(spec, resources, steps)
    return asked if asked > 1 and fusion_shape(spec.architecture) else 1


def max_together_by_settings(spec: TrialSpec, resources: Resources, steps: int) -> int:
    """Return the same limit for any network, from the settings and the length of the trial alone."""
    fuse = resources.fuse
    if spec.data.split == "seed":
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


def job_length(specs: Sequence[TrialSpec]) -> int:
    """Return how long trials of one shape take together, compared with others of the same number of steps.

    It is a logarithm to the base sqrt(2), rounded, so that jobs of about the same length keep their order.
    """
    return round(2 * math.log2(math.sqrt(len(specs)) * complexity(specs[0].architecture).macs))


def split_evenly(specs: Sequence[TrialSpec], number: int) -> list[list[TrialSpec]]:
    """Split the trials in order into `number` parts. Their sizes differ by at most one, larger parts first."""
    each, more = divmod(len(specs), number)
    ends = [part * each + min(part, more) for part in range(number + 1)]
    return [list(specs[begin:end]) for begin, end in pairwise(ends)]


# Cached: it is called for every seed of every arm, and takes some hundredths of a second.
@lru_cache(maxsize=4096)
def fusion_shape(net: Architecture) -> str:
    """Return a hash that is equal for networks that can be fused together; "" if a network cannot be fused."""
    with torch.device("meta"):
        model = build(net)
    found = hashlib.sha256(repr(model).encode()).hexdigest()
    return "" if refusal(model) else found
