"""Forecast the cost of training: seconds from a short calibration, bytes from what autograd saves for a batch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

import torch
from torch import nn

from resnet_space import Architecture, build, complexity
from resnet_space.modules import Survival
from search.data import Images, Split, batches, steps_per_epoch
from search.kernels.gpu import on_device
from search.kernels.soundness import check_kernels, conditions_of
from search.training.evaluation import errors
from search.training.losses import loss_function
from search.training.members import Group, Member
from search.training.step import make_stepper
from search.trials.recipe import Recipe
from search.trials.resources import Resources
from search.trials.trial import TrialSpec

CALIBRATION_STEPS = 4
"""A calibration takes the median of this number of steps, after the same number of warm-up steps with a recording."""


@dataclass(frozen=True)
class Memory:
    """Bytes that one training run takes.

    `weights` are for parameters, their gradients, the optimiser's moments and an average, `activations` for what is
    saved for the backward pass.
    """

    weights: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.activations


def memory_of_step(net: Architecture, recipe: Recipe) -> Memory:
    """Return the bytes of one training step in float32, without the libraries' own memory.

    Activations are what autograd saves for a batch, each storage counted once. They are found on torch's meta device,
    where they take no memory.
    """
    return Memory(weights=weight_bytes(net, recipe), activations=_activation_bytes(net, recipe))


def weight_bytes(net: Architecture, recipe: Recipe) -> int:
    """Return the bytes of a network's parameters, gradients, moments and averages, in float32."""
    return (1 + recipe.copies) * 4 * complexity(net).params


class SavedTensors:
    """The tensors that forward passes save for backward passes, each storage once."""

    def __init__(self) -> None:
        # By object id: on the meta device nothing has an address. The storage is kept, or its id could be used again.
        self.storages: dict[int, torch.UntypedStorage] = {}

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what autograd saves within this context."""
        with torch.autograd.graph.saved_tensors_hooks(self._note, lambda tensor: tensor):
            yield

    def _note(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        self.storages[id(storage)] = storage
        return tensor

    def bytes(self, model: nn.Module) -> int:
        """Return the bytes of all saved storages, without the model's parameters."""
        own = {id(parameter.untyped_storage()) for parameter in model.parameters()}
        return sum(storage.nbytes() for place, storage in self.storages.items() if place not in own)


def _activation_bytes(net: Architecture, recipe: Recipe) -> int:
    """Return the bytes that a forward pass saves for the backward pass, without parameters."""
    kept, images, loss = SavedTensors(), recipe.part_size, loss_function(recipe.loss)
    with torch.device("meta"):
        model = build(net).train()
        for part in model.modules():
            # The most memory: no branch is skipped. The meta device has no random numbers anyway.
            part.train(not isinstance(part, Survival))
        with kept.noting():
            logits = model(torch.zeros(images, *net.input_shape))
            loss(logits, torch.zeros(images, dtype=torch.long))
    return kept.bytes(model)


def seconds_per_trial(spec: TrialSpec, images: Images, resources: Resources) -> float:
    """Return how long a trial takes on this machine.

    It is the median of a few real steps, times the number of steps, plus the measured validation after each epoch, plus
    a test. A recipe that compiles is timed without compiling.

    Raises:
        FaultyKernel: a kernel is wrong on this machine, and there is no way around it.
    """
    recipe, device = spec.recipe, resources.device
    gpus = [torch.cuda.current_device()] if device.startswith("cuda") else []
    with torch_threads(resources.threads), torch.random.fork_rng(devices=gpus):
        plain = spec.model_copy(update={"recipe": recipe.model_copy(update={"compile": False})})
        detours = check_kernels(conditions_of(recipe, resources), spec.architecture).detours
        group = Group([Member.of(plain, None, device, detours=detours)])
        recorded = resources.use_graphs and not resources.recompute
        take, split = make_stepper(group, device, recorded=recorded), on_device(images.train, device)
        group.model.train()
        taken = []
        began = device_time(device)
        # From one step to the next, so that creating the batch counts too.
        for step, (x, y) in enumerate(_batches(spec, images, split, device), 1):
            take([x], [y], recipe.lr)
            group.update_average(step, 2 * CALIBRATION_STEPS)
            taken.append(device_time(device) - began)
            began += taken[-1]
        errors(group.model, on_device(images.validation, device), images, recipe, device)
        validation = device_time(device) - began
    per_epoch = steps_per_epoch(len(split), recipe.batch_size)
    total = recipe.total_steps(per_epoch)
    test = validation * len(images.test) / len(images.validation)
    return median(taken[CALIBRATION_STEPS:]) * total + validation * -(-total // per_epoch) + test


def _batches(spec: TrialSpec, images: Images, split: Split, device: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the trial's first batches, as many as a calibration needs."""
    done = epoch = 0
    while done < 2 * CALIBRATION_STEPS:
        for batch in batches(
            split,
            batch_size=spec.recipe.batch_size,
            mean=images.mean,
            std=images.std,
            seed=spec.seed,
            epoch=epoch,
            augmentation=spec.recipe.augmentation,
            images=images,
            device=device,
        ):
            yield batch
            done += 1
            if done == 2 * CALIBRATION_STEPS:
                return
        epoch += 1


def device_time(device: str) -> float:
    """Wait until the device has finished its work, and return the time."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch use this number of threads within the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def interpolated_seconds(measured: Sequence[tuple[int, float]], macs: int) -> float:
    """Return seconds for a network with this number of MACs, from measured (MACs, seconds) of others.

    Linear between the two nearest measured networks, constant outside of their range. Measurements with equal MACs are
    averaged: shortcuts can differ in operations that MACs do not count.
    """
    alike = {at: [seconds for other, seconds in measured if other == at] for at, _ in measured}
    points = [(at, fmean(alike[at])) for at in sorted(alike)]
    for (below, one), (above, other) in pairwise(points):
        if below <= macs <= above:
            return one + (other - one) * (macs - below) / (above - below)
    return points[0][1] if macs < points[0][0] else points[-1][1]


def total_memory(device: str) -> int:
    """Return the bytes of memory of this machine, or of its first GPU."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(0).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
