"""Alpha spending for interim analyses: each analysis of a comparison has a share of alpha, fixed in advance.

If a comparison is analysed after every additional seed, and claimed at the first p <= alpha, there are far too many
false claims. Here analysis k claims a difference if p_k <= w_k * alpha, and the weights w_k add up to 1. By the union
bound (Bonferroni), the probability of a false claim in any analysis is at most alpha, for every stopping rule and every
dependence between the analyses. Analyses count from 1; the last one is the final analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from resnet_space.errors import InputError

FINAL_SHARE = 0.5
"""The share of the final analysis: it has the most seeds, and so decides the comparisons that are hard to resolve."""


def shares(analyses: int) -> tuple[float, ...]:
    """Return the weights w_1, ..., w_n of n analyses: half for the final one, the rest in equal parts for the others.

    A single analysis has weight 1. The parts are equal because interim analyses are for large effects. These need
    little of alpha in each analysis, but some in the first one: shares that increase, like those of O'Brien and
    Fleming, give the first analysis almost nothing.

    Raises:
        InputError: less than one analysis.
    """
    if analyses < 1:
        raise InputError(f"analyses: {analyses}; must be at least 1")
    return (*[(1 - FINAL_SHARE) / (analyses - 1)] * (analyses - 1), FINAL_SHARE) if analyses > 1 else (1.0,)


def sequential_p(ps: Sequence[float | None], analyses: int) -> float | None:
    """Return min(1, min of p_k / w_k over the analyses so far), a p-value that is valid for every stopping rule.

    `ps` are the p-values of the analyses in order, None for an analysis without one; the result is None if all are
    None. It never increases with another analysis. `effects.holm` can adjust it over a family like any other p-value.

    Raises:
        InputError: more p-values than analyses, or a p-value outside 0 to 1.
    """
    weights = shares(analyses)
    _check_number(len(ps), 0, analyses)
    if wrong := [p for p in ps if p is not None and not 0 <= p <= 1]:
        raise InputError(f"p: {wrong[0]}; must be between 0 and 1")
    return (
        min([1.0, *found]) if (found := [p / w for p, w in zip(ps, weights, strict=False) if p is not None]) else None
    )


def spent(done: int, analyses: int) -> float:
    """Return the share of alpha, 0 to 1, that the first `done` analyses have spent.

    Raises:
        InputError: `done` is negative or larger than `analyses`.
    """
    weights = shares(analyses)
    _check_number(done, 0, analyses)
    return min(1.0, fsum(weights[:done]))


def interval_confidence(analysis: int, analyses: int, confidence: float = 0.95) -> float:
    """Return 1 - (1 - confidence) * w_k, the confidence level of the interval of analysis k.

    With probability `confidence` the intervals of all analyses contain the true difference, and therefore so does the
    interval of the analysis that stops. An interval excludes 0 exactly if p_k <= w_k * (1 - confidence), if interval
    and p-value are of the same test.

    Raises:
        InputError: no such analysis, or a confidence outside (0, 1).
    """
    weights = shares(analyses)
    _check_number(analysis, 1, analyses)
    if not 0 < confidence < 1:
        raise InputError(f"confidence: {confidence}; must be between 0 and 1")
    return 1 - (1 - confidence) * weights[analysis - 1]


def _check_number(number: int, least: int, analyses: int) -> None:
    if not least <= number <= analyses:
        raise InputError(f"analyses: {number} of {analyses}; must be between {least} and {analyses}")
