"""A GPU augments the same batches as the CPU, without making the host wait, and trains with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from search.data import Augmentation, Images, batches
from search.training.execution import Execution
from search.training.train import train_together
from search.trials.events import Epoch
from search.trials.trial import TrialSpec

Specs = Callable[..., list[TrialSpec]]

KINDS: dict[str, dict[str, Any]] = {
    "geometry": {"vertical_flip": True, "resized_crop": 0.25, "rotation": 15, "sides": {"first": 4}},
    "colours": {"jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}, "grayscale": 0.2},
    "RandAugment": {"policy": "rand_augment"},
    "TrivialAugment": {"policy": "trivial_augment_wide"},
    "AutoAugment": {"policy": "auto_augment"},
    "rectangles": {"pad": 1, "erasing": {"probability": 0.5, "fill": "colour"}, "cutout": 3},
    "mixing": {"mixup": 0.2, "cutmix": 1.0, "repeats": 2},
}
CASES = pytest.mark.parametrize("kind", KINDS)


def augmented(images: Images, kind: str, device: str) -> list[tuple[Tensor, Tensor]]:
    # Equalising is torchvision's, and the quantiles of lambda are scipy's.
    pytest.importorskip("torchvision" if "policy" in KINDS[kind] else "scipy" if "mixup" in KINDS[kind] else "torch")
    there = replace(images, train=images.train.to(device))
    return list(
        batches(
            there.train,
            images=there,
            augmentation=Augmentation.of(KINDS[kind]),
            mean=images.mean,
            std=images.std,
            batch_size=32,
            seed=1,
            progress=0.5,
            device=device,
        )
    )


@CASES
def test_a_gpu_sees_the_batches_of_the_cpu(kind: str, device: str, images: Images) -> None:
    for (x, y), (expected, labels) in zip(augmented(images, kind, device), augmented(images, kind, "cpu"), strict=True):
        # Few pixels: a level that is nearly half-way can be rounded to the other side.
        assert float(((x.cpu() - expected).abs() > 1e-3).float().mean()) < 0.02
        torch.testing.assert_close(y.cpu(), labels)


@CASES
def test_no_change_makes_the_host_wait(kind: str, gpu: str, images: Images) -> None:
    augmented(images, kind, gpu)
    there = replace(images, train=images.train.to(gpu))
    found = batches(
        there.train,
        images=there,
        augmentation=Augmentation.of(KINDS[kind]),
        mean=images.mean,
        std=images.std,
        batch_size=32,
        seed=1,
        device=gpu,
    )
    next(found)
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(found)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("seeds", [1, 2])
def test_each_stage_of_growing_images_is_recorded_again(seeds: int, device: str, specs: Specs, images: Images) -> None:
    pytest.importorskip("scipy")
    growing = {"sides": {"first": 4, "stages": 2}, "mixup": 0.2, "test_flip": True}
    curves = []
    for recorded in (False, True):
        some = specs(seeds, epochs=4, augmentation=growing)
        execution = Execution(device, recorded=recorded)
        events = list(train_together(some, images, folders=[None] * seeds, execution=execution))
        curves.append(torch.tensor([event.loss for event in events if isinstance(event, Epoch)]))
    assert len(curves[0]) == 4 * seeds
    torch.testing.assert_close(curves[1], curves[0], rtol=0.02, atol=0.02)
