"""Dominance and hypervolume: points as rows (n, m), every objective minimised. Pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from resnet_space.errors import InputError

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.intp]


def nondominated(values: ArrayLike) -> Flags:
    """Which points no other dominates, shape (n,): a dominates b if a <= b in every objective and a < b in one.

    Equal points do not dominate each other, so all of them are kept; of one objective, all that have the least.

    Raises:
        ValueError: a value is NaN, which compares with nothing.
    """
    return np.asarray(moocore.is_nondominated(_points(values), keep_weakly=True), dtype=np.bool_)


def dominated_by(values: ArrayLike, others: ArrayLike) -> Flags:
    """Which of the points have one of `others` below or at them in every objective, shape (n,).

    In two objectives by sorting: the least second value of the others so far in the first. In more by one call of
    `nondominated` in m + 2 objectives: the i-th point gets (i, -i) on top, so that no two of them compare, and each
    of the others (-1, -n - 1), which is below all of those.
    """
    points, above = _points(values), _points(others)
    if points.shape[1] == 2:
        first, second = above[np.lexsort(above.T[::-1])].T
        least = np.concatenate([[np.inf], np.minimum.accumulate(second)])
        return np.asarray(least[np.searchsorted(first, points[:, 0], "right")] <= points[:, 1], dtype=np.bool_)
    number = np.arange(len(points), dtype=float)[:, None]
    lowest = np.broadcast_to([-1.0, -len(points) - 1.0], (len(above), 2))
    together = np.vstack([np.hstack([points, number, -number]), np.hstack([above, lowest])])
    return ~nondominated(together)[: len(points)]


def ranks(values: ArrayLike) -> Indices:
    """The front that each point is on, shape (n,): 0 for the first, 1 for what is first without it, and so on.

    Deb et al. 2002 (NSGA-II), section III.A. Equal points have the same rank.
    """
    return np.asarray(moocore.pareto_rank(_points(values)), dtype=np.intp)


def crowding(values: ArrayLike) -> Floats:
    """Distance to the neighbours on a point's own front, shape (n,): sum over objectives of (next - last) / range.

    Deb et al. 2002 (NSGA-II), section III.B. The ends of a front are infinitely far from others, in each objective
    that differs on it at all; of equal values the earlier row comes first.
    """
    points = _points(values)
    distances = np.zeros(len(points))
    rank = ranks(points)
    order = np.argsort(rank, kind="stable")
    for front in np.split(order, np.flatnonzero(np.diff(rank[order])) + 1):
        if len(front) <= 2:
            distances[front] = np.inf
            continue
        for column in points[front].T:
            along = np.argsort(column, kind="stable")
            sorted_ = column[along]
            if sorted_[0] < sorted_[-1]:
                distances[front[along[1:-1]]] += (sorted_[2:] - sorted_[:-2]) / (sorted_[-1] - sorted_[0])
                distances[front[along[[0, -1]]]] = np.inf
    return distances


def knee(values: ArrayLike) -> int:
    """The index of the point where a front bends most: farthest below the plane through its ends.

    With z = (x - least) / (most - least) over the front, the ends lie on sum z = 1 and the knee has the least sum z
    (Das 1999, for ends that are each best in one objective). Of equals the least in the first objective.

    Raises:
        ValueError: no point, or NaN.
    """
    points = _points(values)
    if not len(points):
        raise ValueError("a front without points has no knee")
    at = np.flatnonzero(nondominated(points))
    front = points[at]
    span = np.ptp(front, axis=0)
    sums = ((front - front.min(axis=0)) / np.where(span > 0, span, 1)).sum(axis=1)
    # Rounded, for what is equal on paper to be equal here: both ends, to begin with.
    return int(at[np.lexsort((*front.T[::-1], sums.round(12)))[0]])


def hypervolume(values: ArrayLike, reference: ArrayLike) -> float:
    """The volume that the points dominate below the reference, in the product of the objectives' units.

    Zitzler & Thiele 1999. A point that is not better than the reference in every objective adds nothing, nor does a
    row with NaN.
    """
    points, corner = _within(values, reference)
    inside = points[(points < corner).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=corner)) if len(inside) else 0.0


def hypervolume_trace(values: ArrayLike, reference: ArrayLike) -> Floats:
    """The hypervolume after each of the points in turn, shape (n,): never falling, its end is `hypervolume`.

    A point p that nothing so far dominates adds what it alone dominates: prod(r - p) less the hypervolume of
    max(p, q) over the points q before it. Rows with NaN (trials without a value) add nothing.
    """
    points, corner = _within(values, reference)
    gains = np.zeros(len(points))
    found = np.empty((0, len(corner)))
    for i in np.flatnonzero((points < corner).all(axis=1)):
        point = points[i]
        if (found <= point).all(axis=1).any():
            continue
        gains[i] = max(0.0, np.prod(corner - point) - hypervolume(np.maximum(found, point), corner))
        found = np.vstack([found[~(point <= found).all(axis=1)], point])
    return np.cumsum(gains)


def check_reference(values: ArrayLike, reference: Sequence[float], names: Sequence[str]) -> None:
    """A reference is worse than every point of the front, or what the front has there would not count.

    Raises:
        InputError: the reference lies inside the front, and in which objective; or is not one number an objective.
    """
    if len(reference) != len(names) or not np.isfinite(reference).all():
        raise InputError(f"reference: needs a number for each of {', '.join(names)}, not {list(reference)}")
    points = _points(values)
    worst = points[nondominated(points)].max(axis=0, initial=-np.inf)
    for name, most, given in zip(names, worst.tolist(), reference, strict=True):
        if most >= given:
            raise InputError(
                f"reference.{name}: {given:.15g} is a reference point inside the front, which goes up to "
                f"{name} = {most:.15g}; give more than that"
            )


def _points(values: ArrayLike) -> Floats:
    points = np.asarray(values, dtype=float)
    if points.ndim != 2 or not points.shape[1]:
        raise ValueError(f"points are rows of one value an objective, not an array of shape {points.shape}")
    if np.isnan(points).any():
        raise ValueError("NaN compares with nothing: leave out points without a value")
    return points


def _within(values: ArrayLike, reference: Any) -> tuple[Floats, Floats]:
    """Points and reference as arrays that fit; NaN stays, and is below nothing."""
    points, corner = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    if points.ndim != 2 or points.shape[1:] != corner.shape:
        raise ValueError(f"a reference of shape {corner.shape} does not fit points of shape {points.shape}")
    return points, corner
