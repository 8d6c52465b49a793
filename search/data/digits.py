"""scikit-learn's digits: 1,797 images of 8x8 in 17 grey levels, without predefined splits."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.description import DataSet
from search.data.source import Contents, Labelled, Source

EMBEDDED = Path("datasets", "data", "digits.csv.gz")
"""Inside scikit-learn: rows of 64 pixels and a label."""


def digits(data: DataSet, root: Path | None, download: bool) -> Source:
    return Source(files=(), read=_read)


def _read() -> Contents:
    found = find_spec("sklearn")
    places = (found and found.submodule_search_locations) or [""]
    path = Path(places[0]) / EMBEDDED
    # Importing scikit-learn takes seconds in every trial; reading the file takes 20 ms.
    rows = read_rows(path) if path.is_file() else library_rows()
    x = rows[:, :64].reshape(-1, 1, 8, 8).astype(np.uint8)
    return Contents(train=Labelled(x, rows[:, 64].astype(np.int64)), classes=10, names=tuple("0123456789"))


def read_rows(path: Path) -> NDArray[Any]:
    """Read (1797, 65), pixels and label, from the file."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        return np.loadtxt(file, delimiter=",")


def library_rows() -> NDArray[Any]:
    """Read the same with scikit-learn's own function, in case the file has moved."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return np.column_stack([images, labels])
