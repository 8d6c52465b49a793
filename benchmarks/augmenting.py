"""How many images a second does each augmentation change, and how many do torchvision's per-image transforms?

    python benchmarks/augmenting.py [--quick]

Both sides get the same uint8 images in memory and end with normalised float32 batches, in one process with one thread,
by its CPU time. Ours is `search.data.batches`. torchvision's is a loop over the images with `transforms.v2` on tensors,
and for mixing its transform of a batch. A value above 1 is how many times as many images our side changes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch
from measuring import Measured, in_turns, main, ratio
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode

from search.data import Augmentation, DataSet, Images, batches, load

SIDE = 32
BATCH = 128
BILINEAR = InterpolationMode.BILINEAR


@dataclass(frozen=True)
class Case:
    """An augmentation, and torchvision's transforms for it: before normalisation, after it, and of the batch."""

    name: str
    ours: dict[str, Any]
    before: tuple[Callable[[Tensor], Tensor], ...] = ()
    after: tuple[Callable[[Tensor], Tensor], ...] = ()
    together: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None


CASES = (
    Case("pad and crop, flip", {"pad": 4, "flip": True}, (v2.RandomCrop(SIDE, 4), v2.RandomHorizontalFlip())),
    Case("resized crop", {"resized_crop": 0.08}, (v2.RandomResizedCrop(SIDE, antialias=True),)),
    Case("rotation", {"rotation": 15}, (v2.RandomRotation(15, BILINEAR),)),
    Case(
        "jitter",
        {"jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}},
        (v2.ColorJitter(0.4, 0.4, 0.4, 0.1),),
    ),
    Case("grayscale", {"grayscale": 0.2}, (v2.RandomGrayscale(0.2),)),
    Case("RandAugment", {"policy": "rand_augment"}, (v2.RandAugment(interpolation=BILINEAR),)),
    Case("TrivialAugmentWide", {"policy": "trivial_augment_wide"}, (v2.TrivialAugmentWide(interpolation=BILINEAR),)),
    Case(
        "AutoAugment",
        {"policy": {"kind": "auto_augment", "found_for": "cifar10"}},
        (v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10, interpolation=BILINEAR),),
    ),
    Case("erasing", {"erasing": 0.25}, after=(v2.RandomErasing(0.25),)),
    Case("mixup", {"mixup": 0.2}, together=v2.MixUp(alpha=0.2, num_classes=10)),
    Case("cutmix", {"cutmix": 1.0}, together=v2.CutMix(alpha=1.0, num_classes=10)),
)
QUICK = ("pad and crop, flip", "RandAugment", "mixup")


def our_epoch(images: Images, case: Case) -> Iterator[tuple[Tensor, Tensor]]:
    return batches(
        images.train,
        batch_size=BATCH,
        mean=images.mean,
        std=images.std,
        seed=0,
        augmentation=Augmentation.of(case.ours),
        images=images,
    )


def their_epoch(images: Images, case: Case) -> Iterator[tuple[Tensor, Tensor]]:
    mean, std = ([value / 255 for value in values] for values in (images.mean, images.std))
    changes = v2.Compose([*case.before, v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std), *case.after])
    order = torch.randperm(len(images.train))
    for index in order.split(BATCH):
        x = torch.stack([changes(image) for image in images.train.x[index]])
        y = images.train.y[index]
        yield case.together(x, y) if case.together else (x, y)


def seconds(epoch: Callable[[Images, Case], Iterator[tuple[Tensor, Tensor]]], images: Images, case: Case) -> float:
    """Return the CPU seconds of this process for an epoch."""
    began = time.process_time()
    for _ in epoch(images, case):
        pass
    return time.process_time() - began


def measure(quick: bool) -> Iterator[Measured]:
    torch.set_num_threads(1)
    images = load(DataSet(name="fake", size=SIDE, samples=500 if quick else 5000))
    number = len(images.train)
    for case in CASES:
        if quick and case.name not in QUICK:
            continue
        rounds = in_turns(
            partial(seconds, their_epoch, images, case),
            partial(seconds, our_epoch, images, case),
            rounds=1 if quick else 5,
        )
        ours = sorted(own for _, own in rounds)[len(rounds) // 2]
        theirs = sorted(other for other, _ in rounds)[len(rounds) // 2]
        yield ratio(
            f"{case.name}, {SIDE}x{SIDE}",
            None,
            rounds,
            names=("torchvision", "ours"),
            images_per_second={"ours": round(number / ours), "torchvision": round(number / theirs)},
        )


if __name__ == "__main__":
    main(measure, number=14, about=__doc__)
