"""Measure how long a training step of a network takes on this CPU, compared with other networks, unit by unit.

MACs do not show it: dropout has none, and takes longer than the identity.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from functools import lru_cache, partial

import torch

from resnet_space import Architecture, complexity
from resnet_space.modules import Unit
from resnet_space.unit_plans import UnitPlan
from search.kernels.layers import MAX_ELEMENTS, MAX_MULTIPLY_ADDS, Conditions
from search.kernels.soundness import FaultyKernel, check_kernels, conditions_of
from search.kernels.workarounds import apply_detours
from search.training.forecast import torch_threads
from search.training.jobs import Cost
from search.trials.recipe import Recipe
from search.trials.resources import Resources

PASSES = 3
"""Forward and backward passes of a unit, of which the fastest counts."""

GUESSED_MACS_PER_SECOND = 1e10
"""For networks that cannot be measured."""


def measured_cost(resources: Resources, recipe: Recipe, *, workers: int, trials: int) -> Cost | None:
    """Return the cost by which jobs are ordered and divided, or None if it is not measured.

    It is not where the order makes no difference: for one worker, and for a worker for each trial. Nor is it for GPUs,
    which the driver may not have.
    """
    if not 1 < workers < trials or resources.device != "cpu":
        return None
    return partial(step_seconds, conditions=conditions_of(recipe, resources))


def step_seconds(net: Architecture, conditions: Conditions) -> float:
    """Return the seconds that the units of a network take in a training step on this machine's CPU.

    Each distinct unit is measured once per process, on a part of the batch if that has many elements. If a kernel is
    wrong on this machine, and there is no way around it, nothing is run, and the seconds are guessed from the MACs.
    """
    try:
        detours = check_kernels(conditions, net).detours
    except FaultyKernel:
        return complexity(net).macs * conditions.batch / GUESSED_MACS_PER_SECOND
    units = Counter(net.blueprint.units)
    return sum(number * _unit_seconds(unit, conditions, tuple(detours.items())) for unit, number in units.items())


@lru_cache(maxsize=4096)
def _unit_seconds(plan: UnitPlan, conditions: Conditions, detours: tuple[tuple[str, str], ...]) -> float:
    """Return the seconds of a forward and a backward pass of a unit for a batch.

    They are of this thread's processor time, which other processes increase less than elapsed time.
    """
    number = _images(plan, conditions.batch)
    with torch_threads(conditions.threads), torch.random.fork_rng(devices=[]):
        unit = Unit(plan).to(memory_format=torch.channels_last).train()
        apply_detours(unit, dict(detours))
        x = torch.randn(number, plan.in_channels, *plan.size).contiguous(memory_format=torch.channels_last)
        taken = []
        for _ in range(PASSES):
            began = time.thread_time()
            unit(x.requires_grad_()).sum().backward()
            taken.append(time.thread_time() - began)
    return min(taken) * conditions.batch / number


def _images(plan: UnitPlan, batch: int) -> int:
    """Return the number of images of a batch to measure, at least 2."""
    work = sum(shape.weights for shape in plan.convolutions) * math.prod(plan.size)
    elements = max(plan.in_channels, plan.out_channels) * math.prod(plan.size)
    return max(2, min(batch, 8 * MAX_MULTIPLY_ADDS // max(1, work), MAX_ELEMENTS // elements))
