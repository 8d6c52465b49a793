"""Values and headings of objectives in figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from resnet_space.errors import InputError
from search.fronts.objectives import OBJECTIVES


def times(objective: str) -> float:
    """Return the factor from stored values to the unit of the heading."""
    return 100 if OBJECTIVES[objective].percent else 1


def without_unit(objective: str) -> str:
    """Return the heading of an objective without its unit."""
    return OBJECTIVES[objective].heading.split(",")[0] if objective in OBJECTIVES else objective


def finite(name: str, values: ArrayLike, most: int) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=float)
    if array.ndim > most or not np.isfinite(array).all():
        raise InputError(f"{name}: must be finite numbers in at most {most} dimensions; got shape {array.shape}")
    return np.atleast_1d(array)
