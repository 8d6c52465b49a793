"""Batches of a split, in an order determined by (seed, epoch) only: the same for every arm, and after a restart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Generator, Tensor

from search.data.augment import augmented, draw_augmentation, normalise
from search.data.description import Augmentation
from search.data.images import Split

BATCHES_PER_COPY = 16
"""The number of batches whose random numbers are drawn, and copied to the device, at a time."""


def batches(
    split: Split,
    *,
    batch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int | None = None,
    epoch: int = 0,
    augmentation: Augmentation | None = None,
    device: torch.device | str = "cpu",
    skip: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield normalised images (n, C, H, W) float32 and labels (n,) int64 on `device`, n <= batch_size.

    Images are gathered on the split's device, then converted and augmented on `device`. If the device's memory allows,
    call `split.to(device)` once, so that nothing is copied in the loop.

    Args:
        seed: for training: images are shuffled and augmented, and a last batch of a single image, which batch norm
            cannot use, is left out. Without a seed, for evaluation: every image once, in order.
        skip: leave out the first `skip` batches; the others stay the same, so a trial can resume within an epoch.
    """
    source = split.x.device
    images = len(split)
    order = torch.arange(images) if seed is None else torch.randperm(images, generator=generator(seed, epoch))
    count = steps_per_epoch(len(split), batch_size) if seed is not None else -(-len(split) // batch_size)
    centre, scale = (torch.tensor(v, dtype=torch.float32, device=device) for v in (mean, std))
    parts = torch.split(to_device(order, source), batch_size)[skip:count]
    draws: Iterator[Tensor] | None = None
    if seed is not None and augmentation is not None and (augmentation.pad or augmentation.flip):
        generators = (generator(seed, epoch, step) for step in range(skip, count))
        draws = _draws(augmentation, zip(map(len, parts), generators, strict=True), device)
    for index in parts:
        x = normalise(to_device(split.x[index], device), centre, scale)
        if draws is not None and augmentation is not None:
            x = augmented(x, augmentation, next(draws))
        yield x, to_device(split.y[index], device)


def _draws(
    augmentation: Augmentation, each: Iterator[tuple[int, Generator]], device: torch.device | str
) -> Iterator[Tensor]:
    """Yield the drawn augmentation of each batch, from its size and its generator; several are copied at a time."""
    while some := [draw_augmentation(size, augmentation, own) for size, own in islice(each, BATCHES_PER_COPY)]:
        yield from torch.split(to_device(torch.cat(some, 1), device), [part.shape[1] for part in some], 1)


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Return a tensor on a device. Copies to a GPU use pinned memory, so that the host does not wait for them."""
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the number of training batches per epoch; an incomplete last batch of a single image is left out."""
    whole, rest = divmod(images, batch_size)
    return whole + (rest > 1)


def generator(*numbers: int) -> Generator:
    """Return a CPU generator seeded by a hash of the numbers, so that neighbouring seeds and epochs are independent."""
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
