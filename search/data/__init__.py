"""Image classification data sets, each held in memory as one tensor per split.

    images = load(DataSet(name="cifar10"), root="/data")
    moments = {"mean": images.mean, "std": images.std}
    for x, y in batches(images.train, batch_size=128, seed=0, epoch=0, **moments): ...

`import search.data` loads only descriptions and the catalogue; names that need torch are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from search.data.augmentations.description import Augmentation
from search.data.catalogue import DATASETS, Row
from search.data.description import DataSet

if TYPE_CHECKING:
    from search.data.augment import augmented, flip, normalise, pad_and_crop
    from search.data.batching import batches, steps_per_epoch
    from search.data.images import Images, Split
    from search.data.loading import load, load_if_ready

__all__ = [
    "DATASETS",
    "Augmentation",
    "DataSet",
    "Images",
    "Row",
    "Split",
    "augmented",
    "batches",
    "flip",
    "load",
    "load_if_ready",
    "normalise",
    "pad_and_crop",
    "steps_per_epoch",
]

# No function here has its module's name: importing `search.data.x` would replace the function by the module.
_WITH_TORCH = {
    "Images": "images",
    "Split": "images",
    "augmented": "augment",
    "batches": "batching",
    "flip": "augment",
    "load": "loading",
    "load_if_ready": "loading",
    "normalise": "augment",
    "pad_and_crop": "augment",
    "steps_per_epoch": "batching",
}


def __getattr__(name: str) -> Any:
    if name in _WITH_TORCH:
        return getattr(import_module(f"search.data.{_WITH_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
