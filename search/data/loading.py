"""Load a data set: find its files, read them or a shared copy, divide, measure, and compute its fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from resnet_space.errors import InputError
from search.data import memory, shared
from search.data.catalogue import DATASETS
from search.data.description import DataSet
from search.data.divide import divide, subset
from search.data.images import Images, Split
from search.data.source import Contents, Labelled, Loader, Source

Arrays = tuple[NDArray[Any], NDArray[np.int64]]
"""Images (N, C, H, W) and labels (N,)."""

IMAGES_PER_CHUNK = 4096
"""The number of images that are converted to float64 at a time."""


def load(data: DataSet, *, root: str | Path | None = None, download: bool = False, seed: int = 0) -> Images:
    """Return the images of a data set, divided, in memory; from this machine's shared copy if there is one.

        load(DataSet(name="cifar10"), root="/data", download=True)

    Args:
        root: where the data are on this machine, instead of `data.root`; unused by sets that are not read from files.
        download: download the data with torchvision if they are missing.
        seed: the seed whose division is returned, with `data.split: seed`. `fingerprint` is the same for all seeds.

    Raises:
        InputError: missing (and how to get it), damaged (which file), too large for memory, or too few images.
    """
    source = _find(data, root if root is not None else data.root, download)

    def build() -> Images:
        return assemble(data, source.read(), seed)

    return shared.shared_images(shared.entry_name(data, source.files, seed), build) if source.files else build()


def load_if_ready(data: DataSet, *, seed: int = 0) -> Images | None:
    """Return the images of a data set if that takes no time: from this machine's shared copy, or from this package.

    None if files would have to be read first, or images made: a report must not do that, which can take minutes.
    """
    if DATASETS[data.name].origin == "made":
        return None
    try:
        source = _find(data, data.root, download=False)
        if not source.files:
            return assemble(data, source.read(), seed)
        return shared.existing_images(shared.entry_name(data, source.files, seed))
    except (InputError, OSError):
        return None


def _find(data: DataSet, place: str | Path | None, download: bool) -> Source:
    """Find a data set in `place`, or where its loader looks by default."""
    module, function = DATASETS[data.name].loader.split(":")
    loader = cast(Loader, getattr(import_module(module), function))
    try:
        return loader(data, Path(place).expanduser() if place is not None else None, download)
    except (OSError, RuntimeError) as error:  # a path that is too long, an unknown ~user, or no permission
        raise InputError(f"data.root: {place}: {getattr(error, 'strerror', None) or error}") from None


def assemble(data: DataSet, contents: Contents, seed: int = 0) -> Images:
    """Divide the images, renumber labels, and measure the training images.

    Raises:
        InputError: labels out of range, too few images or classes, too large for memory, or nothing to divide by seed.
    """
    contents, names = _labels_from_zero(data, contents)
    chosen = split_indices(data, contents, data.division(seed))
    _, channels, height, width = contents.train.x.shape
    memory.check_fit(
        data.name,
        images=sum(len(index) for _, index in chosen.values()),
        shape=(channels, height, width),
        itemsize=contents.train.x.dtype.itemsize,
        available=memory.available_bytes(),
        smaller="make it smaller with "
        + ("data.size or " if "size" in DATASETS[data.name].settings else "")
        + "data.limit",
    )
    arrays = {name: (part.x[index], part.y[index]) for name, (part, index) in chosen.items()}
    splits = {name: Split(torch.from_numpy(x), torch.from_numpy(y)) for name, (x, y) in arrays.items()}
    mean, std = moments(arrays["train"][0])
    whole, digests = fingerprints(arrays)
    if data.split == "seed":
        # One for all seeds: a run's trials have one fingerprint, and the seed in a trial's key names the division.
        whole = undivided_fingerprint(data, contents)
    return Images(
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        classes=len(names),
        names=names,
        shape=(channels, height, width),
        mean=mean,
        std=std,
        fingerprint=whole,
        digests=digests,
    )


def split_indices(
    data: DataSet, contents: Contents, division: int | None
) -> dict[str, tuple[Labelled, NDArray[np.int64]]]:
    """Return for each split the part that its images come from, and their indices in it."""
    given = {"validation": contents.validation, "test": contents.test}
    fractions = {"validation": data.validation, "test": data.test}
    wanted = [name for name, part in given.items() if part is None]
    if division is not None and not wanted:
        raise InputError(
            f"data.split: 'seed' divides nothing: data set {data.name!r} has validation and test images of its own; "
            "leave it out, or remove one of the two from the data"
        )
    rest, *parts = divide(contents.train.y, [fractions[name] for name in wanted], division)
    if data.limit is not None:
        rest = rest[subset(contents.train.y[rest], data.limit, division)]
    chosen = {"train": (contents.train, rest)}
    chosen |= {name: (contents.train, part) for name, part in zip(wanted, parts, strict=True)}
    chosen |= {name: (part, np.arange(len(part.y))) for name, part in given.items() if part is not None}
    return chosen


def _labels_from_zero(data: DataSet, contents: Contents) -> tuple[Contents, tuple[str, ...]]:
    """Return the contents with labels 0..classes-1, and the class names in that order.

    If a set does not define its classes, its labels are renumbered in ascending order.
    """
    known = np.unique(contents.train.y) if contents.classes is None else np.arange(contents.classes)
    if len(known) < 2:
        raise InputError(f"data set {data.name!r} has {len(known)} class in its training images; at least 2 are needed")

    def renumber(name: str, part: Labelled) -> Labelled:
        if not len(part.y):
            raise InputError(f"data set {data.name!r} has no {name} images")
        strange = np.setdiff1d(part.y, known)
        if len(strange):
            allowed = f"{known[0]}..{known[-1]}" if contents.classes else "those of the training images"
            raise InputError(f"data set {data.name!r}: {name} label {strange[0]}; allowed: {allowed}")
        return replace(part, y=np.searchsorted(known, part.y).astype(np.int64))

    train = renumber("training", contents.train)
    validation, test = (
        part and renumber(name, part) for name, part in (("validation", contents.validation), ("test", contents.test))
    )
    given = contents.names
    names = tuple(_text(given[label]) if 0 <= label < len(given) else str(label) for label in known.tolist())
    return Contents(train, validation, test, classes=len(known), names=names), names


def _text(name: str) -> str:
    """Return a name that can be written as UTF-8: the name of a folder can have other bytes."""
    return name.encode("utf-8", "backslashreplace").decode()


def moments(x: NDArray[Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel of (N, C, H, W), in float64; std is 1 for a constant channel."""
    count = x.size / x.shape[1]
    mean = sum(chunk.sum((0, 2, 3)) for chunk in _chunks(x)) / count
    centre = np.reshape(mean, (1, -1, 1, 1))
    variance = sum(np.square(chunk - centre).sum((0, 2, 3)) for chunk in _chunks(x)) / count
    std = np.sqrt(variance)
    return tuple(np.atleast_1d(mean).tolist()), tuple(np.where(std > 0, std, 1.0).tolist())


