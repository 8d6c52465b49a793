"""Heterogeneity over data sets: published numbers of the BCG vaccine trials, and laws."""

from __future__ import annotations

from math import isclose, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablations import effects
from ablations.across.heterogeneity import Heterogeneity, heterogeneity, prediction
from resnet_space.errors import InputError

BCG = (
    (4, 119, 11, 128),
    (6, 300, 29, 274),
    (3, 228, 11, 209),
    (62, 13536, 248, 12619),
    (33, 5036, 47, 5761),
    (180, 1361, 372, 1079),
    (8, 2537, 10, 619),
    (505, 87886, 499, 87892),
    (29, 7470, 45, 7232),
    (17, 1699, 65, 1600),
    (186, 50448, 141, 27197),
    (5, 2493, 3, 2338),
    (27, 16886, 29, 17825),
)
"""Colditz et al. 1994, Journal of the American Medical Association 271, 698-702: with and without tuberculosis of those
vaccinated, and of those not. The example of R's metafor (Viechtbauer 2010, Journal of Statistical Software 36, 3)."""


def bcg() -> tuple[list[float], list[float]]:
    """The log risk ratios and their standard errors."""
    differences = [log(a / (a + b) / (c / (c + d))) for a, b, c, d in BCG]
    errors = [sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)) for a, b, c, d in BCG]
    return differences, errors


def test_heterogeneity_of_the_bcg_trials_is_the_published_one() -> None:
    found = heterogeneity(*bcg())
    assert round(found.q, 3) == 152.233
    assert round(100 * found.i2, 2) == 92.12
    assert round(found.tau**2, 4) == 0.3181
    assert found.p < 1e-20


def test_differences_that_are_alike_have_no_heterogeneity() -> None:
    found = heterogeneity([0.01, 0.01, 0.01], [0.002, 0.004, 0.001])
    assert (found.q, found.i2, found.tau) == (0, 0, 0)
    assert found.p == 1


@pytest.mark.parametrize(
    ("differences", "errors", "message"),
    [
        ([0.1], [0.1], "1 data sets; heterogeneity needs at least 2"),
        ([0.1, 0.2], [0.1, 0.0], "must be finite, with an error above 0"),
        ([0.1, float("nan")], [0.1, 0.1], "a difference of nan"),
    ],
)
def test_differences_without_an_error_are_refused(differences: list[float], errors: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        heterogeneity(differences, errors)


# Rounded, since statsmodels divides by the squares of differences.
SETS = st.lists(
    st.tuples(st.floats(-0.5, 0.5).map(lambda y: round(y, 9)), st.floats(1e-6, 0.3)), min_size=2, max_size=12
)


def split(sets: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [y for y, _ in sets], [s for _, s in sets]


@given(SETS)
def test_tau_solves_the_equation_of_paule_and_mandel(sets: list[tuple[float, float]]) -> None:
    y, s = map(np.array, split(sets))
    found = heterogeneity(y.tolist(), s.tolist())
    assert 0 <= found.i2 < 1

    def spread(tau: float) -> float:
        w = 1 / (s**2 + tau**2)
        return float((w * (y - (w * y).sum() / w.sum()) ** 2).sum())

    if found.tau:
        assert spread(found.tau) == pytest.approx(len(y) - 1, rel=1e-3)
    else:
        assert spread(0) <= (len(y) - 1) * (1 + 1e-6) + 1e-6


@given(SETS, st.floats(0.01, 100), st.floats(-0.5, 0.5))
def test_neither_unit_nor_order_nor_a_common_shift_matters(
    sets: list[tuple[float, float]], unit: float, shift: float
) -> None:
    y, s = split(sets)
    first = heterogeneity(y, s)
    again = heterogeneity([unit * (each + shift) for each in reversed(y)], [unit * each for each in reversed(s)])

    def near(one: float, other: float) -> bool:
        return isclose(one, other, rel_tol=1e-3, abs_tol=1e-3)

    assert isinstance(first, Heterogeneity)
    assert near(first.tau, again.tau / unit)
    assert near(first.i2, again.i2)


def over_sets(*deltas: float) -> effects.Difference:
    pairs = dict(enumerate(deltas))
    return effects.difference(pairs, dict.fromkeys(pairs, 0.0), planned=pairs, test="paired_t", resampled=False)


def test_the_prediction_interval_is_wider_than_that_of_the_mean_and_needs_three_data_sets() -> None:
    found = over_sets(0.01, 0.02, 0.06)
    interval = prediction(found)
    assert interval is not None
    assert found.low is not None
    half = stats.t.isf(0.025, 2) * found.std * sqrt(4 / 3)
    assert interval == pytest.approx((0.03 - half, 0.03 + half))
    assert interval[0] < found.low
    assert prediction(over_sets(0.01, 0.02)) is None


def test_nineteen_of_twenty_further_data_sets_are_in_the_prediction_interval() -> None:
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        *seen, further = random.normal(0.01, 0.02, 5)
        low, high = prediction(over_sets(*seen)) or (0, 0)
        inside += low <= further <= high
    # Within 0.95 ± 3 √(0.95 * 0.05 / 1000).
    assert 0.929 < inside / 1000 < 0.971


@pytest.mark.parametrize(
    ("sets", "seeds", "tau", "unequal"),
    [(3, 3, 0.0, 0.0), (3, 3, 0.5, 1.0), (5, 3, 0.0, 0.0), (5, 5, 0.5, 1.0), (10, 3, 0.0, 0.0), (10, 5, 0.5, 1.0)],
)
def test_equal_weights_hold_the_level_where_weights_estimated_from_seeds_do_not(
    sets: int, seeds: int, tau: float, unequal: float
) -> None:
    """The mean of true differences is 0: how often is it claimed to differ at 5 %?

    `tau` is in standard deviations over seeds, which differ between data sets as exp(unequal * N(0, 1)).
    """
    random = np.random.default_rng(0)
    spread = np.exp(random.normal(0, unequal, (4000, sets)))
    true = random.normal(0, tau, (4000, sets)) if tau else np.zeros((4000, sets))
    studies = true[..., None] + spread[..., None] * random.normal(size=(4000, sets, seeds))
    y, s = studies.mean(axis=2), studies.std(axis=2, ddof=1) / sqrt(seeds)
    bound = stats.t.isf(0.025, sets - 1)
    ours = np.abs(y.mean(axis=1)) / (y.std(axis=1, ddof=1) / sqrt(sets)) > bound
    # Inverse variances, even without an estimate of tau.
    w = 1 / s**2
    mean = (w * y).sum(axis=1) / w.sum(axis=1)
    scale = (w * (y - mean[:, None]) ** 2).sum(axis=1) / (sets - 1)
    theirs = np.abs(mean) / np.sqrt(scale / w.sum(axis=1)) > bound
    assert ours.mean() < 0.06
    assert theirs.mean() > 0.08
    for row in range(20):
        p = over_sets(*y[row]).p
        assert p is not None
        assert (p < 0.05) == ours[row]
