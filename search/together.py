"""Which trials train together: those of one shape that wait, as far as no worker idles and where that is faster.

Of one shape are an arm's seeds, and arms that differ in nothing but where their weights begin, such as a gate's bias.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from resnet_space import Architecture, build, complexity
from search.data import Images, batches
from search.forecast import Kept, available, now, threads, weights
from search.fused import Unfusable, refusal
from search.members import Group, Member
from search.record import TrialRecord
from search.resources import Resources
from search.step import BEFORE_RECORDING, stepping
from search.trial import Job, TrialSpec

MOST = 8
"""Trials in a job, where it is not said."""

PAIRS = 2
"""Steps alone and together that are timed in turns, behind one of each to warm up; the quicker of each counts."""

LOOKS = 2
"""Measurements, as long as it does not look faster together: what else goes on makes steps slower, never quicker."""

MARGIN = 1.1
"""So much faster together, or alone: less is not sure to last."""

FEWEST_STEPS = 200
"""Of a shorter trial, the measurement would be too large a part."""

ROOM = 0.5
"""Of a worker's memory: what tensors take for themselves alone is known beforehand."""

AGREEMENT = {"cpu": 1e-3, "cuda": 0.05}
"""How far losses of one step may be apart, relatively: float32 sums in another order; bf16 and TF32."""


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


def gain(specs: Sequence[TrialSpec], images: Images, resources: Resources, *, steps: int) -> float | None:
    """How many times as fast a job's trials are together, by a short measurement; None where they go one by one.

    That is so where `resources.fuse` is off, or is `auto` and they are not clearly faster or have no room; and where
    their networks cannot be fused.
    """
    auto = resources.fuse == "auto"
    if len(specs) < 2 or asked_for(specs[0], resources, steps) < 2:
        return None
    room = share(resources) if auto else None
    for _ in range(LOOKS):
        try:
            with threads(resources.threads):
                taken = pace(specs, images, resources.device, PAIRS, recorded=resources.graphs, room=room)
        except Unfusable:
            return None
        factor = min(alone for alone, _ in taken) / min(together for _, together in taken)
        if factor >= MARGIN or not auto:
            return factor
    return None


def share(resources: Resources) -> float:
    """Bytes that the networks of a worker may take together."""
    device = resources.device
    own = min(resources.gpus, 1) if device == "cuda" else min(resources.cpus / (os.cpu_count() or 1), 1)
    return ROOM * own * available(device)


def pace(
    specs: Sequence[TrialSpec],
    images: Images,
    device: str,
    pairs: int,
    *,
    recorded: bool = False,
    room: float | None = None,
) -> list[tuple[float, float]]:
    """Seconds of a step of each trial, one after another, and of one step of all together: measured in turns.

    Alone, the first stands for each: their networks are of one shape. With `recorded`, of steps that are CUDA graphs.

    Raises:
        Unfusable: they cannot be fused, or what is fused computes something else; or, by what a step of the first one
            keeps, they take more memory than there is `room` for.
    """
    gpus = [torch.cuda.current_device()] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=gpus):
        members = [Member.of(spec, None, device) for spec in specs]
        together, alone = Group(members), [Group([member]) for member in members]
        for group in (together, *alone):
            group.model.train()
        xs, ys = zip(*(_batch(spec, images, device) for spec in specs), strict=True)
        rate = specs[0].recipe.lr

        all_take, *each_takes = (stepping(group, device, recorded=recorded) for group in (together, *alone))

        def apart(number: int) -> Tensor:
            take = each_takes[number]
            take.group.draw_on()
            return take([xs[number]], [ys[number]], rate)[0]

        losses = [_within(room, specs, alone[0].model, partial(apart, 0))]
        losses += [apart(number) for number in range(1, len(specs))]
        _agree(torch.cat(losses), all_take(xs, ys, rate)[0], AGREEMENT["cuda" if gpus else "cpu"])
        taken = []
        for _ in range((BEFORE_RECORDING if recorded else 0) + pairs):
            began = now(device)
            apart(0)
            between = now(device)
            all_take(xs, ys, rate)
            taken.append((len(specs) * (between - began), now(device) - between))
        return taken[-pairs:]


def _within(room: float | None, specs: Sequence[TrialSpec], first: nn.Module, step: Callable[[], Tensor]) -> Tensor:
    """What a step of the first network gives, if by what it keeps all of them have room."""
    if room is None:
        return step()
    kept = Kept()
    with kept.noting():
        loss = step()
    asked = len(specs) * (weights(specs[0].architecture) + kept.bytes(first))
    if asked > room:
        raise Unfusable(f"{len(specs)} networks take {asked} bytes, and there is room for {room:.0f}")
    return loss


def _batch(spec: TrialSpec, images: Images, device: str) -> tuple[Tensor, Tensor]:
    """The trial's first."""
    return next(
        batches(
            images.train,
            batch_size=spec.recipe.batch_size,
            mean=images.mean,
            std=images.std,
            seed=spec.seed,
            augmentation=spec.recipe.augmentation,
            device=device,
        )
    )


def _agree(apart: Tensor, joined: Tensor, tolerance: float) -> None:
    """Raise unless the first losses are alike: a network whose formula has changed is not trained wrongly unseen."""
    if not torch.allclose(joined, apart, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise Unfusable(f"losses of the first step are {joined.tolist()} together and {apart.tolist()} alone")


# Every arm of a study is asked for again with every seed, and takes some hundredths of a second.
@lru_cache(maxsize=4096)
def shape(net: Architecture) -> str:
    """What networks have in common that can be fused; empty of one that cannot be."""
    with torch.device("meta"):
        model = build(net)
    found = hashlib.sha256(repr(model).encode()).hexdigest()
    return "" if refusal(model, given=True) else found
