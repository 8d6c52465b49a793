"""How many times more images per second does a training step process than the textbook loop, on one thread?

One thread trains on each side; the textbook loop has two more workers that prepare its images. The sides alternate, one
epoch each, with shuffling, augmentation and losses. The input is also measured alone, without a network.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch
from measuring import Goal, Measured, in_turns, main, ratio
from textbook import ResNet, loader, optimiser, steps

from resnet_space import preset
from search.data import DataSet, Images, batches, load
from search.training.members import Group, Member
from search.training.step import step
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec


@dataclass(frozen=True)
class Case:
    """A network of 6n+2 layers, and the number and size of its random images."""

    depth: int
    size: int
    batch: int
    width: float = 1
    images: int = 1024
    channels: int = 3
    pad: int = 4

    @property
    def name(self) -> str:
        width = "" if self.width == 1 else f" width {self.width * 16:g}"
        return f"ResNet-{self.depth}{width} at {self.size}x{self.size}, batch {self.batch}"

    def spec(self, images: Images, data: DataSet) -> TrialSpec:
        net = preset(f"resnet{self.depth}").assign(
            {"input_shape": [self.channels, self.size, self.size], "width": self.width}
        )
        return TrialSpec(architecture=net, seed=0, recipe=self.recipe, data=data, fingerprint=images.fingerprint)

    @property
    def recipe(self) -> Recipe:
        augmentation = {"pad": self.pad, "flip": bool(self.pad)}
        return Recipe.of({"epochs": 1, "batch_size": self.batch, "lr": 0.01, "augmentation": augmentation})


CASES = (
    Case(20, 32, 128),
    Case(56, 8, 64, width=0.5, channels=1, images=1617, pad=0),
)
FASTER, INPUT = Goal("least", 1.5), Goal("least", 8)


def measure(quick: bool) -> Iterator[Measured]:
    torch.set_num_threads(1)
    for case in CASES:
        settings: dict[str, Any] = {"samples": case.images // 4 if quick else case.images}
        data = DataSet(name="fake", size=case.size, channels=case.channels, classes=10, validation=0.1, **settings)
        images = load(data)
        rounds = in_turns(*_trainings(case, images, data), rounds=3 if quick else 7)
        names = ("images_a_second", "textbook_images_a_second")
        yield ratio(f"training, {case.name}", FASTER, rounds, names=names, images=len(images.train))
        rounds = in_turns(*_inputs(case, images), rounds=3 if quick else 7)
        yield ratio(f"input, {case.name}", INPUT, rounds, names=names, images=len(images.train))


def _trainings(case: Case, images: Images, data: DataSet) -> tuple[Callable[[], float], Callable[[], float]]:
    group = Group([Member.of(case.spec(images, data), None, "cpu")])
    group.model.train()
    model = ResNet(case.depth, width=case.width, channels=case.channels)
    optimizer, ready = optimiser(model, case.recipe), loader(images.train, images, case.recipe, train=True)

    def ours() -> float:
        began, seen, losses = time.perf_counter(), 0, []
        for x, y in _batches(case, images):
            losses.append(step(group, [x], [y], "cpu")[0])
            seen += len(y)
        assert torch.stack(losses).isfinite().all()
        return seen / (time.perf_counter() - began)

    def textbook() -> float:
        began = time.perf_counter()
        seen = sum(number for number, _, _ in steps(model, optimizer, ready))
        return seen / (time.perf_counter() - began)

    return ours, textbook


def _inputs(case: Case, images: Images) -> tuple[Callable[[], float], Callable[[], float]]:
    ready = loader(images.train, images, case.recipe, train=True)

    def ours() -> float:
        began = time.perf_counter()
        seen = sum(len(y) for _, y in _batches(case, images))
        return seen / (time.perf_counter() - began)

    def textbook() -> float:
        began = time.perf_counter()
        seen = sum(len(y) for _, y in ready)
        return seen / (time.perf_counter() - began)

    return ours, textbook


def _batches(case: Case, images: Images) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    recipe = case.recipe
    return batches(
        images.train,
        batch_size=recipe.batch_size,
        mean=images.mean,
        std=images.std,
        seed=0,
        augmentation=recipe.augmentation,
    )


if __name__ == "__main__":
    main(measure, number=1, about=__doc__ or "")
