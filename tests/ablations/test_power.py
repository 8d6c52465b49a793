"""The power of a test before the run is the share of simulated studies in which the test itself makes the claim."""

from __future__ import annotations

from math import isfinite

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from ablations import effects, power
from ablations.comparisons import TESTS
from ablations.expected import Expected, from_table
from ablations.moderated import Moderated
from ablations.outcomes import Outcomes
from ablations.power import POWERS, paired_t, sign_flip, wilcoxon
from search.measures.catalogue import MEASURES

TEST_ERROR = MEASURES["test_error"]
DIGITS, CIFAR = from_table("digits", TEST_ERROR, 359), from_table("cifar10", TEST_ERROR, 10_000)
WIDE = Expected(error=0.1, spread=0.3, images=10_000, source="seeds differ by more than samples of images")


def share_of_claims(
    test: str, expected: Expected, *, arms: int, seeds: int, level: float, question: str, size: float, studies: int
) -> float:
    """The share of studies in which the study's own test claims it, of errors that are normal on the log-odds scale."""
    draws = np.random.default_rng(12)
    errors = np.full(arms, expected.error)
    errors[1] += size if question == "difference" else 0
    middle = expected.scale.forward(errors)
    std = np.sqrt([expected.variance(error) for error in errors])
    claims = 0
    for _ in range(studies):
        drawn = expected.scale.backward(middle[:, None] + std[:, None] * draws.standard_normal((arms, seeds)))
        values = {str(arm): dict(enumerate(row.tolist())) for arm, row in enumerate(drawn)}
        found = TESTS[test].compare(Outcomes(values, {arm: {} for arm in values}, expected.scale))
        p = found.difference("1", "0").p if question == "difference" else getattr(found, question)("1", "0", size)
        claims += p is not None and p <= level
    return claims / studies


CASES = [
    # A few seeds, where the spread of the half-widths counts; errors whose spread is that of sampling.
    ("moderated", DIGITS, 4, 3, 0.0125, "difference", 0.04),
    ("moderated", DIGITS, 3, 2, 0.05, "difference", 0.06),
    ("moderated", CIFAR, 8, 5, 0.005, "difference", 0.006),
    ("moderated", WIDE, 4, 4, 0.01, "difference", 0.06),
    ("moderated", WIDE, 4, 5, 0.025, "no_worse", 0.04),
    ("moderated", CIFAR, 4, 5, 0.025, "equivalent", 0.005),
    ("paired_t", CIFAR, 2, 6, 0.05, "difference", 0.005),
    ("paired_t", CIFAR, 2, 6, 0.05, "no_worse", 0.003),
    ("paired_t", CIFAR, 2, 6, 0.05, "equivalent", 0.004),
    ("wilcoxon", CIFAR, 2, 8, 0.01, "difference", 0.006),
    ("sign_flip", CIFAR, 2, 9, 0.01, "difference", 0.004),
]


@pytest.mark.parametrize(("test", "expected", "arms", "seeds", "level", "question", "size"), CASES)
def test_the_power_is_the_share_of_simulated_studies_with_a_claim(
    test: str, expected: Expected, arms: int, seeds: int, level: float, question: str, size: float
) -> None:
    forecast = getattr(POWERS[test].of(expected, expected.error, arms), question)(seeds, level, size)
    share = share_of_claims(
        test, expected, arms=arms, seeds=seeds, level=level, question=question, size=size, studies=400
    )
    assert 0.1 < forecast < 0.95, "the case says something"
    assert forecast == pytest.approx(share, abs=0.05)


def test_every_test_of_a_study_has_a_power() -> None:
    assert list(POWERS) == list(TESTS)


@given(st.integers(3, 30), st.floats(0.1, 1.2), st.floats(0.001, 0.2))
def test_the_power_of_the_paired_t_test_is_that_of_statsmodels(n: int, effect: float, level: float) -> None:
    known = TTestPower().power(effect_size=effect, nobs=n, alpha=level, alternative="two-sided")
    assume(isfinite(known))  # scipy's noncentral t, which it uses, is NaN in its tails
    assert paired_t(n, level, effect) == pytest.approx(known, abs=1e-6)


