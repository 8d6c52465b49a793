"""What training will take, before it begins: seconds by a short calibration, bytes by what a backward pass keeps."""

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
from torch.nn import functional

from resnet_space import Architecture, build, complexity
from resnet_space.modules import Survival
from search.data import Images, Split, batches, steps_per_epoch
from search.kernels.gpu import near
from search.kernels.soundness import conditions_of, sound
from search.training.members import Group, Member
from search.training.step import stepping
from search.training.train import errors
from search.trials.recipe import Recipe
from search.trials.resources import Resources
from search.trials.trial import TrialSpec

STEPS = 4
"""Optimiser steps that a calibration takes the median of, after as many to warm up, in which a step is recorded."""


@dataclass(frozen=True)
class Memory:
    """Bytes of one training: parameters, their gradients and momenta; and what the backward pass keeps of a batch."""

    weights: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.activations


def memory(net: Architecture, recipe: Recipe) -> Memory:
    """Bytes of one training step in float32, without what the libraries take for themselves.

    Activations: what autograd keeps for a batch, each storage once; on torch's meta device, where that takes no memory.
    """
    return Memory(weights=weights(net), activations=_kept(net, recipe.batch_size))


def weights(net: Architecture) -> int:
    """Bytes of its parameters, their gradients and momenta, in float32."""
    return 3 * 4 * complexity(net).params


class Kept:
    """What forward passes keep for the backward ones, each storage once."""

    def __init__(self) -> None:
        # By the object: on the meta device nothing has an address. Held, or its id would be given again.
        self.storages: dict[int, torch.UntypedStorage] = {}

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what is kept while it lasts."""
        with torch.autograd.graph.saved_tensors_hooks(self._note, lambda tensor: tensor):
            yield

    def _note(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        self.storages[id(storage)] = storage
        return tensor

    def bytes(self, model: nn.Module) -> int:
        """Of all of it but the model's parameters."""
        own = {id(parameter.untyped_storage()) for parameter in model.parameters()}
        return sum(storage.nbytes() for place, storage in self.storages.items() if place not in own)


def _kept(net: Architecture, images: int) -> int:
    """Bytes that a forward pass keeps for the backward one, parameters aside."""
    kept = Kept()
    with torch.device("meta"):
        model = build(net).train()
        for part in model.modules():
            # A batch may skip no branch, and on this device there is nothing to draw.
            part.train(not isinstance(part, Survival))
        with kept.noting():
            logits = model(torch.zeros(images, *net.input_shape))
            functional.cross_entropy(logits, torch.zeros(images, dtype=torch.long))
    return kept.bytes(model)


def seconds_a_trial(spec: TrialSpec, images: Images, resources: Resources) -> float:
    """How long a whole trial takes here: the median of a few real steps, times their number; a look at the validation
    split after each epoch, and one at the test split. Where the recipe compiles, it is timed as if it did not.

    Raises:
        Faulty: a kernel is wrong on this machine, and there is no way around it.
    """
    recipe, device = spec.recipe, resources.device
    gpus = [torch.cuda.current_device()] if device.startswith("cuda") else []
    with threads(resources.threads), torch.random.fork_rng(devices=gpus):
        plain = spec.model_copy(update={"recipe": recipe.model_copy(update={"compile": False})})
        detours = sound(spec.architecture, conditions_of(recipe, resources)).detours
        group = Group([Member.of(plain, None, device, detours=detours)])
        recorded = resources.use_graphs and not resources.recompute
        take, split = stepping(group, device, recorded=recorded), near(images.train, device)
        group.model.train()
        taken = []
        began = now(device)
        # From step to step, so that the making of a batch counts as well.
        for x, y in _batches(spec, images, split, device):
            take([x], [y], recipe.lr)
            taken.append(now(device) - began)
            began += taken[-1]
        errors(group.model, near(images.validation, device), images, recipe, device)
        looking = now(device) - began
    an_epoch = steps_per_epoch(len(split), recipe.batch_size)
    total = recipe.total_steps(an_epoch)
    a_test = looking * len(images.test) / len(images.validation)
    return median(taken[STEPS:]) * total + looking * -(-total // an_epoch) + a_test


def _batches(spec: TrialSpec, images: Images, split: Split, device: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The trial's own batches, as many as a calibration needs."""
    done = epoch = 0
    while done < 2 * STEPS:
        for batch in batches(
            split,
            batch_size=spec.recipe.batch_size,
            mean=images.mean,
            std=images.std,
            seed=spec.seed,
            epoch=epoch,
            augmentation=spec.recipe.augmentation,
            device=device,
        ):
            yield batch
            done += 1
            if done == 2 * STEPS:
                return
        epoch += 1


def now(device: str) -> float:
    """The clock, once the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def threads(number: int) -> Iterator[None]:
    """torch with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def by_macs(measured: Sequence[tuple[int, float]], macs: int) -> float:
    """Seconds for a network of so many MACs: a line between the measured ones on both sides, level outside of them.

    Of several with as many MACs (shortcuts differ in what is not counted as one) the mean.
    """
    alike = {at: [seconds for other, seconds in measured if other == at] for at, _ in measured}
    points = [(at, fmean(alike[at])) for at in sorted(alike)]
    for (below, one), (above, other) in pairwise(points):
        if below <= macs <= above:
            return one + (other - one) * (macs - below) / (above - below)
    return points[0][1] if macs < points[0][0] else points[-1][1]


def available(device: str) -> int:
    """Bytes of memory that this machine, or its first GPU, has in all."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(0).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
