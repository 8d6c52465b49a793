"""Whether a job's trials are faster as one network: by a short measurement, where they are to be trained."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from resnet_space.fused import Unfusable
from search.data import Images, batches
from search.kernels.soundness import Faulty, Found, conditions_of, sound
from search.kernels.workarounds import NONE, Detours
from search.training.forecast import Kept, available, now, threads, weights
from search.training.jobs import asked_for
from search.training.members import Group, Member
from search.training.step import BEFORE_RECORDING, stepping
from search.trials.resources import Resources
from search.trials.trial import TrialSpec

PAIRS = 2
"""Steps alone and together that are timed in turns, behind one of each to warm up; the quicker of each counts."""

LOOKS = 2
"""Measurements, as long as it does not look faster together: what else goes on makes steps slower, never quicker."""

MARGIN = 1.1
"""So much faster together, or alone: less is not sure to last."""

ROOM = 0.5
"""Of a worker's memory: what tensors take for themselves alone is known beforehand."""

AGREEMENT = {"cpu": 1e-3, "cuda": 0.05}
"""How far losses of one step may be apart, relatively: float32 sums in another order; bf16 and TF32."""


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
            detours = checked(specs, resources).detours
            with threads(resources.threads):
                recorded = resources.use_graphs and not resources.recompute
                taken = pace(specs, images, resources.device, PAIRS, recorded=recorded, room=room, detours=detours)
        except (Unfusable, Faulty):
            return None
        factor = min(alone for alone, _ in taken) / min(together for _, together in taken)
        if factor >= MARGIN or not auto:
            return factor
    return None


def checked(specs: Sequence[TrialSpec], resources: Resources) -> Found:
    """What is wrong here with the kernels of trials of one shape: of each network, and of the one they are fused into.

    Raises:
        Faulty: a kernel is wrong on this machine, and there is no way around it.
        Unfusable: they cannot be fused.
    """
    first = specs[0]
    conditions = conditions_of(first.recipe, resources)
    alone = sound(first.architecture, conditions)
    return alone | sound(first.architecture, conditions, len(specs)) if len(specs) > 1 else alone


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
    detours: Detours = NONE,
) -> list[tuple[float, float]]:
    """Seconds of a step of each trial, one after another, and of one step of all together: measured in turns.

    Alone, the first stands for each: their networks are of one shape. With `recorded`, of steps that are CUDA graphs,
    as far as they can be recorded.

    Raises:
        Unfusable: they cannot be fused, or what is fused computes something else; or, by what a step of the first one
            keeps, they take more memory than there is `room` for.
    """
    gpus = [torch.cuda.current_device()] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=gpus):
        members = [Member.of(spec, None, device, detours=detours) for spec in specs]
        together, alone = Group(members, detours), [Group([member]) for member in members]
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
