"""Is a training step as fast as in the loop of a good engineer, and how much faster are four networks together?

One thread trains on each side; the textbook loop has two more workers that prepare its images. The sides alternate, one
epoch each, with shuffling, augmentation and losses. Our side is the epoch of a trial, which also counts wrong
predictions. Both loops train the network that `textbook.py` defines, which has fewer modules than ours.

Four networks are trained as one by ours, and one after another by the good loop. At 32x32 this has no goal: a study
measures that they are slower together there, and trains them one after another too.

Each option of a recipe is measured on the smaller network, against the good loop with the same option.

The share of a core's peak counts 2 floating-point operations for each MAC of convolutions and classifier, and 4 more in
the backward pass. The peak is the faster of a large matrix product and a large convolution: on an AMD EPYC with
AVX-512, torch's matrix products had 104 GFLOP/s, and convolutions 240.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import good_loop
import textbook
import torch
from measuring import ROUNDS, Goal, Measured, in_turns, main, median_of, ratio
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as binary
from torch.nn.functional import one_hot
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from resnet_space import Architecture, complexity, preset
from search.data import DataSet, Images, load
from search.training.members import Group, Member
from search.training.step import make_stepper
from search.training.train import epoch
from search.trials.averaging import ExponentialAverage
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

Rate = Callable[[], float]
"""Trains for an epoch, or for one of each network; returns images per second."""


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
    together: Goal | None = None
    """The goal for four networks together."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Further fields of the recipe."""

    @property
    def name(self) -> str:
        width = "" if self.width == 1 else f" width {self.width * 16:g}"
        return f"ResNet-{self.depth}{width} at {self.size}x{self.size}, batch {self.batch}"

    @property
    def net(self) -> Architecture:
        changes = {"input_shape": [self.channels, self.size, self.size], "width": self.width}
        return preset(f"resnet{self.depth}").assign(changes)

    @property
    def recipe(self) -> Recipe:
        augmentation = {"pad": self.pad, "flip": bool(self.pad)}
        common = {"epochs": 1, "batch_size": self.batch}
        return Recipe.of({**common, "lr": 0.01, "augmentation": augmentation, **self.fields})

    def plain(self) -> textbook.ResNet:
        return textbook.ResNet(self.depth, width=self.width, channels=self.channels)

    def data(self, samples: int) -> DataSet:
        sizes: dict[str, Any] = {"size": self.size, "channels": self.channels, "classes": 10, "samples": samples}
        return DataSet(name="fake", validation=0.1, **sizes)

    @property
    def operations(self) -> int:
        """Floating-point operations of a step, per image."""
        counted = complexity(self.net).by_operator
        return 6 * (counted["conv"] + counted["linear"])


CASES = (
    Case(20, 32, 128),
    Case(56, 8, 64, width=0.5, channels=1, images=1617, pad=0, together=Goal("least", 2)),
)
OPTIONS: dict[str, dict[str, Any]] = {
    "AdamW": {"optimizer": "adamw"},
    "RMSprop": {"optimizer": "rmsprop"},
    "Lion": {"optimizer": "lion"},
    "LAMB": {"optimizer": "lamb"},
    "Muon": {"optimizer": "muon"},
    "no decay of norms and biases": {"decay_norms_and_biases": False},
    "clipping": {"clip_norm": 1.0},
    "accumulation of 2 parts": {"accumulation": 2},
    "label smoothing": {"loss": {"kind": "cross_entropy", "smoothing": 0.1}},
    "binary cross-entropy": {"loss": "binary_cross_entropy"},
    "an exponential average": {"averaging": {"kind": "ema", "decay": 0.999}},
}
"""Fields of a recipe, by what they are called in the table."""

NEVER_SLOWER = Goal("least", 1)
TOGETHER = 4
SQUARE = 2048
"""Rows and columns of the matrices whose product is measured for the core's peak."""
LARGE = (16, 64, 56, 56)
"""The images of the convolution for that, with 64 kernels of 3x3."""


