"""Rates of events, such as trials that fail: exact intervals, and exact tests of equal rates."""

from __future__ import annotations

from resnet_space.errors import InputError


def rate(events: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a rate by Clopper and Pearson 1934 (Biometrika 26, 404-413); 0 to 1 without trials.

    Raises:
        InputError: a negative number, more events than trials, or a confidence outside (0, 1).
    """
    from scipy import stats

    if not 0 < confidence < 1:
        raise InputError(f"confidence: {confidence}; must be between 0 and 1")
    _check_events(events, of)
    if not of:
        return 0.0, 1.0
    found = stats.binomtest(events, of).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)


def rates_differ(events_a: int, of_a: int, events_b: int, of_b: int) -> float:
    """Return Fisher's exact two-sided p-value of H0: two rates are equal; 1 if one of them has no trials.

    Raises:
        InputError: a negative number, or more events than trials.
    """
    from scipy import stats

    _check_events(events_a, of_a)
    _check_events(events_b, of_b)
    table = [[events_a, of_a - events_a], [events_b, of_b - events_b]]
    return min(1.0, float(stats.fisher_exact(table).pvalue))


def _check_events(events: int, of: int) -> None:
    if not 0 <= events <= of:
        raise InputError(f"{events} of {of}: events must be between 0 and the number of trials")
