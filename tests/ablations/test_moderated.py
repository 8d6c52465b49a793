"""Arms compared by shared variances: Smyth's estimate where arms are many, safe where they are few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from ablations.moderated import Mixture, Moderated
from ablations.scales import LogOdds
from resnet_space.errors import InputError

IMAGES = 1000


def by_seed(errors: list[float]) -> dict[int, float]:
    return dict(enumerate(errors))


def drawn(
    rng: np.random.Generator, arms: int, seeds: int, degrees: float, spread: float = 0.15
) -> dict[str, dict[int, float]]:
    """Equal arms of 10 % error, their variances scaled inverse chi-square."""
    spreads = np.sqrt(spread**2 * degrees / rng.chisquare(degrees, arms))
    errors = special.expit(special.logit(0.1) + spreads[:, None] * rng.standard_normal((arms, seeds)))
    return {str(arm): by_seed(row.tolist()) for arm, row in enumerate(errors)}


def smyth(variances: np.ndarray, df: float) -> tuple[float, float]:
    """s0² and d0 by the moments of log variances: Smyth 2004, section 6.2."""
    from scipy.optimize import brentq

    e = np.log(variances) - special.digamma(df / 2) + np.log(df / 2)
    excess = e.var(ddof=1) - special.polygamma(1, df / 2)
    half = brentq(lambda x: special.polygamma(1, x) - excess, 1e-3, 1e5)
    return float(np.exp(e.mean() + special.digamma(half) - np.log(half))), 2 * half


def test_with_many_arms_the_shrunk_variances_are_those_of_smyth() -> None:
    arms = drawn(np.random.default_rng(0), arms=2000, seeds=4, degrees=8)
    found = Moderated(arms, LogOdds(10**9))
    scale, degrees = smyth(found.variances, 3)
    expected = (degrees * scale + 3 * found.variances) / (degrees + 3)
    mean = found._weights @ (found._regular * found._shrunk + (1 - found._regular) * found.variances)
    typical = np.argsort(found.variances)[200:1800]
    assert mean[typical] == pytest.approx(expected[typical], rel=0.1)


def test_two_seeds_of_ten_arms_resolve_what_a_paired_test_cannot() -> None:
    rng = np.random.default_rng(1)
    arms = {f"equal {place}": by_seed((0.011 + 0.002 * rng.standard_normal(2)).tolist()) for place in range(9)}
    arms["worse"] = by_seed([0.30, 0.28])
    found = Moderated(arms, LogOdds(359)).difference("worse", "equal 0")
    assert found.p < 0.005
    paired = stats.ttest_rel(list(arms["worse"].values()), list(arms["equal 0"].values())).pvalue
    assert paired > 0.01


def test_an_arm_that_collapses_with_one_seed_is_not_resolved_by_the_variances_of_others() -> None:
    arms = {str(place): by_seed([0.01 + 0.0005 * place, 0.012]) for place in range(9)}
    arms["collapsed"] = by_seed([0.01, 0.9])
    shared = Moderated(arms, LogOdds(359))
    assert shared.difference("collapsed", "0").p > 0.1
    without = Moderated({name: values for name, values in arms.items() if name != "collapsed"}, LogOdds(359))
    assert shared.difference("1", "0").half_width(0.95) == pytest.approx(
        without.difference("1", "0").half_width(0.95), rel=0.25
    ), "and it lends its spread to none"


def test_errors_without_any_spread_have_an_interval_of_the_width_of_sampling() -> None:
    arms = {"base": by_seed([0.0111] * 3), "bad": by_seed([0.9025] * 3), "alike": by_seed([0.0139] * 3)}
    found = Moderated(arms, LogOdds(359))
    assert found.difference("bad", "base").p < 1e-3
    alike = found.difference("alike", "base")
    assert alike.p > 0.3
    sampling = np.sqrt(2 / (359 * 0.0125 * 0.9875) / 3)
    assert alike.half_width(0.95) > 1.96 * 0.9 * sampling


def test_a_mixture_of_one_is_students_t() -> None:
    one = Mixture(delta=0.5, weights=np.ones(1), errors=np.array([0.2]), degrees=np.array([4.0]))
    assert one.p == pytest.approx(2 * stats.t.sf(2.5, 4))
    assert one.half_width(0.95) == pytest.approx(0.2 * stats.t.isf(0.025, 4))
    assert one.above(0.7) == pytest.approx(stats.t.sf(1, 4))
    assert one.below(0.7) == pytest.approx(stats.t.cdf(1, 4))


@given(st.integers(0, 2**32), st.integers(2, 6), st.sampled_from([0.8, 0.95, 0.99]))
def test_an_interval_leaves_0_out_exactly_where_p_is_small(seed: int, arms: int, confidence: float) -> None:
    found = Moderated(drawn(np.random.default_rng(seed), arms, 3, 4), LogOdds(IMAGES)).difference("1", "0")
    assert (abs(found.delta) > found.half_width(confidence)) == (found.p < 1 - confidence)


@given(st.integers(0, 2**32))
def test_which_arm_is_named_first_changes_the_sign_alone(seed: int) -> None:
    shared = Moderated(drawn(np.random.default_rng(seed), 4, 3, 4), LogOdds(IMAGES))
    one, other = shared.difference("1", "0"), shared.difference("0", "1")
    assert one.delta == -other.delta
    assert one.p == pytest.approx(other.p)


@pytest.mark.parametrize("error", [float("nan"), -0.1, 1.5])
def test_a_value_that_is_no_error_is_refused_by_arm(error: float) -> None:
    with pytest.raises(InputError, match=r"arm a: .* is not an error"):
        Moderated({"a": {0: 0.1, 1: error}}, LogOdds(IMAGES))


def test_an_arm_with_one_seed_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="unknown arm with results of two seeds 'b'"):
        Moderated({"a": {0: 0.1, 1: 0.2}, "b": {0: 0.1}}, LogOdds(IMAGES)).difference("b", "a")
