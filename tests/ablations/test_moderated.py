"""Arms compared by shared variances: Smyth's estimate where arms are many, safe where they are few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from ablations.moderated import Mixture, Moderated, _log_density
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
    assert one.beyond(0.2) == pytest.approx(stats.t.sf(1, 4))
    assert one.beyond(-0.2) == pytest.approx(stats.t.cdf(1, 4))


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


def with_variances(variances: np.ndarray, seeds: int) -> dict[str, dict[int, float]]:
    """Arms whose log odds have exactly these variances over seeds, around an error of 10 %."""
    pattern = np.linspace(-1, 1, seeds) / np.linspace(-1, 1, seeds).std(ddof=1)
    return {
        str(place): by_seed(special.expit(special.logit(0.1) + np.sqrt(variance) * pattern).tolist())
        for place, variance in enumerate(variances)
    }


@pytest.mark.parametrize(("scale", "degrees"), [(0.05, 4.0), (0.2, 10.0)])
def test_variances_that_are_quantiles_of_smyths_distribution_give_its_parameters(scale: float, degrees: float) -> None:
    quantiles = scale * stats.f.ppf((np.arange(500) + 0.5) / 500, 3, degrees)
    moments = smyth(quantiles, 3)
    assert moments == pytest.approx((scale, degrees), rel=0.1), "what limma's squeezeVar finds"
    found = Moderated(with_variances(quantiles, 4), LogOdds(10**9))
    d = found._weights @ (found._degrees[:, 0] - 3)
    assert d == pytest.approx(moments[1], rel=0.3)
    middle = np.argsort(quantiles)[50:450]
    shrunk = found._weights @ found._shrunk
    expected = (moments[1] * moments[0] + 3 * quantiles) / (moments[1] + 3)
    assert shrunk[middle] == pytest.approx(expected[middle], rel=0.1)


def test_the_density_of_variances_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    v, scale, df, d = (
        rng.uniform(0.01, 2, 6),
        rng.uniform(0.1, 1, (9, 6)),
        np.arange(1.0, 7),
        rng.uniform(0.5, 99, (9, 1)),
    )
    expected = stats.f.logpdf(v / scale, df, d) - np.log(scale)
    assert _log_density(v, scale, df, d) == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 2**32), st.floats(0.01, 1 - 1e-7), st.floats(0.5, 300))
def test_a_half_width_leaves_out_exactly_the_rest(seed: int, confidence: float, degrees: float) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(20))
    found = Mixture(0.3, weights, np.exp(rng.normal(-2, 1.5, 20)), degrees * np.exp(rng.normal(0, 0.5, 20)))
    half = found.half_width(confidence)
    assert 2 * found.beyond(half) == pytest.approx(1 - confidence, rel=1e-6)


def test_the_share_of_an_arm_is_that_of_its_variance() -> None:
    arms = drawn(np.random.default_rng(3), 6, 4, 2)
    found = Moderated(arms, LogOdds(10**9))
    assert found.shares({"0": 1, "1": -1}).sum() == pytest.approx(1)
    wide = max(arms, key=lambda name: found.variances[int(name)])
    narrow = min(arms, key=lambda name: found.variances[int(name)])
    assert found.shares({wide: 1, narrow: -1})[0] > 0.5
    assert found.shares({wide: 1, narrow: -10})[0] < found.shares({wide: 1, narrow: -1})[0]
