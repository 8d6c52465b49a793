"""A user's pictures: train/<class>/*, and val/<class>/* and test/<class>/* where there are such folders."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError
from search.data.catalogue import DATASETS
from search.data.description import DataSet
from search.data.source import Contents, Labelled, Source, damaged, missing, needs_root

PARTS = {"train": "train", "val": "validation", "test": "test"}
"""Folder and the split that it is; one that is not there is taken from train."""


@dataclass(frozen=True, eq=False)
class PictureFiles:
    """N files, read when indexed: RGB uint8, shorter side scaled to `side` (bilinear), centre cropped."""

    paths: tuple[Path, ...]
    side: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.paths), 3, self.side, self.side)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[Any]:
        x = np.empty((len(index), *self.shape[1:]), np.uint8)

        def place(row: int) -> None:
            x[row] = read_picture(self.paths[index[row]], self.side)

        with ThreadPoolExecutor(os.cpu_count()) as threads:  # decoding lets go of the interpreter lock
            for _ in threads.map(place, range(len(index))):
                pass
        return x


def image_folder(data: DataSet, root: Path | None, download: bool) -> Source:
    if root is None:
        raise needs_root(data)
    if not (root / "train").is_dir():
        raise missing(data, root, f"root must be {DATASETS[data.name].root}")
    side = data.setting("size")
    classes = sorted(folder.name for folder in (root / "train").iterdir() if folder.is_dir())
    found = {split: _listed(root / folder, classes) for folder, split in PARTS.items() if (root / folder).is_dir()}
    parts = {
        split: Labelled(PictureFiles(tuple(path for path, _ in files), side), np.array([y for _, y in files]))
        for split, files in found.items()
    }
    files = tuple(path for part in found.values() for path, _ in part)
    return Source(files, lambda: Contents(**parts, classes=len(classes), names=tuple(classes)))


def _listed(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    """All pictures below `folder`, in the order of their names, with the number of their class."""
    from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset

    try:
        strange = set(find_classes(folder)[0]) - set(classes)
        if strange:
            raise InputError(f"{folder / min(strange)}: no such class in train; allowed: {', '.join(classes[:20])}")
        numbers = {name: number for number, name in enumerate(classes) if (folder / name).is_dir()}
        return [(Path(path), y) for path, y in make_dataset(folder, numbers, extensions=IMG_EXTENSIONS)]
    except FileNotFoundError as error:  # no folder of a class, or one without a picture
        raise InputError(f"{folder}: {error}") from None


def read_picture(path: Path, side: int) -> NDArray[Any]:
    """One picture, (3, side, side) uint8.

    Raises:
        InputError: names the file that is no picture, or a part of one.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            square = ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise damaged(path, error) from None
    return np.asarray(square).transpose(2, 0, 1)
