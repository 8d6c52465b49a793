"""A loaded data set: three splits, each with one tensor of images and one of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


IMAGES_PER_PART = 4096


@dataclass(frozen=True, eq=False)
class Split:
    """Images x, (N, C, H, W) uint8 or float32, and labels y, (N,) int64 in 0..classes-1.

    The tensors can be memory-mapped and shared with other processes: read them, but never write to them.
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    @property
    def nbytes(self) -> int:
        return self.x.nbytes + self.y.nbytes

    def to(self, device: torch.device | str) -> Split:
        """Return the same split on `device`, so that batches are gathered there."""
        return Split(self.x.to(device), self.y.to(device))


@dataclass(frozen=True, eq=False)
class Images:
    """A data set divided into splits. The division depends on neither seed nor host.

    Attributes:
        names: class names, in the order of their labels.
        shape: (C, H, W) of an image.
        mean: per channel, over the training images, in the units of the stored images (0-255 for uint8).
        std: likewise; 1 for a constant channel.
        fingerprint: 16 hex digits of SHA-256 over the contents of the three splits, in order; empty if nothing was read
            (see `search.data.stand_in`).
        digests: likewise for each split, by its name.
    """

    train: Split
    validation: Split
    test: Split
    classes: int
    names: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    digests: Mapping[str, str]

    @property
    def were_read(self) -> bool:
        """Whether these are the images of the data set, and not a stand-in for them."""
        return bool(self.fingerprint)

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the data, as plain data for a manifest; see `search.data.facts`."""
        return {
            "fingerprint": self.fingerprint,
            "shape": list(self.shape),
            "dtype": str(self.train.x.dtype).removeprefix("torch."),
            "classes": list(self.names),
            "mean": list(self.mean),
            "std": list(self.std),
            "splits": {
                name: {"images": len(getattr(self, name)), "sha256": self.digests[name]}
                for name in ("train", "validation", "test")
            },
        }

    @cached_property
    def black_and_white(self) -> tuple[float, float]:
        """The pixels that mean black and white, for changes of colours.

        0 and 255 for uint8; if no training pixel is above 127, white is the largest, such as 16 for `digits`. For
        float32, the smallest and the largest pixel of the training images.
        """
        x = self.train.x
        if x.is_floating_point():
            low, high = (float(end) for end in x.aminmax())
            return low, high
        largest = 0
        # Part by part: nearly always the first one decides, and a set can be larger than memory.
        for start in range(0, len(x), IMAGES_PER_PART):
            largest = max(largest, int(x[start : start + IMAGES_PER_PART].max()))
            if largest > 127:
                return 0.0, 255.0
        return 0.0, float(largest)

    @property
    def nbytes(self) -> int:
        """Bytes of the three splits in memory; with a shared copy, once per machine."""
        return self.train.nbytes + self.validation.nbytes + self.test.nbytes