def measure(quick: bool) -> Iterator[Measured]:
    torch.set_num_threads(1)
    number = 2 if quick else ROUNDS + 2
    for case in CASES:
        data = case.data(case.images // 4 if quick else case.images)
        images = load(data)
        sides = (ours(case, images, data), good(case, images), by_textbook(case, images), peak)
        rounds = in_turns(*sides, rounds=number)
        facts = {"images": len(images.train)}
        yield ratio(
            f"a step of {case.name}: ours against the good loop",
            NEVER_SLOWER,
            rounds,
            names=("images_a_second", "good_images_a_second"),
            **facts,
        )
        yield ratio(
            f"a step of {case.name}: ours against the textbook loop",
            NEVER_SLOWER,
            [(own, theirs) for own, _, theirs, _ in rounds],
            names=("images_a_second", "textbook_images_a_second"),
            **facts,
        )
        yield median_of(
            f"a step of {case.name}: share of the core's peak",
            None,
            [100 * own * case.operations / most for own, _, _, most in rounds],
            unit="%",
            gflop_a_second=max(most for *_, most in rounds) / 1e9,
            gflop_a_step=case.operations * case.batch / 1e9,
        )
        rounds = in_turns(ours(case, images, data, TOGETHER), good(case, images, TOGETHER), rounds=number)
        yield ratio(
            f"{TOGETHER} networks, {case.name}: ours together against the good loop, one after another",
            case.together,
            rounds,
            names=("images_a_second", "good_images_a_second"),
            **facts,
        )

    small = CASES[-1]
    for name, fields in OPTIONS.items():
        case, data = replace(small, fields=fields), small.data(small.images // 4 if quick else small.images)
        images = load(data)
        yield ratio(
            f"a step of {case.name} with {name}: ours against the good loop",
            NEVER_SLOWER,
            in_turns(ours(case, images, data), good(case, images), rounds=number),
            names=("images_a_second", "good_images_a_second"),
            images=len(images.train),
        )


def ours(case: Case, images: Images, data: DataSet, networks: int = 1) -> Rate:
    shared: dict[str, Any] = {"recipe": case.recipe, "data": data, "fingerprint": images.fingerprint}
    specs = [TrialSpec(architecture=case.net, seed=seed, **shared) for seed in range(networks)]
    take = make_stepper(Group([Member.of(spec, None, "cpu") for spec in specs]), "cpu")

    def rate() -> float:
        began = time.perf_counter()
        done = epoch(take, images.train, images, total=10**6)
        seconds = time.perf_counter() - began
        assert all(done.sound)
        return networks * done.seen / seconds

    return rate


def good(case: Case, images: Images, networks: int = 1) -> Rate:
    x, y = good_loop.prepared(images.train, images, case.pad)
    models = [case.plain().to(memory_format=torch.channels_last) for _ in range(networks)]
    optimisers = [good_loop.optimiser(model, case.recipe) for model in models]
    options = [of_recipe(case.recipe, model) for model in models]

    def rate() -> float:
        began = time.perf_counter()
        for model, optimizer, own in zip(models, optimisers, options, strict=True):
            batches = good_loop.batches(x, y, case.recipe)
            losses = [*good_loop.steps(model, optimizer, batches, repeat(case.recipe.lr), own)]
            assert torch.stack(losses).isfinite().all()
        return networks * len(y) / (time.perf_counter() - began)

    return rate


def of_recipe(recipe: Recipe, model: nn.Module) -> good_loop.Options:
    """Return the good loop's options for a recipe."""
    average = None
    if isinstance(recipe.averaging, ExponentialAverage):
        decay = get_ema_multi_avg_fn(recipe.averaging.decay)
        average = AveragedModel(model, multi_avg_fn=decay, use_buffers=True)
    losses = {
        "cross_entropy": nn.CrossEntropyLoss(label_smoothing=recipe.loss.smoothing),
        "binary_cross_entropy": lambda logits, y: binary(logits, one_hot(y, logits.shape[1]).float()),
    }
    return good_loop.Options(losses[recipe.loss.kind], recipe.accumulation, recipe.clip_norm, average)


def by_textbook(case: Case, images: Images) -> Rate:
    model = case.plain()
    optimizer = textbook.optimiser(model, case.recipe)
    ready = textbook.loader(images.train, images, case.recipe, train=True)

    def rate() -> float:
        began = time.perf_counter()
        seen = sum(number for number, _, _ in textbook.steps(model, optimizer, ready))
        return seen / (time.perf_counter() - began)

    return rate


@torch.inference_mode()
def peak() -> float:
    """Return the core's floating-point operations per second, the most of a matrix product and a convolution."""
    a, b = torch.rand(2, SQUARE, SQUARE)
    images, kernels = torch.rand(LARGE), torch.rand(LARGE[1], LARGE[1], 3, 3)
    x, w = (each.contiguous(memory_format=torch.channels_last) for each in (images, kernels))
    macs = 9 * LARGE[1] * x.numel()
    return max(_speed(lambda: a @ b, SQUARE**3), _speed(lambda: torch.nn.functional.conv2d(x, w, padding=1), macs))


def _speed(work: Callable[[], object], macs: int) -> float:
    work()
    began = time.perf_counter()
    work()
    return 2 * macs / (time.perf_counter() - began)


if __name__ == "__main__":
    main(measure, number=1, about=__doc__ or "")
