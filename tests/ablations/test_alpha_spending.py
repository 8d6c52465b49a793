"""Alpha spending: the share of each analysis, and the rates of false claims with one analysis and with many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablations.adjustments import holm
from ablations.alpha_spending import interval_confidence, sequential_p, shares, spent
from ablations.effects import difference
from resnet_space import InputError

analyses = st.integers(1, 40)
ps = st.lists(st.none() | st.floats(0, 1), max_size=8)


def test_the_final_analysis_has_half_of_alpha_and_the_others_have_equal_parts() -> None:
    assert shares(1) == (1,)
    assert shares(2) == (0.5, 0.5)
    assert shares(3) == (0.25, 0.25, 0.5)
    assert shares(8) == pytest.approx((*[1 / 14] * 7, 0.5))


@given(analyses)
def test_all_analyses_together_spend_exactly_alpha(number: int) -> None:
    weights = shares(number)
    assert len(weights) == number
    assert min(weights) > 0
    assert sum(weights) == pytest.approx(1)
    assert [spent(done, number) for done in range(number + 1)] == pytest.approx([0, *np.cumsum(weights)])
    assert spent(number, number) == 1


@pytest.mark.parametrize(
    ("found", "p"),
    [
        ([], None),
        ([None, None], None),
        ([0.01], 0.04),
        ([0.01, 0.9], 0.04),
        ([0.01, 0.9, 0.01], 0.02),
        ([None, 0.02], 0.08),
        ([0.5, 0.6, 0.7], 1),
        ([0.0], 0),
    ],
)
def test_a_sequential_p_is_the_smallest_p_divided_by_its_share(found: list[float | None], p: float | None) -> None:
    assert sequential_p(found, 3) == (None if p is None else pytest.approx(p))


def test_the_p_of_a_single_analysis_is_unchanged() -> None:
    assert sequential_p([0.037], 1) == 0.037


@given(ps, st.floats(0, 1))
def test_another_analysis_never_increases_a_sequential_p(found: list[float | None], another: float) -> None:
    before, behind = sequential_p(found, 9), sequential_p([*found, another], 9)
    assert behind is not None
    assert before is None or behind <= before
    assert behind >= min(another, 1 if before is None else before)
    assert sequential_p([*found, None], 9) == before


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.001, 0.5))
def test_a_sequential_p_is_at_most_alpha_if_an_analysis_is_within_its_share_of_alpha(
    found: list[float], alpha: float
) -> None:
    within = any(p / weight <= alpha for p, weight in zip(found, shares(6), strict=False))
    assert ((sequential_p(found, 6) or 0) <= alpha) == within


def test_the_error_rates_of_all_intervals_add_up_to_one_minus_the_confidence() -> None:
    assert interval_confidence(1, 1) == pytest.approx(0.95)
    assert interval_confidence(1, 3) == pytest.approx(0.9875)
    assert interval_confidence(3, 3, 0.9) == pytest.approx(0.95)
    assert sum(1 - interval_confidence(analysis, 8, 0.9) for analysis in range(1, 9)) == pytest.approx(0.1)


@pytest.mark.parametrize("analysis", [1, 4])
def test_the_interval_of_an_analysis_excludes_zero_exactly_if_it_claims(analysis: int) -> None:
    rng = np.random.default_rng(0)
    claims = []
    for d in rng.normal(2.5, 1, (100, 5)):
        arm, other = dict(enumerate(d.tolist())), dict.fromkeys(range(5), 0.0)
        found = difference(arm, other, planned=range(5), confidence=interval_confidence(analysis, 4))
        assert found.p is not None
        assert found.low is not None
        claims.append(found.p <= 0.05 * shares(4)[analysis - 1])
        assert claims[-1] == (found.low >= 0)
    assert len(set(claims)) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: shares(0), "analyses: 0; must be at least 1"),
        (lambda: sequential_p([0.1, 0.2], 1), "analyses: 2 of 1; must be between 0 and 1"),
        (lambda: sequential_p([0.1, 1.2], 2), "p: 1.2; must be between 0 and 1"),
        (lambda: sequential_p([float("nan")], 2), "p: nan; must be between 0 and 1"),
        (lambda: spent(3, 2), "analyses: 3 of 2; must be between 0 and 2"),
        (lambda: interval_confidence(0, 2), "analyses: 0 of 2; must be between 1 and 2"),
        (lambda: interval_confidence(1, 2, 95), "confidence: 95; must be between 0 and 1"),
    ],
)
def test_wrong_input_is_refused_in_words(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as error:
        wrong()
    assert message in str(error.value)


# Error rates of intervals and tests: one analysis


def t_intervals(d: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Low, high and p of each row of differences, as `difference` computes them, for many rows at once."""
    n = d.shape[1]
    mean, error = d.mean(axis=1), d.std(axis=1, ddof=1) / np.sqrt(n)
    half = stats.t.ppf(0.975, n - 1) * error
    return mean - half, mean + half, 2 * stats.t.sf(np.abs(mean / error), n - 1)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_95_percent_t_interval_contains_the_truth_in_94_to_96_percent(n: int) -> None:
    rng = np.random.default_rng(n)
    arm, other = rng.normal(0.08, 0.004, (40_000, n)), rng.normal(0.06, 0.003, (40_000, n))
    low, high, p = t_intervals(arm - other)
    assert 0.94 < ((low <= 0.02) & (high >= 0.02)).mean() < 0.96
    for row in range(20):
        found = difference(dict(enumerate(arm[row])), dict(enumerate(other[row])), planned=range(n))
        assert (found.low, found.high, found.p) == pytest.approx((low[row], high[row], p[row]), rel=1e-6)


