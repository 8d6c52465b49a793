"""What a loader hands over: the files that a data set lies in, and how to read them."""

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
    """Images with a whole-number label each."""

    x: Pictures
    y: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Contents:
    """A data set as its files divide it; None for a split that has to be taken from `train`.

    Without `classes`, labels are any whole numbers, and are renumbered in ascending order. `names[label]` is the name
    of the class with that label; a label without one is its own name.
    """

    train: Labelled
    validation: Labelled | None = None
    test: Labelled | None = None
    classes: int | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Source:
    """Where a data set was found. `read` does the work, so that a shared copy can stand in for it.

    `files` are all that `read` depends on; none for a set that is so quickly had that no copy is kept.
    """

    files: tuple[Path, ...]
    read: Callable[[], Contents]


Loader = Callable[[DataSet, Path | None, bool], Source]
"""`loader(data, root, download)`. Raises InputError where the set is missing, saying how to get it."""


DOWNLOAD = "get it with --download"


def missing(data: DataSet, place: Path, *ways: str) -> InputError:
    """The error for a set that is not where it was looked for, with the ways to get it there."""
    return InputError(f"data set {data.name!r} is not in {place}; {', or '.join(ways)}")


def needs_root(data: DataSet) -> InputError:
    return InputError(f"data.root: data set {data.name!r} needs one: {DATASETS[data.name].root}")


def damaged(path: Path, reason: object, *, download: bool = False) -> InputError:
    """The error for a file that is there but cannot be read as what it should be."""
    hint = f"; delete it and {DOWNLOAD}" if download else ""
    return InputError(f"{path}: damaged: {reason}{hint}")
