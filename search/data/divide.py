"""Divide images into splits: stratified, disjoint and exhaustive; the same on every host.

There is one fixed division, and one for each seed, for `data.split: seed`. All have splits of the same sizes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError

SPLIT_SEED = 1512_03385
"""One constant for all trials, by default: with the trial's seed, trials are evaluated on different images."""

Numbers = NDArray[np.int64]


def divide(y: Numbers, fractions: Sequence[float], division: int | None = None) -> list[Numbers]:
    """Return the indices of the images left for training, then those of each part, in ascending order.

    A part of fraction f has round(f*N) images, distributed over classes by largest remainder; every class keeps at
    least one image for training.

    Args:
        y: labels (N,).
        division: the number of a division; None for the fixed one.

    Raises:
        InputError: a part would be empty.
    """
    members = _shuffled(y, division)
    sizes = np.array([len(m) for m in members])
    taken = np.zeros_like(sizes)
    parts = []
    for fraction in fractions:
        share = allot(sizes, round(fraction * len(y)), least=0, most=sizes - taken - 1)
        if not share.any():
            raise InputError(
                f"{fraction} of {len(y)} images in {len(sizes)} classes is less than one image; "
                "use more images, or a larger fraction"
            )
        parts.append(_pick(members, taken, share))
        taken += share
    return [_pick(members, taken, sizes - taken), *parts]


def subset(y: Numbers, limit: int, division: int | None = None) -> Numbers:
    """Return the indices of `limit` images, stratified, at least one of each class, in ascending order.

    Raises:
        InputError: fewer images than classes.
    """
    if limit >= len(y):
        return np.arange(len(y))
    members = _shuffled(y, division)
    if limit < len(members):
        raise InputError(
            f"limit: {limit} images cannot include all {len(members)} classes; give at least {len(members)}"
        )
    sizes = np.array([len(m) for m in members])
    return _pick(members, np.zeros_like(sizes), allot(sizes, limit, least=1, most=sizes))


def allot(sizes: Numbers, total: int, *, least: int, most: Numbers) -> Numbers:
    """Return whole numbers proportional to `sizes`, between `least` and `most`, with sum `total` if possible."""
    quota = sizes * total / sizes.sum()
    share: Numbers = np.clip(np.floor(quota).astype(np.int64), least, np.maximum(most, least))
    while share.sum() < total and (share < most).any():
        share[np.argmax(np.where(share < most, quota - share, -np.inf))] += 1
    while share.sum() > total and (share > least).any():
        share[np.argmin(np.where(share > least, quota - share, np.inf))] -= 1
    return share


def _shuffled(y: Numbers, division: int | None) -> list[Numbers]:
    # RandomState, not Generator: its streams are frozen (NEP 19), so the division is the same in every numpy version.
    random = np.random.RandomState(SPLIT_SEED if division is None else _words(division))
    return [random.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]


def _words(division: int) -> NDArray[np.uint32]:
    """Return the seed of a division as RandomState takes it: eight words of a hash, since a seed can be any number."""
    return np.frombuffer(hashlib.sha256(f"{SPLIT_SEED} {division}".encode()).digest(), dtype="<u4").astype(np.uint32)


def _pick(members: list[Numbers], start: Numbers, count: Numbers) -> Numbers:
    return np.sort(np.concatenate([m[s : s + n] for m, s, n in zip(members, start, count, strict=True)]))
