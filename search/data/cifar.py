"""CIFAR-10 and CIFAR-100 in torchvision's python layout; each file's MD5 is checked before it is read."""

from __future__ import annotations

import sys
import tarfile
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resnet_space.errors import InputError
from search.data.description import DataSet
from search.data.places import dataset_folder
from search.data.plain_pickle import Array, read_plain
from search.data.source import DOWNLOAD_HINT, Contents, Labelled, Source, damaged, missing

PIXELS = (3, 32, 32)


@dataclass(frozen=True)
class Archive:
    """torchvision's facts of one of the two sets, with files as (name, MD5) in the order of reading."""

    folder: str
    url: str
    filename: str
    md5: str
    train: tuple[tuple[str, str], ...]
    test: tuple[tuple[str, str], ...]
    labels: bytes
    classes: int
    meta: tuple[str, str] | None = None
    """The file (name, MD5) that has the class names."""
    names: bytes = b""
    """The key of the class names in that file."""


def cifar10(data: DataSet, root: Path | None, download: bool) -> Source:
    from torchvision.datasets import CIFAR10

    return find(data, _archive(CIFAR10, b"labels", 10), root or dataset_folder(), download)


def cifar100(data: DataSet, root: Path | None, download: bool) -> Source:
    from torchvision.datasets import CIFAR100

    return find(data, _archive(CIFAR100, b"fine_labels", 100), root or dataset_folder(), download)


def _archive(known: Any, labels: bytes, classes: int) -> Archive:
    train, test = (tuple((name, md5) for name, md5 in rows) for rows in (known.train_list, known.test_list))
    return Archive(
        folder=known.base_folder,
        url=known.url,
        filename=known.filename,
        md5=known.tgz_md5,
        train=train,
        test=test,
        labels=labels,
        classes=classes,
        meta=(known.meta["filename"], known.meta["md5"]),
        names=known.meta["key"].encode(),
    )


def find(data: DataSet, archive: Archive, root: Path, download: bool) -> Source:
    """Find the files in `root` or its subfolder; unpack an archive in `root` first.

    Raises:
        InputError: the files are missing, or the archive is damaged or could not be downloaded.
    """
    names = [name for name, _ in archive.train + archive.test]
    packed = root / archive.filename
    folders = (root / archive.folder, root)
    if not _holding(folders, names) and (download or packed.is_file()):
        _unpack(archive, root, download)
    folder = _holding(folders, names)
    if folder is None:
        raise missing(data, root, DOWNLOAD_HINT, f"put {archive.folder} or {archive.filename} there")
    meta = folder / archive.meta[0] if archive.meta else None
    found = (meta,) if meta and meta.is_file() else ()
    return Source(tuple(folder / name for name in names) + found, lambda: read(archive, folder))


def read(archive: Archive, folder: Path) -> Contents:
    """Read images (N, 3, 32, 32) uint8 and labels of both splits, and class names if there is a file of them.

    Raises:
        InputError: a file is damaged; the message has its name.
    """
    train, test = (_read_files(archive, folder, files) for files in (archive.train, archive.test))
    return Contents(train=train, test=test, classes=archive.classes, names=_names(archive, folder))


def _holding(folders: tuple[Path, ...], names: list[str]) -> Path | None:
    return next((folder for folder in folders if all((folder / name).is_file() for name in names)), None)


def _unpack(archive: Archive, root: Path, download: bool) -> None:
    from torchvision.datasets.utils import check_integrity, download_and_extract_archive

    packed = root / archive.filename
    if not download and not check_integrity(packed, archive.md5):
        raise damaged(packed, f"its MD5 is not {archive.md5}", download=True)
    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            # Downloads nothing if an intact archive is there. The class's own download=True would also unpickle, so it
            # is not used.
            download_and_extract_archive(archive.url, str(root), filename=archive.filename, md5=archive.md5)
    except (OSError, RuntimeError, EOFError, tarfile.TarError) as error:
        raise InputError(f"could not download {archive.filename} to {root}, or unpack it there: {error}") from None


def _names(archive: Archive, folder: Path) -> tuple[str, ...]:
    """Return the class names; empty if their file is missing, which is needed for nothing else."""
    from torchvision.datasets.utils import check_integrity

    if archive.meta is None or not (path := folder / archive.meta[0]).is_file():
        return ()
    if not check_integrity(path, archive.meta[1]):
        raise damaged(path, f"its MD5 is not {archive.meta[1]}", download=True)
    found = read_plain(path).get(archive.names)
    if not isinstance(found, list) or len(found) != archive.classes or not all(isinstance(n, bytes) for n in found):
        raise damaged(path, f"does not have {archive.classes} class names", download=True)
    return tuple(name.decode("utf-8", "backslashreplace") for name in found)


def _read_files(archive: Archive, folder: Path, files: tuple[tuple[str, str], ...]) -> Labelled:
    from torchvision.datasets.utils import check_integrity

    images, labels = [], []
    for name, md5 in files:
        path = folder / name
        if not check_integrity(path, md5):
            raise damaged(path, f"its MD5 is not {md5}", download=True)
        x, y = read_batch(path, archive.labels)
        images.append(x)
        labels.append(y)
    return Labelled(np.concatenate(images), np.concatenate(labels))


def read_batch(path: Path, labels: bytes) -> tuple[Any, Any]:
    """Read a batch file: images (N, 3, 32, 32) uint8 and labels (N,) int64. Runs no code from the file.

    Raises:
        InputError: the file is damaged, or is not plain data; the message has its name.
    """
    content = read_plain(path)
    try:
        data, y = content[b"data"], np.array(content[labels])
        if not isinstance(data, Array):
            raise TypeError("data is not an array")
        x = data.as_bytes().reshape(-1, *PIXELS)
        if y.shape != (len(x),) or not np.issubdtype(y.dtype, np.integer):
            raise TypeError(f"{len(x)} images with labels of shape {y.shape}")
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"not a CIFAR batch ({error})", download=True) from None
    return x, y.astype(np.int64)
