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
    """Return which points no other dominates, shape (n,): a dominates b if a <= b in all objectives and a < b in one.

    Equal points do not dominate each other, so all of them are kept; with one objective, all minima.

    Raises:
        ValueError: a value is NaN, which cannot be compared.
    """
    return np.asarray(moocore.is_nondominated(_points(values), keep_weakly=True), dtype=np.bool_)


def dominated_by(values: ArrayLike, others: ArrayLike) -> Flags:
    """Return for which points one of `others` is <= the point in every objective, shape (n,).

    With two objectives by sorting `others` by the first and taking the running minimum of the second. With more by one
    call of `nondominated` in m + 2 objectives: the i-th point gets the extra values (i, -i), so that no point dominates
    another, and each of `others` gets (-1, -n - 1), which is below all of those.
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
    """Return the number of each point's front, shape (n,): 0 for the first, 1 for the first without front 0, and so on.

    Deb et al. 2002 (NSGA-II), section III.A. Equal points have the same rank.
    """
    return np.asarray(moocore.pareto_rank(_points(values)), dtype=np.intp)


def crowding(values: ArrayLike) -> Floats:
    """Return each point's crowding distance, shape (n,): sum over objectives of (next - previous) / range on its front.

    Deb et al. 2002 (NSGA-II), section III.B. Both ends of a front have infinite distance, in each objective that is
    not constant on it; of equal values the earlier row comes first.
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
    """Return the index of the knee: the point of the front that is farthest below the plane through its ends.

    With z = (x - min) / (max - min) over the front, the ends have sum z = 1, and the knee has the smallest sum z
    (Das 1999, for ends that are each best in one objective). Of equal sums, the smallest first objective wins.

    Raises:
        ValueError: there is no point, or a value is NaN.
    """
    points = _points(values)
    if not len(points):
        raise ValueError("a front without points has no knee")
    at = np.flatnonzero(nondominated(points))
    front = points[at]
    span = np.ptp(front, axis=0)
    sums = ((front - front.min(axis=0)) / np.where(span > 0, span, 1)).sum(axis=1)
    # Rounded, so that sums that are equal in exact arithmetic are equal here, such as those of the two ends.
    return int(at[np.lexsort((*front.T[::-1], sums.round(12)))[0]])


def hypervolume(values: ArrayLike, reference: ArrayLike) -> float:
    """Return the volume that the points dominate below the reference, in the product of the objectives' units.

    Zitzler & Thiele 1999. A point that is not better than the reference in every objective adds nothing; neither does
    a row with NaN.
    """
    points, corner = _within(values, reference)
    inside = points[(points < corner).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=corner)) if len(inside) else 0.0


def hypervolume_trace(values: ArrayLike, reference: ArrayLike) -> Floats:
    """Return the hypervolume after each of the points in turn, shape (n,); it never decreases.

    A point p that no earlier point dominates adds the volume that it alone dominates: prod(r - p) minus the hypervolume
    of max(p, q) over the earlier points q. Rows with NaN (trials without a value) add nothing.
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
    """Check that the reference is worse than every point of the front; points beyond it would not count.

    Raises:
        InputError: the reference is inside the front (in which objective), or is not one number per objective.
    """
    if len(reference) != len(names) or not np.isfinite(reference).all():
        raise InputError(f"reference: needs a number for each of {', '.join(names)}, not {list(reference)}")
    points = _points(values)
    worst = points[nondominated(points)].max(axis=0, initial=-np.inf)
    for name, most, given in zip(names, worst.tolist(), reference, strict=True):
        if most >= given:
            raise InputError(
                f"reference.{name}: {given:.15g} is a reference point inside the front, which goes up to "
                f"{name} = {most:.15g}; give a larger value"
            )


def _points(values: ArrayLike) -> Floats:
    points = np.asarray(values, dtype=float)
    if points.ndim != 2 or not points.shape[1]:
        raise ValueError(f"points must be rows with one value per objective, not an array of shape {points.shape}")
    if np.isnan(points).any():
        raise ValueError("NaN cannot be compared: leave out points without a value")
    return points


def _within(values: ArrayLike, reference: Any) -> tuple[Floats, Floats]:
    """Return points and reference as arrays of matching shapes; NaN stays, and is below nothing."""
    points, corner = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    if points.ndim != 2 or points.shape[1:] != corner.shape:
        raise ValueError(f"a reference of shape {corner.shape} does not fit points of shape {points.shape}")
    return points, corner