def test_five_arms_equal_to_the_baseline_are_rarely_claimed_to_differ() -> None:
    rng = np.random.default_rng(0)
    repeats, n = 4000, 5
    # The effect of a seed on all arms, plus noise; all arms are compared with one baseline.
    found = rng.normal(0, 0.003, (repeats, 1, n)) + rng.normal(0.06, 0.003, (repeats, 6, n))
    d = (found[:, 1:] - found[:, :1]).reshape(-1, n)
    ps = t_intervals(d)[2].reshape(repeats, 5)
    for row in range(5):
        one = difference(dict(enumerate(d[row])), dict.fromkeys(range(n), 0.0), planned=range(n))
        assert one.p == pytest.approx(ps[0, row], rel=1e-6)
    claimed = np.mean([min(p for p in holm(row) if p is not None) <= 0.05 for row in ps.tolist()])
    assert claimed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)
    assert (ps.min(axis=1) <= 0.05).mean() > 0.12, "without the adjustment this test would not pass"


# Many analyses, with 3, 4, ..., 10 seeds, of simulated arms and a baseline.

FIRST, MOST = 3, 10
ANALYSES = MOST - FIRST + 1


def made_up(repeats: int, arms: int, apart: float, seed: int) -> np.ndarray:
    """Differences from one baseline, (repeats, arms, seeds), with this mean and standard deviation 1."""
    rng = np.random.default_rng(seed)
    errors = rng.normal(0, np.sqrt(0.5), (repeats, 1 + arms, MOST)) + rng.normal(0, 1, (repeats, 1, MOST))
    return errors[:, 1:] - errors[:, :1] + apart


def looked_at(d: np.ndarray) -> np.ndarray:
    """(..., analyses): the p-value of the paired t test with the seeds of each analysis."""
    found = []
    for n in range(FIRST, MOST + 1):
        seen = d[..., :n]
        t = seen.mean(axis=-1) / (seen.std(axis=-1, ddof=1) / np.sqrt(n))
        found.append(2 * stats.t.sf(np.abs(t), n - 1))
    return np.stack(found, axis=-1)


def claims(found: np.ndarray, rule: Callable[[list[float], int], float | None]) -> tuple[bool, int]:
    """For one family, (arms, analyses): whether anything is claimed, and in which analysis."""
    for analysis in range(1, ANALYSES + 1):
        adjusted = holm([rule(each[:analysis], ANALYSES) for each in found.tolist()])
        if any(p is not None and p <= 0.05 for p in adjusted):
            return True, analysis
    return False, ANALYSES


def test_stopping_at_the_first_claim_gives_false_claims_in_at_most_five_percent_of_studies() -> None:
    repeats = 2000
    found = looked_at(made_up(repeats, 5, 0.0, seed=0))
    misled = np.mean([claims(study, sequential_p)[0] for study in found])
    assert misled <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)
    naive = np.mean([claims(study, lambda ps, _: ps[-1])[0] for study in found])
    assert naive > 0.1, "without alpha spending this test would not pass"


def test_the_simulated_p_values_equal_those_of_difference() -> None:
    d = made_up(1, 2, 0.5, seed=1)
    found = looked_at(d)
    for arm in range(2):
        for n in range(FIRST, MOST + 1):
            values = dict(enumerate(d[0, arm, :n].tolist()))
            one = difference(values, dict.fromkeys(values, 0.0), planned=range(n))
            assert one.p == pytest.approx(found[0, arm, n - FIRST], rel=1e-6)


def test_a_large_difference_is_claimed_with_few_seeds_and_a_medium_one_with_all_seeds() -> None:
    large = [claims(study, sequential_p) for study in looked_at(made_up(300, 1, 4.0, seed=2))]
    assert all(claimed for claimed, _ in large)
    assert np.mean([analysis for _, analysis in large]) < 3.5
    middling = [claims(study, sequential_p)[0] for study in looked_at(made_up(2000, 1, 1.0, seed=3))]
    every_seed_at_once = (looked_at(made_up(2000, 1, 1.0, seed=3))[:, 0, -1] <= 0.05).mean()
    assert np.mean(middling) > 0.85 * every_seed_at_once


def test_the_interval_at_the_stopping_analysis_contains_the_truth() -> None:
    d = made_up(2000, 1, 1.0, seed=4)[:, 0]
    held = []
    for row, found in zip(d, looked_at(d), strict=True):
        _, analysis = claims(found[None], sequential_p)
        seen = row[: FIRST + analysis - 1]
        bound = stats.t.isf((1 - interval_confidence(analysis, ANALYSES)) / 2, len(seen) - 1)
        held.append(abs(seen.mean() - 1.0) <= bound * seen.std(ddof=1) / np.sqrt(len(seen)))
    assert np.mean(held) >= 0.95
