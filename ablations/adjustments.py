"""Adjustments of p-values for a family of comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resnet_space.errors import InputError


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Return Holm's adjusted p-values: in ascending order, max over j <= i of min(1, (m - j + 1) * p_j), of m p-values.

    If claims are made for adjusted p_i <= alpha, the probability of a false claim in the family is at most alpha, for
    every dependence between the tests. Holm 1979, Scandinavian Journal of Statistics 6, 65-70. A p-value of None stays
    None and counts in m; otherwise an arm whose seeds fail would make claims about the others easier.

    Raises:
        InputError: a p-value outside 0 to 1.
    """
    known = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    if wrong := [p for p, _ in known if not 0 <= p <= 1]:
        raise InputError(f"p: {wrong[0]}; must be between 0 and 1")
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for before, (p, place) in enumerate(known):
        largest = adjusted[place] = max(largest, min(1.0, (len(ps) - before) * p))
    return adjusted


def holm_levels(ps: Sequence[float | None], alpha: float) -> list[float]:
    """Return the level at which Holm tests each comparison of a family: alpha / (m - j + 1) for the j-th smallest p.

    Comparisons after the first one that is not claimed have the level of that one.
    So p_i <= level_i exactly if Holm's adjusted p_i <= alpha, and an interval of confidence 1 - level_i excludes the
    hypothesis exactly if it is rejected.
    """
    claimed = sum(p is not None and p <= alpha for p in holm(ps))
    order = sorted(range(len(ps)), key=lambda place: (ps[place] is None, ps[place] or 0.0))
    levels = [0.0] * len(ps)
    for before, place in enumerate(order):
        levels[place] = alpha / (len(ps) - min(before, claimed))
    return levels


def unadjusted(ps: Sequence[float | None]) -> list[float | None]:
    """Return the p-values unchanged: alpha then holds for each comparison separately, not for the family."""
    return list(ps)


@dataclass(frozen=True)
class Adjustment:
    """An adjustment of p-values for a family of comparisons."""

    adjusted: Callable[[Sequence[float | None]], list[float | None]]
    """From the p-values of a family to those that are compared with alpha."""
    levels: Callable[[Sequence[float | None], float], list[float]]
    """From the p-values of a family and alpha to the levels that the p-values are compared with."""
    strictest: Callable[[float, int], float]
    """From alpha and the size of the family to the level that is enough for each of its comparisons."""
    holds: str
    """The text in a footnote on what the level of a claim applies to."""
    mark: str = ""
    """The text after an adjusted p-value."""


ADJUSTMENTS: dict[str, Adjustment] = {
    "holm": Adjustment(
        holm, holm_levels, lambda alpha, family: alpha / family, "by Holm over its family", ", adjusted"
    ),
    "none": Adjustment(
        unadjusted, lambda ps, alpha: [alpha] * len(ps), lambda alpha, family: alpha, "for each comparison separately"
    ),
}
"""The adjustments by their names in a study."""
