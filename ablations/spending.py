"""Looking often without being fooled: each look at a comparison may spend a share of alpha, decided beforehand.

A comparison that is looked at with every seed more, and claimed at the first p <= alpha, is claimed far too often. Here
look k claims where p_k <= w_k * alpha, and the w add up to 1: by the union bound the chance of a false claim at any
look is at most alpha, whenever one stops, and however looks depend on each other. Looks count from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from resnet_space.errors import InputError

LAST = 0.5
"""The last look's share: it has the most seeds, so a comparison that is hard to tell is told there or not at all."""


def shares(looks: int) -> tuple[float, ...]:
    """w_1 ... w_looks: half for the last look, the rest in equal parts for those before; 1 for an only look.

    Equal parts, since large effects, for which early looks are there, need not much of alpha at any of them, but some
    at the first: shares that rise, as O'Brien and Fleming's do, leave it nearly nothing.

    Raises:
        InputError: less than one look.
    """
    if looks < 1:
        raise InputError(f"looks: {looks}; must be at least 1")
    return (*[(1 - LAST) / (looks - 1)] * (looks - 1), LAST) if looks > 1 else (1.0,)


def sequential_p(ps: Sequence[float | None], looks: int) -> float | None:
    """min(1, min of p_k / w_k over the looks so far): a p-value whenever one stops. `ps` in order, None where no p was.

    It never rises with another look. Over a family of comparisons, `effects.holm` takes it as any other p. None as long
    as no look had a p.

    Raises:
        InputError: more p than looks, or a p outside 0 to 1.
    """
    weights = shares(looks)
    _check_looks(len(ps), 0, looks)
    if wrong := [p for p in ps if p is not None and not 0 <= p <= 1]:
        raise InputError(f"p: {wrong[0]}; must be between 0 and 1")
    return (
        min([1.0, *found]) if (found := [p / w for p, w in zip(ps, weights, strict=False) if p is not None]) else None
    )


def spent(done: int, looks: int) -> float:
    """The share of alpha that the first `done` looks have spent, 0 to 1.

    Raises:
        InputError: less than none or more than all of the looks are done.
    """
    weights = shares(looks)
    _check_looks(done, 0, looks)
    return min(1.0, fsum(weights[:done]))


def interval_confidence(look: int, looks: int, confidence: float = 0.95) -> float:
    """1 - (1 - confidence) * w_look: the level at which a look's interval is made.

    With `confidence`, the intervals of all looks hold the difference, so the one where one stops does. It leaves 0 out
    exactly where the look's p <= w_look * (1 - confidence), if both are of the same test.

    Raises:
        InputError: a look that is none of them, or a confidence outside (0, 1).
    """
    weights = shares(looks)
    _check_looks(look, 1, looks)
    if not 0 < confidence < 1:
        raise InputError(f"confidence: {confidence}; must be between 0 and 1")
    return 1 - (1 - confidence) * weights[look - 1]


def _check_looks(number: int, least: int, looks: int) -> None:
    if not least <= number <= looks:
        raise InputError(f"looks: {number} of {looks}; must be between {least} and {looks}")
