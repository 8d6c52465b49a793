"""What a tuning budget buys: the expected lowest error of n recipes, estimated from all that were tried."""

from __future__ import annotations

from collections.abc import Sequence


def expected_lowest(errors: Sequence[float]) -> list[float]:
    """Return the expected lowest error of n = 1, 2, ..., N recipes drawn at random from the N that were tried.

    E[min of n] = Σ_i e_(i) (((N - i + 1) / N)^n - ((N - i) / N)^n), with the errors e_(1) <= ... <= e_(N). Dodge et al.
    2019, 1909.03004, section 3.1, for errors in place of accuracies: draws with replacement, so the last value is above
    the lowest error. A sampler that learns is expected to be better than that.

    >>> expected_lowest([0.2, 0.1])
    [0.15000000000000002, 0.125]
    """
    ranked, total = sorted(errors), len(errors)
    return [
        sum(
            error * (((total - place) / total) ** draws - ((total - place - 1) / total) ** draws)
            for place, error in enumerate(ranked)
        )
        for draws in range(1, total + 1)
    ]
