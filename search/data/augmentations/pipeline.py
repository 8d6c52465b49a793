"""The changes of an augmentation, in order, for the batches of an epoch. To add a change, add a row to `CHANGES`.

Normalised images come in and go out. Changes of colours convert them to levels and back. Each change of each batch has
a generator of its own, so that arms which differ in one change share the random numbers of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Protocol

import torch
from torch import Generator, Tensor

from search.data.augmentations.affine import Rotation, VerticalFlip
from search.data.augmentations.choices import PolicyChange
from search.data.augmentations.colours import Grayscale, Levels
from search.data.augmentations.crops import RandomResizedCrop, Resize
from search.data.augmentations.description import Augmentation
from search.data.augmentations.draws import Draw
from search.data.augmentations.erasing import Cutout, RandomErasing
from search.data.augmentations.jitter import ColourJitter
from search.data.images import Images


class Change(Protocol):
    """A random change of a batch of normalised images (N, C, H, W)."""

    def draw(self, number: int, generator: Generator) -> Draw:
        """Draw the random numbers for a number of images, on the CPU."""

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        """Return the changed images."""


@dataclass(frozen=True)
class Setting:
    """An augmentation, and what its changes depend on."""

    augmentation: Augmentation
    shape: tuple[int, int, int]
    """(C, H, W) of the images."""
    mean: Tensor
    """Per channel, (C,), on the device of the changes; `std` likewise."""
    std: Tensor
    images: Images | None = None
    """The data set: its number of classes, and its black and white."""
    progress: float = 1.0
    """The part of the training that is done, from 0 to 1."""

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width after scaling."""
        _, height, width = self.shape
        side = self.augmentation.side(self.progress, height)
        return (height, width) if side == height else (side, side)

    @property
    def classes(self) -> int:
        """The number of classes."""
        assert self.images is not None, "mixing needs the number of classes of the data set"
        return self.images.classes

    def levels(self, white: float = 1.0, *, whole: bool = False) -> Levels:
        assert self.images is not None, "changes of colours need the data set"
        black, brightest = self.images.black_and_white
        step = white / ((brightest - black) or 1.0)
        mean, std = self.mean[:, None, None], self.std[:, None, None]
        return Levels(std * step, (mean - black) * step, white, whole)

    def crop(self) -> Change | None:
        cut = self.augmentation.resized_crop
        if cut:
            return RandomResizedCrop(cut, self.shape[1:], self.size)
        return Resize(self.size) if self.size != self.shape[1:] else None

    def vertical_flip(self) -> Change | None:
        return VerticalFlip() if self.augmentation.vertical_flip else None

    def rotation(self) -> Change | None:
        return Rotation(self.augmentation.rotation) if self.augmentation.rotation else None

    def jitter(self) -> Change | None:
        return ColourJitter(self.augmentation.jitter, self.levels()) if self.augmentation.jitter else None

    def grayscale(self) -> Change | None:
        return Grayscale(self.augmentation.grayscale, self.levels()) if self.augmentation.grayscale else None

    def policy(self) -> Change | None:
        policy = self.augmentation.policy
        return PolicyChange(policy, self.size, self.levels(255.0, whole=True)) if policy else None

    def erasing(self) -> Change | None:
        channels = self.shape[0]
        return RandomErasing(self.augmentation.erasing, (channels, *self.size)) if self.augmentation.erasing else None

    def cutout(self) -> Change | None:
        side = self.augmentation.cutout
        return Cutout(max(1, round(side * self.size[0] / self.shape[1])), self.size) if side else None


CHANGES: Mapping[str, Callable[[Setting], Change | None]] = {
    "crop": Setting.crop,
    "vertical_flip": Setting.vertical_flip,
    "rotation": Setting.rotation,
    "jitter": Setting.jitter,
    "grayscale": Setting.grayscale,
    "policy": Setting.policy,
    "erasing": Setting.erasing,
    "cutout": Setting.cutout,
}
"""In the order in which they are made, after pad-and-crop and flip. The name is a part of a generator's seed."""


def changes_of(setting: Setting) -> dict[str, Change]:
    """Return the changes of an augmentation, by name, in order."""
    return {name: change for name, make in CHANGES.items() if (change := make(setting)) is not None}


def draws(
    changes: Mapping[str, Change],
    each: Iterator[tuple[int, Mapping[str, Generator]]],
    copy: Callable[[Tensor], Tensor],
    at_a_time: int,
) -> Iterator[list[Draw]]:
    """Yield the draws of each batch, from its size and the generator of each change, on the device.

    The numbers of several batches are copied at a time, as one tensor.
    """
    while some := [
        [change.draw(size, own[name]) for name, change in changes.items()] for size, own in islice(each, at_a_time)
    ]:
        rows = [torch.cat([draw.rows for draw in batch]) for batch in some]
        together = torch.cat(rows, 1)
        # Scaling draws nothing.
        copied = copy(together) if len(together) else together
        for batch, part in zip(some, torch.split(copied, [part.shape[1] for part in rows], 1), strict=True):
            split = torch.split(part, [len(draw.rows) for draw in batch])
            yield [Draw(own, draw.counts) for own, draw in zip(split, batch, strict=True)]


def changed(x: Tensor, changes: Iterable[Change], drawn: Iterable[Draw]) -> Tensor:
    """Return a batch after all changes."""
    for change, draw in zip(changes, drawn, strict=True):
        x = change.apply(x, draw)
    return x
