"""The result of a loader: the files of a data set, and a function that reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from resnet_space.errors import InputError
from search.data.catalogue import DATASETS
from search.data.description import DataSet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Pictures(Protocol):
    """N images: an array (N, C, H, W), or files that are read into one when they are indexed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 or float32."""

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[Any]:
        """The images of these numbers, (len(index), C, H, W)."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images, each with a whole-number label."""

    x: Pictures
    y: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Contents:
    """A data set with the splits of its files; a split that is None is taken from `train`.

    Without `classes`, labels are any whole numbers, and are renumbered in ascending order. `names[label]` is the name
    of the class with that label; without a name, the label itself is used.
    """

    train: Labelled
    validation: Labelled | None = None
    test: Labelled | None = None
    classes: int | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Source:
    """A data set that was found, and not yet read: `read` is not called if there is a shared copy.

    `files` are all files that `read` depends on; empty for a set that is so fast to create that no copy is kept.
    """

    files: tuple[Path, ...]
    read: Callable[[], Contents]


Loader = Callable[[DataSet, Path | None, bool], Source]
"""`loader(data, root, download)`. Raises InputError if the set is missing, with the ways to get it."""


DOWNLOAD_HINT = "get it with --download"


class MissingData(InputError):
    """The files of a data set are not where they are looked for."""


def missing(data: DataSet, place: Path, *ways: str) -> MissingData:
    """Return the error for a data set that is not at `place`, with the ways to get it there."""
    return MissingData(f"data set {data.name!r} is not in {place}; {', or '.join(ways)}")


def needs_root(data: DataSet) -> InputError:
    """Return the error for a data set that needs `data.root` and has none."""
    return InputError(f"data.root: required by data set {data.name!r}: {DATASETS[data.name].root}")


def damaged(path: Path, reason: object, *, download: bool = False) -> InputError:
    """Return the error for a file that exists but is not what it should be."""
    hint = f"; delete it and {DOWNLOAD_HINT}" if download else ""
    return InputError(f"{path}: damaged: {reason}{hint}")
