"""The hypervolume improvement of points over a front."""

from __future__ import annotations

import numpy as np

from search.fronts.dominance import Floats, hypervolume, nondominated

SAMPLES = 8
"""Rows used for improvements with three or more objectives, which need one hypervolume for each row and point."""


def improvement(front: Floats, points: Floats, corner: Floats) -> Floats:
    """Return HV(front + p) - HV(front) for each point p, relative to the corner: (n, m), (s, k, m), (m,) to (s, k)."""
    front = front[nondominated(front)] if len(front) else front
    if len(corner) == 1:
        least = min(front.min(initial=np.inf), corner[0])
        return np.asarray(np.maximum(0.0, least - points[..., 0]))
    if len(corner) == 2:
        steps = front[np.lexsort((front[:, 1], front[:, 0]))]
        steps = steps[(steps < corner).all(axis=1)]
        # Left of the first step the level is the corner's; each step's level holds up to the next step.
        right = np.concatenate([steps[:, 0], corner[:1]])
        level = np.concatenate([corner[1:], steps[:, 1]])
        # Of the levels above a point, those to the right of the one directly above it count in full.
        width = np.diff(right, prepend=right[0])
        areas, widths = (np.concatenate([[0.0], sums.cumsum()]) for sums in (width * level, width))
        x, y = points[..., 0], points[..., 1]
        first = np.searchsorted(right, x, side="right")
        last = np.searchsorted(-level, -y, side="left")
        under = np.minimum(first, len(right) - 1)
        to_the_right = (
            areas[last] - areas[np.minimum(first + 1, last)] - y * (widths[last] - widths[np.minimum(first + 1, last)])
        )
        return np.asarray(np.where(first < last, (right[under] - x) * (level[under] - y) + to_the_right, 0.0))
    flat = points.reshape(-1, len(corner))
    gains = [np.prod(np.maximum(0.0, corner - point)) - hypervolume(np.maximum(front, point), corner) for point in flat]
    return np.maximum(0.0, np.array(gains).reshape(points.shape[:2]))


def improvements(fronts: Floats, points: Floats, corner: Floats) -> Floats:
    """Return the improvements of each row of points over its own front: (s, n, m), (s, k, m), (m,) to (s, k).

    With three or more objectives only `SAMPLES` of the s rows are used.
    """
    step = max(1, len(points) // SAMPLES) if len(corner) > 2 else 1
    pairs = zip(fronts[::step], points[::step], strict=True)
    return np.array([improvement(front, row[None], corner)[0] for front, row in pairs])
