"""Fashion-MNIST (1708.07747): IDX files, plain or gzipped, in torchvision's layout or Debian's."""

from __future__ import annotations

import gzip
import sys
import zlib
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError
from search.data.description import DataSet
from search.data.places import dataset_folder
from search.data.source import DOWNLOAD_HINT, Contents, Labelled, Source, damaged, missing

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the gzipped files."""

RAW = Path("FashionMNIST", "raw")
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CLASS_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
"""Class names, from the authors' table."""


def fashion_mnist(data: DataSet, root: Path | None, download: bool) -> Source:
    place = root or dataset_folder()
    folders = [place, place / RAW] if root else [DEBIAN, place, place / RAW]
    if download and not any(_files(folder) for folder in folders):
        _download(place / RAW)
    for folder in folders:
        if files := _files(folder):
            return Source(files, lambda: read(files))
    debian = "install Debian's package dataset-fashion-mnist" + (f" and name {DEBIAN}" if root else "")
    raise missing(data, place, DOWNLOAD_HINT, debian, f"put {FILES[0]}.gz and the other three files there")


def read(files: tuple[Path, ...]) -> Contents:
    """Read the four files, given in the order of `FILES`.

    Raises:
        InputError: a file is damaged; the message has its name.
    """
    train, test = (Labelled(read_idx(files[i], 3)[:, None], read_idx(files[i + 1], 1).astype(np.int64)) for i in (0, 2))
    for part, file in ((train, files[1]), (test, files[3])):
        if len(part.y) != part.x.shape[0]:
            raise damaged(file, f"{len(part.y)} labels for {part.x.shape[0]} images")
    return Contents(train=train, test=test, classes=10, names=CLASS_NAMES)


def read_idx(path: Path, dimensions: int) -> NDArray[Any]:
    """Read the array in an IDX file: bytes 0, 0, 8 (unsigned byte), dimensions; big-endian 32-bit sizes; content.

    torchvision's reader does not open .gz files, and raises an AssertionError for a damaged file.

    Raises:
        InputError: a file is damaged; the message has its name.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, error) from None
    start = 4 + 4 * dimensions
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) < start:
        raise damaged(path, f"not an IDX file of bytes in {dimensions} dimensions")
    shape = tuple(np.frombuffer(content, ">u4", dimensions, 4).tolist())
    if len(content) - start != np.prod(shape):
        raise damaged(path, f"{len(content) - start} bytes for shape {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _files(folder: Path) -> tuple[Path, ...]:
    """Return the four files in this folder, each unpacked if possible, else as .gz; empty if one is missing."""
    both = [(folder / name, folder / f"{name}.gz") for name in FILES]
    found = [next((path for path in pair if path.is_file()), None) for pair in both]
    return tuple(path for path in found if path) if all(found) else ()


def _download(folder: Path) -> None:
    from torchvision.datasets import FashionMNIST
    from torchvision.datasets.utils import download_and_extract_archive

    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            for name, md5 in FashionMNIST.resources:
                url = FashionMNIST.mirrors[0] + name
                download_and_extract_archive(url, str(folder), filename=name, md5=md5)
    except (OSError, RuntimeError, EOFError) as error:
        raise InputError(f"data set 'fashion-mnist' could not be downloaded to {folder}: {error}") from None