def test_the_seeds_of_a_paired_t_test_are_those_that_a_report_names() -> None:
    n = effects.pairs_needed(0.01, 0.01, alpha=0.005)
    assert n is not None
    assert paired_t(n, 0.005, 1) >= power.POWER > paired_t(n - 1, 0.005, 1)


@pytest.mark.parametrize("test", ["wilcoxon", "sign_flip"])
def test_the_smallest_p_value_is_that_of_pairs_with_equal_signs(test: str) -> None:
    for n in (3, 5, 8):
        found = effects.TESTS[test](np.arange(1.0, n + 1))
        assert POWERS[test].smallest_p(n) == found == 2 ** (1 - n)
    assert POWERS["paired_t"].smallest_p(3) == 0


@pytest.mark.parametrize("claims", [wilcoxon, sign_flip])
def test_tests_of_signs_have_no_power_below_their_smallest_p_value(claims) -> None:
    assert claims(5, 0.0624, 1000) == 0
    assert claims(5, 0.0625, 1000) == 1


@pytest.mark.parametrize(("claims", "largest"), [(wilcoxon, 25), (sign_flip, 12)])
def test_the_formula_for_many_pairs_continues_the_simulation(
    claims, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = [claims(largest, 0.01, effect) for effect in (0.4, 0.7, 1)]
    monkeypatch.setitem(power.MAX_SIMULATED, claims.__name__, largest - 1)
    assert [claims(largest, 0.01, effect) for effect in (0.4, 0.7, 1)] == pytest.approx(simulated, abs=0.05)


def test_a_sign_flip_of_too_many_pairs_has_no_power() -> None:
    assert sign_flip(40, 0.05, 5) == pytest.approx(1)
    assert sign_flip(41, 0.05, 5) == 0


@pytest.mark.parametrize("test", POWERS)
def test_power_increases_with_the_difference_and_with_the_seeds(test: str) -> None:
    found = POWERS[test].of(CIFAR, CIFAR.error, 4)
    sizes = [found.difference(10, 0.01, size) for size in (0.001, 0.003, 0.005, 0.01, 0.5)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == pytest.approx(1)
    seeds = [found.difference(n, 0.01, 0.004) for n in (8, 12, 20, 40)]
    assert seeds == sorted(seeds)


@pytest.mark.parametrize("test", POWERS)
def test_arms_that_vary_together_are_easier_to_compare_in_pairs(test: str) -> None:
    together = Expected(CIFAR.error, CIFAR.spread, CIFAR.images, "made", correlation=0.8)
    alone = POWERS[test].of(CIFAR, CIFAR.error, 4).difference(10, 0.01, 0.003)
    assert POWERS[test].of(together, CIFAR.error, 4).difference(10, 0.01, 0.003) > alone


@pytest.mark.parametrize("test", POWERS)
def test_without_a_difference_the_claims_are_at_most_the_level(test: str) -> None:
    for seeds in (6, 10):
        assert POWERS[test].of(CIFAR, CIFAR.error, 4).difference(seeds, 0.05, 1e-9) <= 0.05 * 1.2


def test_half_widths_are_those_of_each_mixture() -> None:
    draws = np.random.default_rng(3)
    arms = {str(arm): dict(enumerate(draws.uniform(0.05, 0.15, 3).tolist())) for arm in range(6)}
    shared = Moderated(arms, CIFAR.scale)
    mixtures = [shared.difference("0", other) for other in ("1", "2", "3")]
    for confidence in (0.9, 0.99, 0.9999):
        known = [each.half_width(confidence) for each in mixtures]
        assert power._half_widths(mixtures, confidence) == pytest.approx(known, rel=power.TOLERANCE)


def test_simulated_noise_is_standard_normal_with_likely_variances_and_correlated_arms() -> None:
    noise = power._noise(500, 3, 4, 0.6)
    variances = noise.var(axis=2, ddof=1)
    assert variances.mean(axis=0) == pytest.approx(1, abs=0.01)
    assert (variances < stats.chi2.median(3) / 3).mean(axis=0) == pytest.approx(0.5, abs=0.001)
    assert noise.mean(axis=2).std() == pytest.approx(0.5, abs=0.05)
    assert np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1] == pytest.approx(0.6, abs=0.05)