def _chunks(x: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    return (x[start : start + IMAGES_PER_CHUNK].astype(np.float64) for start in range(0, len(x), IMAGES_PER_CHUNK))


def fingerprints(arrays: Mapping[str, Arrays]) -> tuple[str, dict[str, str]]:
    """Return 16 hex digits of SHA-256 over the content of all splits, independent of their files; and of each split."""
    whole, parts = hashlib.sha256(), {name: hashlib.sha256() for name in arrays}
    for name in sorted(arrays):
        for array in arrays[name]:
            content = np.ascontiguousarray(array).data
            for digest in (whole, parts[name]):
                digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
                digest.update(content)
    return whole.hexdigest()[:16], {name: digest.hexdigest()[:16] for name, digest in parts.items()}


def undivided_fingerprint(data: DataSet, contents: Contents) -> str:
    """Return 16 hex digits of SHA-256 over all images before they are divided, and over what a division depends on."""
    digest = hashlib.sha256(f"split by seed {data.validation} {data.test} {data.limit}\n".encode())
    for name in ("train", "validation", "test"):
        part: Labelled | None = getattr(contents, name)
        if part is not None:
            digest.update(f"{name} {part.x.dtype.str} {part.x.shape}\n".encode())
            for start in range(0, len(part.y), IMAGES_PER_CHUNK):
                rows = np.arange(start, min(start + IMAGES_PER_CHUNK, len(part.y)))
                digest.update(np.ascontiguousarray(part.x[rows]).data)
            digest.update(np.ascontiguousarray(part.y).data)
    return digest.hexdigest()[:16]
