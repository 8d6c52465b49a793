"""Paired differences: published examples, independent computations, missing results, and laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from ablations.effects import (
    MAX_SIGN_FLIP_PAIRS,
    MIN_BOOTSTRAP_PAIRS,
    TESTS,
    Difference,
    Values,
    difference,
    equivalent,
    no_worse,
    pairs_needed,
    probability_smaller,
)
from resnet_space import InputError

# `sleep` of R: extra hours of sleep with two drugs. Student 1908, Biometrika 6, 1-25.
FIRST = dict(enumerate([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]))
SECOND = dict(enumerate([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]))
# Darwin's maize: crossed minus self-fertilised, in eighths of an inch. Fisher 1935, The Design of Experiments, § 17.
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
# Hamilton depression scale before and after, as in R's ?wilcox.test. Hollander and Wolfe 1973, p. 29.
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]

quick = settings(deadline=None)
errors = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
pairs = st.lists(st.tuples(errors, errors), min_size=2, max_size=8)


def compare(arm: Values, other: Values, **options: object) -> Difference:
    return difference(arm, other, planned=sorted({*arm, *other}), **options)  # type: ignore[arg-type]


def of(*differences: float, **options: object) -> Difference:
    return compare(dict(enumerate(differences)), dict.fromkeys(range(len(differences)), 0.0), **options)


def sides(both: list[tuple[float, float]]) -> tuple[dict[int, float], dict[int, float]]:
    return {seed: one for seed, (one, _) in enumerate(both)}, {seed: other for seed, (_, other) in enumerate(both)}


def all_signs(d: np.ndarray) -> np.ndarray:
    return np.multiply(list(product([1, -1], repeat=len(d))), d)


# Published examples


def test_students_sleep_data_have_the_published_interval_and_p() -> None:
    found = compare(FIRST, SECOND)
    assert found.n == 10
    assert found.delta == pytest.approx(-1.58)
    assert found.low == pytest.approx(-2.4598858, abs=5e-8)
    assert found.high == pytest.approx(-0.7001142, abs=5e-8)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.why_no_p == ""


def test_fishers_count_of_signs_for_darwins_maize_is_1726_of_32768() -> None:
    assert of(*MAIZE, test="sign_flip").p == 1726 / 2**15
    assert of(*MAIZE).p == pytest.approx(0.0497, abs=5e-5)


def test_the_p_of_wilcoxon_equals_that_of_r_for_its_example() -> None:
    found = compare(dict(enumerate(BEFORE)), dict(enumerate(AFTER)), test="wilcoxon")
    assert found.p == pytest.approx(2 * 0.01953125)


def test_pairs_needed_is_the_number_of_r_rounded_up() -> None:
    assert TTestPower().solve_power(effect_size=1, alpha=0.05, power=0.9) == pytest.approx(12.58546, abs=5e-5)
    assert pairs_needed(1, 1, power=0.9) == 13


# Comparisons with independent computations


@quick
@given(st.lists(st.integers(-5, 5), min_size=3, max_size=8).filter(any))
def test_wilcoxon_is_exact_with_ties(whole: list[int]) -> None:
    d = np.array([each for each in whole if each])
    ranks = stats.rankdata(np.abs(d))
    ways = np.where(all_signs(np.ones(len(d))) > 0, ranks, 0).sum(axis=1)
    seen = ranks[d > 0].sum()
    expected = min(1.0, 2 * min((ways <= seen).mean(), (ways >= seen).mean()))
    assert of(*(each / 10 for each in whole), test="wilcoxon").p == pytest.approx(expected)


@quick
@given(st.lists(st.integers(-9, 9), min_size=3, max_size=9))
def test_sign_flip_equals_the_enumeration_of_all_signs(whole: list[int]) -> None:
    expected = (np.abs(all_signs(np.array(whole)).sum(axis=1)) >= abs(sum(whole))).mean()
    assert of(*(each / 10 for each in whole), test="sign_flip").p == expected


def test_sign_flip_takes_many_pairs_and_reports_its_limit() -> None:
    assert of(*range(1, MAX_SIGN_FLIP_PAIRS + 1), test="sign_flip").p == pytest.approx(2.0 ** (1 - MAX_SIGN_FLIP_PAIRS))
    more = of(*range(1, MAX_SIGN_FLIP_PAIRS + 2), test="sign_flip")
    assert more.p is None
    assert more.why_no_p == "sign_flip takes at most 40 pairs, and there are 41"


@pytest.mark.parametrize("margin", [0.5, 1, 2.5])
def test_no_worse_and_equivalent_agree_with_scipy_and_statsmodels(margin: float) -> None:
    found = compare(FIRST, SECOND)
    first, second = np.array([*FIRST.values()]), np.array([*SECOND.values()])
    assert no_worse(found, margin) == pytest.approx(
        stats.ttest_1samp(first - second, margin, alternative="less").pvalue
    )
    assert equivalent(found, margin) == pytest.approx(ttost_paired(first, second, -margin, margin)[0])


def test_the_probability_of_a_smaller_result_is_that_of_mann_and_whitney() -> None:
    u = stats.mannwhitneyu(list(SECOND.values()), list(FIRST.values())).statistic
    assert probability_smaller(FIRST, SECOND) == pytest.approx(u / 100)
    assert probability_smaller({0: 0.1, 1: 0.9}, {0: 0.1}) == 0.25
    assert probability_smaller({}, FIRST) is None


def test_no_worse_is_one_sided_and_equivalent_is_two_sided() -> None:
    better = of(-0.050, -0.051, -0.049)
    assert (no_worse(better, 0.01) or 1) < 0.001
    assert (equivalent(better, 0.01) or 0) > 0.999


@pytest.mark.parametrize(("delta", "power"), [(0.3, 0.8), (0.8, 0.8), (1.5, 0.9), (4.0, 0.99)])
def test_pairs_needed_have_the_power_and_one_pair_less_does_not(delta: float, power: float) -> None:
    needed = pairs_needed(1, delta, power=power)
    assert needed is not None
    # One tail only: the other one is 0 here, and NaN in statsmodels for some cases.
    at = [TTestPower().power(delta, n, 0.025, alternative="larger") for n in (needed - 1, needed)]
    assert at[0] < power <= at[1]


def test_pairs_needed_do_not_depend_on_the_maximum() -> None:
    assert {pairs_needed(1, 1, most=most) for most in range(10, 1000, 13)} == {10}
    assert pairs_needed(1, -1) == 10
    assert pairs_needed(0.01, 5.0) == 3


def test_pairs_needed_is_none_above_the_maximum() -> None:
    assert pairs_needed(1, 1, most=9) is None
    assert pairs_needed(1, 0) is None
    assert pairs_needed(1, 1, most=2) is None


def test_the_effect_size_of_hedges_is_unbiased() -> None:
    rng = np.random.default_rng(0)
    d = rng.normal(1.0, 1.0, size=(1000, 4))
    raw = (d.mean(axis=1) / d.std(axis=1, ddof=1)).mean()
    mended = np.mean([of(*row).size or 0 for row in d])
    assert mended == pytest.approx(1.0, abs=0.07)
    assert raw > 1.3
    assert compare(FIRST, SECOND).size == pytest.approx(-1.58 / 1.229995 * (1 - 3 / 35), rel=2e-3)


def test_the_bootstrap_quantiles_are_expanded_by_t_and_by_the_spread_of_resamples() -> None:
    d = [0.013, 0.002, -0.004, 0.0171, 0.0085]
    every = np.array(list(product(d, repeat=5))).mean(axis=1)
    found = of(*d, confidence=0.5)
    # Φ(-√(5/4) * 0.7407), where Φ(-0.7407) is 0.229.
    assert (every <= (found.boot_low or 0)).mean() == pytest.approx(0.204, abs=0.012)
    assert (every >= (found.boot_high or 0)).mean() == pytest.approx(0.204, abs=0.012)


def test_the_bootstrap_interval_of_five_pairs_contains_the_truth_almost_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    found = [of(*row) for row in rng.normal(0.02, 0.005, (400, 5))]
    held = np.mean([(each.boot_low or 0) <= 0.02 <= (each.boot_high or 0) for each in found])
    assert 0.89 < held < 0.97  # by plain percentiles 0.85


# Missing results


def test_only_seeds_of_both_arms_are_pairs_and_the_others_are_reported() -> None:
    found = difference({0: 0.2, 1: 0.3, 3: 0.9}, {3: 0.8, 1: 0.1, 2: 0.5}, planned=range(5))
    assert found.n == 2
    assert found.missing == (0, 2, 4)
    assert found.delta == pytest.approx(0.15)


def test_without_a_pair_there_is_no_result_and_with_one_pair_no_spread() -> None:
    none, one = of(), of(0.25)
    assert none == Difference(0, why_no_p="0 pairs of seeds; a test needs 3")
    assert one == replace(none, n=1, delta=0.25, why_no_p="1 pair of seeds; a test needs 3")


def test_two_pairs_have_an_interval_and_no_p() -> None:
    found = of(0.1, 0.2)
    assert found.low == pytest.approx(0.15 - 12.7062 * 0.05, abs=1e-5)
    assert found.p is None
    assert found.why_no_p == "2 pairs of seeds; a test needs 3"
    assert no_worse(found, 0.1) is equivalent(found, 0.1) is None
    assert found.size is None


@pytest.mark.parametrize("n", [2, MIN_BOOTSTRAP_PAIRS - 1, MIN_BOOTSTRAP_PAIRS])
def test_a_few_pairs_have_no_bootstrap(n: int) -> None:
    found = of(*(0.01 * number for number in range(n)))
    assert ((found.boot_low is None), (found.boot_high is None)) == (n < MIN_BOOTSTRAP_PAIRS,) * 2


@pytest.mark.parametrize("test", TESTS)
def test_arms_with_equal_results_have_p_1(test: str) -> None:
    found = compare(FIRST, FIRST, test=test)
    assert (found.delta, found.std, found.low, found.high, found.p, found.size) == (0, 0, 0, 0, 1, None)
    assert (found.boot_low, found.boot_high) == (0, 0)


def test_equal_differences_have_no_t_and_the_reason_is_given() -> None:
    # 0.1 + 0.2 - 0.2 is not 0.1 in floating point.
    base = {seed: 0.1 * seed for seed in range(6)}
    found = compare({seed: error + 0.1 for seed, error in base.items()}, base)
    assert (found.delta, found.std, found.low, found.high) == (0.1, 0, 0.1, 0.1)
    assert (found.boot_low, found.boot_high) == (0.1, 0.1)
    assert found.p is None
    assert found.why_no_p == "all 6 differences are 0.1: without spread there is no t"
    assert no_worse(found, 0.2) is equivalent(found, 0.2) is None
    assert found.size is None


def test_a_difference_that_is_0_up_to_rounding_is_0_without_a_sign() -> None:
    found = compare({0: 0.3}, {0: 0.1 + 0.2})
    assert str(found.delta) == "0.0"


@pytest.mark.parametrize("test", ["wilcoxon", "sign_flip"])
def test_equal_differences_have_the_smallest_p_of_an_exact_test(test: str) -> None:
    base = {seed: 0.1 * seed for seed in range(6)}
    assert compare({seed: error + 0.1 for seed, error in base.items()}, base, test=test).p == 2.0**-5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: of(0.1, test="wilcoxn"), "test: unknown test 'wilcoxn'; did you mean 'wilcoxon'? allowed: paired_t,"),
        (lambda: of(0.1, confidence=95), "confidence: 95; must be between 0 and 1"),
        (lambda: of(0.1, float("nan")), "seed 1: nan is not a finite number"),
        (lambda: no_worse(of(0.1, 0.2, 0.3), 0), "margin: 0; must be above 0"),
        (lambda: equivalent(of(0.1), float("inf")), "margin: inf; must be above 0"),
        (lambda: pairs_needed(0, 1), "std: 0; must be above 0"),
        (lambda: pairs_needed(1, float("nan")), "delta: nan; must be a number"),
        (lambda: pairs_needed(1, 1, power=1), "power: 1; must be between 0 and 1"),
    ],
)
def test_wrong_input_is_refused_in_words(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as error:
        wrong()
    assert message in str(error.value)


# Laws


def turned(found: Difference) -> Difference:
    """The difference of the same arms, exchanged."""

    def minus(value: float | None) -> float | None:
        return None if value is None else -value

    return replace(
        found,
        delta=minus(found.delta),
        low=minus(found.high),
        high=minus(found.low),
        boot_low=minus(found.boot_high),
        boot_high=minus(found.boot_low),
        size=minus(found.size),
        why_no_p="",
    )


@quick
@given(pairs, st.sampled_from(list(TESTS)))
def test_exchanging_the_arms_changes_all_signs(both: list[tuple[float, float]], test: str) -> None:
    arm, other = sides(both)
    assert turned(compare(arm, other, test=test)) == replace(compare(other, arm, test=test), why_no_p="")


@quick
@given(pairs, st.randoms(use_true_random=False))
def test_the_numbers_of_the_seeds_do_not_matter(both: list[tuple[float, float]], random: object) -> None:
    shuffled = list(both)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    before, behind = compare(*sides(both)), compare(*sides(shuffled))
    assert (behind.boot_low, behind.boot_high) == (before.boot_low, before.boot_high)
    # Sums in another order are rounded differently.
    for name in ("delta", "std", "low", "high", "p", "size"):
        assert getattr(behind, name) == pytest.approx(getattr(before, name), abs=1e-12)


@quick
@given(pairs, errors)
def test_a_shift_of_one_arm_shifts_the_difference_and_a_shift_of_both_changes_nothing(
    both: list[tuple[float, float]], by: float
) -> None:
    found = compare(*sides(both))
    shifted = compare(*sides([(one + by, other) for one, other in both]))
    assert found.delta is not None
    assert found.low is not None
    assert found.high is not None
    assert (shifted.delta, shifted.low, shifted.high, shifted.std) == pytest.approx(
        (found.delta + by, found.low + by, found.high + by, found.std), abs=1e-11
    )
    same = compare(*sides([(one + by, other + by) for one, other in both]))
    assert (same.delta, same.std, same.boot_low) == pytest.approx((found.delta, found.std, found.boot_low), abs=1e-11)
    assert same.p == pytest.approx(found.p, abs=1e-9)


@quick
@given(pairs, st.sampled_from(list(TESTS)), st.sampled_from([0.5, 2, 100]))
def test_a_change_of_units_scales_the_difference_and_keeps_p_and_size(
    both: list[tuple[float, float]], test: str, unit: float
) -> None:
    found = compare(*sides(both), test=test)
    scaled = compare(*sides([(one * unit, other * unit) for one, other in both]), test=test)
    for name in ("delta", "std", "low", "high", "boot_low", "boot_high"):
        here, there = getattr(found, name), getattr(scaled, name)
        assert there == (None if here is None else pytest.approx(here * unit, abs=1e-9))
    assert scaled.p == pytest.approx(found.p, abs=1e-9)
    assert scaled.size == pytest.approx(found.size, abs=1e-6)


@quick
@given(pairs)
def test_intervals_contain_the_difference_and_grow_with_the_confidence(both: list[tuple[float, float]]) -> None:
    small, large = compare(*sides(both), confidence=0.9), compare(*sides(both), confidence=0.99)
    for low, high in (("low", "high"), ("boot_low", "boot_high")):
        if getattr(small, low) is not None:
            bounds = [getattr(large, low), getattr(small, low), small.delta, getattr(small, high), getattr(large, high)]
            assert all(one <= other + 1e-12 for one, other in pairwise(bounds))


@quick
@given(pairs)
def test_the_interval_excludes_zero_exactly_if_p_is_small(both: list[tuple[float, float]]) -> None:
    found = compare(*sides(both))
    if found.p is not None and abs(found.p - 0.05) > 1e-9 and found.std:
        assert found.low is not None
        assert found.high is not None
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
