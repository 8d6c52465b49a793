"""Batches of a split, in an order determined by (seed, epoch) only: the same for every arm, and after a restart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Generator, Tensor

from search.data.augment import augmented, draw_augmentation, normalise
from search.data.augmentations.description import Augmentation
from search.data.augmentations.mixing import draw_mix, mixed
from search.data.augmentations.pipeline import Setting, changed, changes_of, draws
from search.data.images import Images, Split

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
    images: Images | None = None,
    progress: float = 1.0,
    device: torch.device | str = "cpu",
    skip: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield normalised images (n, C, H, W) float32 and labels (n,) int64 on `device`, n <= batch_size.

    With mixup or cutmix, labels of training batches are soft: (n, classes) float32.

    Images are gathered on the split's device, then converted and augmented on `device`. If the device's memory allows,
    call `split.to(device)` once, so that nothing is copied in the loop.

    Args:
        seed: for training: images are shuffled and augmented, and a last batch of a single image, which batch norm
            cannot use, is left out. Without a seed, for evaluation: every image once, in order.
        images: the data set of the split. Mixing needs its number of classes, changes of colours its black and white.
        progress: the part of the training that is done, from 0 to 1, on which the side of training images can depend.
        skip: leave out the first `skip` batches; the others stay the same, so a trial can resume within an epoch.
    """
    source = split.x.device
    number = len(split)
    order = torch.arange(number) if seed is None else torch.randperm(number, generator=generator(seed, epoch))
    if seed is not None and augmentation is not None and augmentation.repeats > 1:
        order = order.repeat_interleave(augmentation.repeats)[:number]
    count = steps_per_epoch(len(split), batch_size) if seed is not None else -(-len(split) // batch_size)
    centre, scale = (torch.tensor(v, dtype=torch.float32, device=device) for v in (mean, std))
    parts = torch.split(to_device(order, source), batch_size)[skip:count]
    if seed is None or augmentation is None:
        change = None
    else:
        channels, height, width = split.x.shape[1:]
        setting = Setting(augmentation, (channels, height, width), centre, scale, images, progress)
        change = _Changes(setting, [*map(len, parts)], seed, epoch, skip, device)
    for index in parts:
        x = normalise(to_device(split.x[index], device), centre, scale)
        y = to_device(split.y[index], device)
        if change:
            # The images before their changes are freed here, not after the step.
            x, y = change(x, y)
        yield x, y


@dataclass
class _Changes:
    """The random changes of the batches of an epoch, in their order."""

    setting: Setting
    sizes: Sequence[int]
    seed: int
    epoch: int
    skip: int
    device: torch.device | str

    def __post_init__(self) -> None:
        self.augmentation = self.setting.augmentation
        self.changes = changes_of(self.setting)
        self.crops = self._crops_and_flips() if self.augmentation.pad or self.augmentation.flip else None
        self.draws = draws(self.changes, self._generators(), partial(to_device, device=self.device), BATCHES_PER_COPY)
        self.mixes = (draw_mix(self.augmentation, generator(self.seed, self.epoch, step, "mix")) for step in self.steps)

    @property
    def steps(self) -> Iterator[int]:
        return iter(range(self.skip, self.skip + len(self.sizes)))

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next batch after its changes."""
        if self.crops:
            x = augmented(x, self.augmentation, next(self.crops))
        if self.changes:
            x = changed(x, self.changes.values(), next(self.draws))
        if self.augmentation.mixes:
            return mixed(x, y, next(self.mixes), self.setting.classes, shift=self.augmentation.repeats)
        return x, y

    def _crops_and_flips(self) -> Iterator[Tensor]:
        """Yield what is drawn for pad-and-crop and flip; several batches are copied to the device at a time."""
        each = zip(self.sizes, (generator(self.seed, self.epoch, step) for step in self.steps), strict=True)
        while some := [draw_augmentation(size, self.augmentation, own) for size, own in islice(each, BATCHES_PER_COPY)]:
            yield from torch.split(to_device(torch.cat(some, 1), self.device), [part.shape[1] for part in some], 1)

    def _generators(self) -> Iterator[tuple[int, dict[str, Generator]]]:
        """Yield the size of each batch, and a generator for each of its changes."""
        for size, step in zip(self.sizes, self.steps, strict=True):
            yield size, {name: generator(self.seed, self.epoch, step, name) for name in self.changes}


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Return a tensor on a device. Copies to a GPU use pinned memory, so that the host does not wait for them."""
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the number of training batches per epoch; an incomplete last batch of a single image is left out."""
    whole, rest = divmod(images, batch_size)
    return whole + (rest > 1)


def generator(*numbers: int | str) -> Generator:
    """Return a CPU generator seeded by a hash of numbers and names, so that neighbouring ones are independent."""
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
