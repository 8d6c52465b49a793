"""What training will take, before it begins: seconds by a short calibration, bytes by what a backward pass keeps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch.nn import functional

from resnet_space import Architecture, build, complexity
from search.data import Images, batches, steps_per_epoch
from search.recipe import Recipe
from search.resources import Resources
from search.train import autocast, beginning, error
from search.trial import TrialSpec

STEPS = 4
"""Optimiser steps that a calibration takes the median of, behind as many to warm up."""


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

    Weights: 4 bytes for each parameter, its gradient and its momentum. Activations: what autograd keeps for one image
    (on torch's meta device, each storage once) times the batch.
    """
    kept: dict[int, int] = {}
    alive = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[id(storage)] = storage.nbytes()
        alive.append(storage)  # or its id would be given again
        return tensor

    with torch.device("meta"):
        model = build(net).train()
        mine = {id(parameter.untyped_storage()) for parameter in model.parameters()}
        alive += [parameter.untyped_storage() for parameter in model.parameters()]
        images = torch.zeros(2, *net.input_shape)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            model(images)
    an_image = sum(size for storage, size in kept.items() if storage not in mine) / 2
    return Memory(weights=3 * 4 * complexity(net).params, activations=round(an_image * recipe.batch_size))


def seconds_a_trial(spec: TrialSpec, images: Images, resources: Resources) -> float:
    """How long a whole trial takes here, by a few real steps and one look at the validation split."""
    recipe, device = spec.recipe, resources.device
    with _threads(resources.threads):
        model, optimizer = beginning(spec, device)
        split = images.train.to(device)
        taken = []
        for x, y in _batches(spec, images, split, device):
            began = _now(device)
            model.train()
            with autocast(recipe, device):
                loss = functional.cross_entropy(model(x.contiguous(memory_format=torch.channels_last)), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            taken.append(_now(device) - began)
        began = _now(device)
        error(model, images.validation, images, recipe, device)
        looking = _now(device) - began
    an_epoch = steps_per_epoch(len(split), recipe.batch_size)
    total = recipe.total_steps(an_epoch)
    a_test = looking * len(images.test) / len(images.validation)
    return median(taken[STEPS:] or taken) * total + looking * -(-total // an_epoch) + a_test


def _batches(spec: TrialSpec, images: Images, split: Any, device: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
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


def _now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def by_macs(measured: Sequence[tuple[int, float]], macs: int) -> float:
    """Seconds for a network of so many MACs: a line between the measured ones on both sides, level outside of them."""
    points = sorted(measured)
    for (below, one), (above, other) in zip(points, points[1:], strict=False):
        if below <= macs <= above:
            return one + (other - one) * (macs - below) / ((above - below) or 1)
    return points[0][1] if macs < points[0][0] else points[-1][1]


def available(device: str) -> int:
    """Bytes of memory that this machine, or its first GPU, has in all."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(0).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
