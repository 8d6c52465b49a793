"""A user's arrays in one .npz file: images and labels, for training and optionally for validation and test."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError
from search.data.arrays import as_images, as_labels
from search.data.catalogue import DATASETS
from search.data.description import DataSet
from search.data.source import Contents, Labelled, Source, damaged, missing, needs_root
from search.data.split_names import SPLIT_NAMES

KIND_BY_WORD: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("x", "image", "images", "data"), "images")
    | dict.fromkeys(("y", "label", "labels", "target", "targets"), "labels")
)
"""What an array holds, by a word of its name. Any other word of the name is that of a split.

So `x_test`, `X_test`, `test_x` and `test_images` mean the same; `x` and `x_train` are both for training.
"""

ALLOWED_NAMES = (
    "x and y, or images and labels, or data and target; with a split: x_train, val_images, y_test and the like"
)

Names = dict[tuple[str, str], str]
"""The array's name by (split, "images" or "labels")."""


def npz(data: DataSet, root: Path | None, download: bool) -> Source:
    if root is None:
        raise needs_root(data)
    if not root.is_file():
        pack = "make one of the arrays there: numpy.savez('mine.npz', x=numpy.load('x.npy'), y=numpy.load('y.npy'))"
        hints = (pack,) if any(root.glob("*.npy")) else ()
        raise missing(data, root, f"root must be {DATASETS[data.name].root}", *hints)
    return Source(files=(root,), read=lambda: read(root))


def read(path: Path) -> Contents:
    """Read the arrays of one file; pickles in it are never loaded.

    Raises:
        InputError: not such a file, or arrays that are missing, ambiguous, of the wrong shape or type, or not finite.
    """
    names, arrays = _load_arrays(path)
    splits = {
        split: Labelled(*_pair(path, arrays, names[split, "images"], names[split, "labels"]))
        for split in {split for split, _ in names}
    }
    train = splits["train"]
    for split, part in splits.items():
        if (part.x.shape[1:], part.x.dtype) != (train.x.shape[1:], train.x.dtype):
            raise InputError(
                f"{path}: {names['train', 'images']} has images of {train.x.shape[1:]} {train.x.dtype}, "
                f"{names[split, 'images']} of {part.x.shape[1:]} {part.x.dtype}"
            )
    return Contents(train=train, validation=splits.get("validation"), test=splits.get("test"))


def array_names(path: Path, present: list[str]) -> Names:
    """Return which arrays in a file are the images and labels of which split; other arrays are ignored.

    Raises:
        InputError: two arrays for the same part, images without labels or labels without images, nothing for training,
            or a pair of an unknown split.
    """
    names: Names = {}
    for name in present:
        meant = _parse_name(name)
        if meant in names:
            raise InputError(f"{path}: {names[meant]} and {name} are both {meant[1]} for {meant[0]}; keep one of them")
        if meant is not None:
            names[meant] = name
    known = {split for split, _ in names} & set(SPLIT_NAMES.values()) | {"train"}
    for split in sorted(known):
        for kind, word in (("images", "x"), ("labels", "y")):
            if (split, kind) not in names:
                needed = word if split == "train" else f"{word}_{split}"
                raise InputError(
                    f"{path}: has no array {needed!r}, only: {', '.join(present) or 'nothing'}; "
                    f"allowed: {ALLOWED_NAMES}"
                )
    for split, kind in names:
        if split not in known and (split, "images") in names and (split, "labels") in names:
            raise InputError(
                f"{path}: {names[split, kind]}: {split!r} is not the name of a split; "
                f"allowed: {', '.join(SPLIT_NAMES)}; rename the arrays, or leave them out"
            )
    return {(split, kind): name for (split, kind), name in names.items() if split in known}


def _parse_name(name: str) -> tuple[str, str] | None:
    """Return (split, kind) of a name such as `x_test`; in `target_names`, the other word takes the split's place."""
    words = name.lower().split("_")
    kinds = [KIND_BY_WORD[word] for word in words if word in KIND_BY_WORD]
    rest = "_".join(word for word in words if word not in KIND_BY_WORD)
    return (SPLIT_NAMES.get(rest or "train", rest), kinds[0]) if len(kinds) == 1 else None


def _load_arrays(path: Path) -> tuple[Names, dict[str, NDArray[Any]]]:
    try:
        # Opened here: numpy does not close a file that is not a zip.
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: a single array; an .npz file with x and y is needed (numpy.savez)")
            names = array_names(path, file.files)
            return names, {name: file[name] for name in names.values()}
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        # numpy treats any other file as a pickle, and its message explains how to load one.
        why = "Python objects are never read" if "pickle" in str(error) else error
        raise damaged(path, f"not an .npz file of plain arrays ({why})") from None


def _pair(path: Path, arrays: dict[str, NDArray[Any]], x: str, y: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    try:
        pictures = as_images(arrays[x], x)
        return pictures, as_labels(arrays[y], y, count=len(pictures))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
