"""Differences that are tested on a scale: their intervals and margins in the unit of the measure."""

from __future__ import annotations

from math import hypot, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from ablations.moderated import Mixture
from ablations.scales import Logarithm, LogOdds
from ablations.transformed import Transformed

DIFFERENCE = np.array([1.0, -1.0])


def transformed(a: float, b: float, *, error: float = 0.2, share: float = 0.5, shift: float = 0.0) -> Transformed:
    """Arms of these errors; the difference of their means is larger by `shift`."""
    arm, versus = float(logit(a)), float(logit(b))
    mixture = Mixture(arm - versus, np.ones(1), np.array([error]), np.array([8.0]))
    means, shares = np.array([arm, versus]), np.array([share, 1 - share])
    return Transformed(a - b + shift, DIFFERENCE, means, shares, LogOdds(10_000), mixture)


errors = st.floats(0.002, 0.9)
settings = {
    "a": errors,
    "b": errors,
    "error": st.floats(0.01, 2),
    "share": st.floats(0.01, 0.99),
    "shift": st.floats(-0.02, 0.05),
}


def test_an_interval_is_that_of_zou_and_donner() -> None:
    found = transformed(0.3, 0.1, share=0.8)
    half = found.mixture.half_width(0.95)
    arm, versus = half * 0.8**0.5, half * 0.2**0.5
    up = hypot(expit(found.means[0] + arm) - 0.3, 0.1 - expit(found.means[1] - versus))
    down = hypot(0.3 - expit(found.means[0] - arm), expit(found.means[1] + versus) - 0.1)
    assert found.interval(0.95) == pytest.approx((0.2 - down, 0.2 + up))


def test_the_spread_of_an_arm_counts_at_its_own_level() -> None:
    """Log odds that are as uncertain are errors that are more uncertain near 50 % than near 1 %."""
    high, low = transformed(0.5, 0.01, share=0.99), transformed(0.5, 0.01, share=0.01)
    (a, b), (c, d) = high.interval(0.95), low.interval(0.95)
    assert b - a > 5 * (d - c)


@given(**settings, confidence=st.sampled_from([0.8, 0.95, 0.999]))
def test_an_interval_excludes_0_exactly_if_the_test_claims_a_difference(confidence: float, **given: float) -> None:
    found = transformed(**given)
    low, high = found.interval(confidence)
    if (found.delta > 0) == (found.mixture.delta > 0) and abs(found.mixture.p - (1 - confidence)) > 1e-9:
        assert (low > 0 or high < 0) == (found.mixture.p < 1 - confidence)
    assert -1 <= low <= found.delta <= high <= 1


@given(**settings, margin=st.floats(0.001, 0.9))
def test_p_for_a_margin_is_the_level_at_which_the_interval_ends_at_it(margin: float, **given: float) -> None:
    found = transformed(**given)
    p = found.above(margin)
    assert 0 <= p <= 1
    if 1e-6 < p < 0.4:
        ends = [found.end(found.mixture.half_width(1 - 2 * level), 1) for level in (p * 1.01, p * 0.99)]
        assert ends[0] <= margin + 1e-9
        assert ends[1] >= margin - 1e-9


@given(**settings, margin=st.floats(0.001, 0.5))
def test_which_arm_is_named_first_swaps_the_two_margins(margin: float, **given: float) -> None:
    found = transformed(**given)
    mixture = Mixture(-found.mixture.delta, found.mixture.weights, found.mixture.errors, found.mixture.degrees)
    other = Transformed(-found.delta, DIFFERENCE, found.means[::-1], found.shares[::-1], found.scale, mixture)
    assert other.below(-margin) == pytest.approx(found.above(margin), abs=1e-6)


def test_a_margin_that_no_difference_reaches_is_never_reached() -> None:
    assert transformed(0.5, 0.4).above(0.99) == 0
    assert transformed(0.5, 0.4).below(-0.99) == 0


def test_wide_spreads_widen_the_interval_between_the_means_and_the_typical_values() -> None:
    plain, wide = transformed(0.1, 0.1), transformed(0.1, 0.1, shift=0.05)
    (low, high), (_, higher) = plain.interval(0.95), wide.interval(0.95)
    assert wide.interval(0.95)[0] == pytest.approx(low)
    assert higher == pytest.approx(high + 0.05)


def test_differences_of_positive_numbers_have_no_largest_value() -> None:
    mixture = Mixture(log(2), np.ones(1), np.array([0.1]), np.array([20.0]))
    means = np.log([200.0, 100.0])
    found = Transformed(100.0, DIFFERENCE, means, np.full(2, 0.5), Logarithm(), mixture)
    low, high = found.interval(0.95)
    assert 0 < low < 100 < high
    assert found.above(1e6) < 1e-6


@given(**settings, half=st.floats(0.01, 3))
def test_the_half_width_to_an_end_is_the_one_that_it_belongs_to(half: float, **given: float) -> None:
    found = transformed(**given)
    for side in (-1, 1):
        if abs(end := found.end(half, side)) < 0.999:
            assert found.end(found.half_width_to(end, side), side) == pytest.approx(end, abs=1e-9)


@given(**settings, confidence=st.sampled_from([0.8, 0.95]), cells=st.integers(2, 4))
def test_an_effect_over_several_cells_is_claimed_like_the_difference_of_two(
    confidence: float, cells: int, **given: float
) -> None:
    two = transformed(**given)
    effect = Transformed(
        two.delta,
        np.repeat(DIFFERENCE, cells) / cells,
        np.repeat(two.means, cells),
        np.repeat(two.shares, cells) / cells,
        two.scale,
        two.mixture,
    )
    assert effect.middle == pytest.approx(two.middle)
    low, high = effect.interval(confidence)
    claimed = [min(each) > 0 or max(each) < 0 for each in ((low, high), two.interval(confidence))]
    assert low <= two.delta <= high
    assert claimed[0] == claimed[1]
