"""A user's folder of pictures: train/<class>/*, and optionally val/<class>/* and test/<class>/*."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError
from search.data.catalogue import DATASETS
from search.data.description import DataSet
from search.data.picture_files import find_files, find_folders, find_pictures
from search.data.pictures import read_picture
from search.data.source import Contents, Labelled, Source, missing, needs_root
from search.data.split_names import SPLIT_NAMES


@dataclass(frozen=True, eq=False)
class PictureFiles:
    """N picture files that are read when indexed: RGB uint8, squares of `side` pixels."""

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

        # Decoding releases the interpreter lock. Pillow warns about, for example, damaged EXIF, which changes no pixel.
        with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as threads:
            warnings.filterwarnings("ignore", module="PIL")
            for _ in threads.map(place, range(len(index))):
                pass
        return x


def image_folder(data: DataSet, root: Path | None, download: bool) -> Source:
    """Find the pictures and their classes. A split without a folder is taken from train."""
    if root is None:
        raise needs_root(data)
    parts = split_folders(data, root)
    classes = class_names(parts["train"])
    found = {split: labelled(folder, classes) for split, folder in parts.items()}
    _refuse_unknown_splits(root, parts, classes)
    side = data.setting("size")
    splits = {
        split: Labelled(PictureFiles(tuple(paths), side), np.array(numbers, np.int64))
        for split, (paths, numbers) in found.items()
    }
    every = tuple(path for paths, _ in found.values() for path in paths)
    return Source(every, lambda: Contents(**splits, classes=len(classes), names=tuple(classes)))


def split_folders(data: DataSet, root: Path) -> dict[str, Path]:
    """Return the folders of the splits that exist.

    Raises:
        InputError: there is none for training, or there are two for one split.
    """
    layout = f"root must be {DATASETS[data.name].root}"
    if not root.is_dir():
        raise missing(data, root, layout)
    inside = find_folders(root)
    parts: dict[str, Path] = {}
    for folder in inside:
        split = SPLIT_NAMES.get(folder.name.lower())
        if split in parts:
            raise InputError(f"{root}: {parts[split].name} and {folder.name} are both for {split}; keep one of them")
        if split is not None:
            parts[split] = folder
    if "train" not in parts:
        names = ", ".join(folder.name for folder in inside[:10]) or "no folder"
        below = [folder for folder in inside if (folder / "train").is_dir()]
        hint = f"did you mean {below[0]}?" if below else f"classes go in {root / 'train'}"
        raise InputError(f"{missing(data, root, layout)}; found: {names}; {hint}")
    return parts


def class_names(train: Path) -> list[str]:
    """Return the class names, which are the names of the folders in `train`, sorted.

    Raises:
        InputError: two names differ only in upper and lower case. Single letters are allowed to: A and a are two
            characters.
    """
    names = [folder.name for folder in find_folders(train)]
    seen: dict[str, str] = {}
    for name in names:
        if seen.setdefault(name.lower(), name) != name and len(name) > 1:
            raise InputError(
                f"{train}: classes {seen[name.lower()]} and {name} differ only in upper and lower case; "
                "merge or rename them"
            )
    return names


def labelled(folder: Path, classes: list[str]) -> tuple[list[Path], list[int]]:
    """Return all pictures of a split, sorted by class, and the class number of each.

    Raises:
        InputError: a class that is not in train, a class without pictures, or pictures without a class.
    """
    names = [each.name for each in find_folders(folder)]
    strange = sorted(set(names) - set(classes))
    if strange:
        raise InputError(f"{folder / strange[0]}: no such class in train; allowed: {', '.join(classes[:20])}")
    _refuse_loose_files(folder)
    by_class = {name: find_pictures(folder / name) for name in names}
    empty = [name for name, paths in by_class.items() if not paths]
    if empty or not names:
        what = f"no pictures in {', '.join(empty[:20])}" if empty else "no class folders"
        raise InputError(f"{folder}: {what}; add pictures, or remove the folder")
    number = {name: index for index, name in enumerate(classes)}
    numbers = [number[name] for name, paths in by_class.items() for _ in paths]
    return [path for paths in by_class.values() for path in paths], numbers


def _refuse_loose_files(folder: Path) -> None:
    loose = sorted(path.name for path in find_files(folder, below=False))
    if loose:
        raise InputError(
            f"{folder / loose[0]}: has no class; number of such files in {folder}: {len(loose)}; "
            f"put pictures in {folder}/<class>/, or move them out of {folder}"
        )


def _refuse_unknown_splits(root: Path, parts: dict[str, Path], classes: list[str]) -> None:
    """Raise InputError if another folder has classes of train, such as holdout/cat: it must not go unnoticed."""
    for folder in find_folders(root):
        if folder not in parts.values() and any((folder / name).is_dir() for name in classes):
            raise InputError(
                f"{folder}: has classes of train, but its name is not that of a split; "
                f"allowed: {', '.join(SPLIT_NAMES)}; rename it, or move it out of {root}"
            )
