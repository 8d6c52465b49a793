"""Measure whether a job's trials train faster fused into one network, on the machine that will train them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from resnet_space.fused import Unfusable
from search.data import Images, batches
from search.kernels.soundness import FaultyKernel, KernelReport, check_kernels, conditions_of
from search.kernels.workarounds import NO_DETOURS, Detours
from search.training.forecast import SavedTensors, device_time, torch_threads, total_memory, weight_bytes
from search.training.jobs import max_together_by_settings, shape_of
from search.training.members import Group, Member
from search.training.step import WARMUP_STEPS, make_stepper
from search.trials.resources import Resources
from search.trials.sides import at_sides
from search.trials.trial import TrialSpec

TIMED_PAIRS = 2
"""Pairs of steps (alone, together) that are timed, after one pair to warm up. The fastest of each kind counts."""

MAX_MEASUREMENTS = 2
"""Measurements are repeated up to this number until fused is faster: other processes only make steps slower."""

MIN_SPEEDUP = 1.1
"""Fused must be faster by this factor. A smaller gain cannot be relied on."""

MEMORY_FRACTION = 0.5
"""The fraction of a worker's memory that fused networks can take: only the memory of tensors is known in advance."""

LOSS_TOLERANCE = {"cpu": 1e-3, "cuda": 0.05}
"""The relative difference allowed between losses of one step, by device: float32 sums in another order on a CPU, bf16
and TF32 on a GPU."""


def speedup(specs: Sequence[TrialSpec], images: Images, resources: Resources, *, steps: int) -> float | None:
    """Measure by which factor a job's trials are faster together, or return None if they should train one by one.

    None is returned if `resources.fuse` is off, if it is `auto` and they are not clearly faster or need too much
    memory, and if their networks cannot be fused.
    """
    auto = resources.fuse == "auto"
    if len(specs) < 2 or max_together_by_settings(specs[0], resources, steps) < 2:
        return None
    room = memory_per_worker(resources) if auto else None
    for _ in range(MAX_MEASUREMENTS):
        try:
            detours = check_job_kernels(specs, resources).detours
            with torch_threads(resources.threads):
                recorded = resources.use_graphs and not resources.recompute
                taken = time_steps(
                    specs,
                    images,
                    resources.device,
                    TIMED_PAIRS,
                    recorded=recorded,
                    recompute=resources.recompute,
                    room=room,
                    detours=detours,
                )
        except (Unfusable, FaultyKernel):
            return None
        factor = min(alone for alone, _ in taken) / min(together for _, together in taken)
        if factor >= MIN_SPEEDUP or not auto:
            return factor
    return None


def check_job_kernels(specs: Sequence[TrialSpec], resources: Resources) -> KernelReport:
    """Check the kernels of trials that can be fused, those of each network alone and those of the fused one.

    If training images grow, they are checked for each of their sides.

    Raises:
        FaultyKernel: a kernel is wrong on this machine, and there is no way around it.
        Unfusable: they cannot be fused.
    """
    conditions = conditions_of(specs[0].recipe, resources)
    found = KernelReport()
    for nets in zip(*(at_sides(spec.architecture, spec.recipe) for spec in specs), strict=True):
        for net in dict.fromkeys(nets):
            found |= check_kernels(conditions, net)
        if len(nets) > 1:
            found |= check_kernels(conditions, *nets)
    return found


def memory_per_worker(resources: Resources) -> float:
    """Return the bytes that the networks of one worker can take together."""
    device = resources.device
    own = min(resources.gpus, 1) if device == "cuda" else min(resources.cpus / (os.cpu_count() or 1), 1)
    return MEMORY_FRACTION * own * total_memory(device)


def time_steps(
    specs: Sequence[TrialSpec],
    images: Images,
    device: str,
    pairs: int,
    *,
    recorded: bool = False,
    recompute: bool = False,
    room: float | None = None,
    detours: Detours = NO_DETOURS,
) -> list[tuple[float, float]]:
    """Return pairs of seconds: for one step of every trial one after another, and for one step of all together.

    Both are measured in turn. Of each shape of network, only the first trial is timed alone, and its time multiplied by
    the number of trials, which have the same kernels. With `recorded`, steps are CUDA graphs if they can be recorded.
    `recompute` is that of `build`, `room` is the memory they can take, in bytes.

    Raises:
        Unfusable: they cannot be fused, the fused network computes something else, or together they would take more
            memory than `room`.
    """
    gpus = [torch.cuda.current_device()] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=gpus):
        members = [Member.of(spec, None, device, recompute=recompute, detours=detours) for spec in specs]
        together, alone = Group(members, detours), [Group([member]) for member in members]
        for group in (together, *alone):
            group.model.train()
        xs, ys = zip(*(_first_batch(spec, images, device) for spec in specs), strict=True)
        rate = specs[0].recipe.lr

        all_take, *each_takes = (make_stepper(group, device, recorded=recorded) for group in (together, *alone))

        def apart(number: int) -> Tensor:
            take = each_takes[number]
            take.group.draw_on()
            return take([xs[number]], [ys[number]], rate)[0]

        # Networks of one shape take the same time and memory: the first is measured for all.
        shapes = [shape_of(spec.architecture).whole for spec in specs]
        firsts = {shapes.index(shape): number for shape, number in Counter(shapes).items()}
        losses: dict[int, Tensor] = {}
        asked = 0
        for first, trials in firsts.items():
            kept = SavedTensors()
            with nullcontext() if room is None else kept.noting():
                losses[first] = apart(first)
            own = weight_bytes(specs[first].architecture, specs[first].recipe)
            asked += trials * (own + kept.bytes(alone[first].model))
        if room is not None and asked > room:
            raise Unfusable(f"{len(specs)} networks take {asked} bytes, and {room:.0f} are available")
        for number in range(len(specs)):
            losses[number] = losses[number] if number in losses else apart(number)
        found = torch.cat([losses[number] for number in range(len(specs))])
        _check_losses(found, all_take(xs, ys, rate)[0], LOSS_TOLERANCE["cuda" if gpus else "cpu"])
        taken = []
        for _ in range((WARMUP_STEPS if recorded else 0) + pairs):
            one_by_one = 0.0
            for first, trials in firsts.items():
                began = device_time(device)
                apart(first)
                one_by_one += trials * (device_time(device) - began)
            began = device_time(device)
            all_take(xs, ys, rate)
            taken.append((one_by_one, device_time(device) - began))
        return taken[-pairs:]


def _first_batch(spec: TrialSpec, images: Images, device: str) -> tuple[Tensor, Tensor]:
    """Return the trial's first batch."""
    return next(
        batches(
            images.train,
            batch_size=spec.recipe.batch_size,
            mean=images.mean,
            std=images.std,
            seed=spec.seed,
            augmentation=spec.recipe.augmentation,
            images=images,
            device=device,
        )
    )


def _check_losses(apart: Tensor, joined: Tensor, tolerance: float) -> None:
    """Check that fused networks have the losses of single ones, so that an error in fusing is noticed.

    Raises:
        Unfusable: they have not.
    """
    if not torch.allclose(joined, apart, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise Unfusable(f"losses of the first step are {joined.tolist()} together and {apart.tolist()} alone")
