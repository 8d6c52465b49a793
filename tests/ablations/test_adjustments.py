"""Adjusted p-values of a family, and the levels that agree with them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablations.adjustments import ADJUSTMENTS, holm, holm_levels
from resnet_space import InputError

quick = settings(deadline=None)


def test_the_p_values_of_holm_equal_those_computed_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@quick
@given(st.lists(st.none() | st.floats(0, 1), max_size=7))
def test_holm_is_the_closure_of_bonferroni_and_treats_a_missing_p_as_the_largest(ps: list[float | None]) -> None:
    # The adjusted p is the largest Bonferroni p over all families with the comparison. Marcus, Peritz, Gabriel 1976.
    whole = [1.0 if p is None else p for p in ps]
    families = [each for size in range(1, len(ps) + 1) for each in combinations(range(len(ps)), size)]
    for place, adjusted in enumerate(holm(ps)):
        largest = max(min(1.0, len(each) * min(whole[at] for at in each)) for each in families if place in each)
        assert adjusted == (None if ps[place] is None else pytest.approx(largest))


def test_missing_data_do_not_make_other_claims_easier() -> None:
    assert holm([0.02, 0.9, 0.9])[0] == holm([0.02, None, None])[0] == pytest.approx(0.06)


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_decreases_a_p_and_keeps_the_order(ps: list[float]) -> None:
    known = [each for each in holm(ps) if each is not None]
    assert all(p <= each <= 1 for p, each in zip(ps, known, strict=True))
    order = np.argsort(ps)
    assert (np.diff(np.array(known)[order]) >= 0).all()


@quick
@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_a_p_is_below_the_level_of_its_comparison_exactly_if_the_adjusted_p_is_below_alpha(
    ps: list[float | None], alpha: float
) -> None:
    for adjustment in ADJUSTMENTS.values():
        for p, adjusted, level in zip(ps, adjustment.adjusted(ps), adjustment.levels(ps, alpha), strict=True):
            if p is not None and adjusted is not None and abs(p - level) > 1e-12:
                assert (p <= level) == (adjusted <= alpha)


def test_the_levels_of_holm_are_those_of_its_steps_up_to_the_first_comparison_without_a_claim() -> None:
    assert holm_levels([0.2, 0.001, 0.015, 0.9], 0.05) == pytest.approx([0.025, 0.0125, 0.05 / 3, 0.025])
    assert holm_levels([None, 0.001], 0.05) == pytest.approx([0.05, 0.025])


@pytest.mark.parametrize("p", [1.5, float("nan")])
def test_a_number_that_is_no_probability_is_refused(p: float) -> None:
    with pytest.raises(InputError, match=f"p: {p}; must be between 0 and 1"):
        holm([0.1, p])
