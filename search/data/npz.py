"""A user's arrays: `x` (N, H, W) or (N, C, H, W), `y` (N,) and, if wanted, `x_test`, `y_test`."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError
from search.data.catalogue import DATASETS
from search.data.description import DataSet
from search.data.source import Contents, Labelled, Source, damaged, missing, needs_root

NAMES = ("x", "y", "x_test", "y_test")


def npz(data: DataSet, root: Path | None, download: bool) -> Source:
    if root is None:
        raise needs_root(data)
    if not root.is_file():
        raise missing(data, root, f"root must be {DATASETS[data.name].root}")
    return Source(files=(root,), read=lambda: read(root))


def read(path: Path) -> Contents:
    """The arrays of one file; no pickle in it is opened.

    Raises:
        InputError: not such a file, arrays missing, of the wrong shape or type, or not finite.
    """
    arrays = _arrays(path)
    for name in ("x", "y", *(("x_test", "y_test") if {"x_test", "y_test"} & set(arrays) else ())):
        if name not in arrays:
            raise InputError(f"{path}: has no array {name!r}, only: {', '.join(arrays) or 'nothing'}")
    train = _labelled(path, arrays, "x", "y")
    test = _labelled(path, arrays, "x_test", "y_test") if "x_test" in arrays else None
    if test is not None and (train.x.shape[1:], train.x.dtype) != (test.x.shape[1:], test.x.dtype):
        raise InputError(
            f"{path}: x has images of {train.x.shape[1:]} {train.x.dtype}, x_test of {test.x.shape[1:]} {test.x.dtype}"
        )
    return Contents(train=train, test=test)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        # Opened here: numpy leaves a file open that turns out to be no zip.
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: a single array; an .npz file with x and y is needed (numpy.savez)")
            return {name: file[name] for name in NAMES if name in file.files}
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        # numpy takes any other file for a pickle, and tells how to run it.
        why = "Python objects are never read" if "pickle" in str(error) else error
        raise damaged(path, f"not an .npz file of plain arrays ({why})") from None


def _labelled(path: Path, arrays: dict[str, NDArray[Any]], x_name: str, y_name: str) -> Labelled:
    x, y = arrays[x_name], arrays[y_name]
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim != 4 or not x.size:
        raise InputError(f"{path}: {x_name} has shape {arrays[x_name].shape}; allowed: (N, H, W) or (N, C, H, W)")
    if x.shape[3] in (1, 3, 4) and x.shape[1] > 4:
        raise InputError(f"{path}: {x_name} has shape {x.shape}; channels come second: {x_name}.transpose(0, 3, 1, 2)")
    if np.issubdtype(x.dtype, np.floating):
        x = x.astype(np.float32)
        if not np.isfinite(x).all():
            raise InputError(f"{path}: {x_name} has values that are not finite (as float32)")
    elif x.dtype != np.uint8:
        raise InputError(f"{path}: {x_name} is {x.dtype}; allowed: uint8 or float")
    if not np.issubdtype(y.dtype, np.integer) or y.shape != (len(x),):
        raise InputError(
            f"{path}: {y_name} is {y.dtype} of shape {y.shape}; needed: {len(x)} whole numbers, one an image"
        )
    return Labelled(x, y.astype(np.int64))
