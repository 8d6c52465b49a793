"""Ranks over data sets: the example of Demšar 2006, its table of critical values, and laws."""

from __future__ import annotations

from fractions import Fraction
from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablations.across.ranks import Ranks, critical_difference, datasets_needed, friedman, rank_arms
from resnet_space.errors import InputError

ARMS = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")
DEMSAR = {
    "adult (sick)": (4, 3, 2, 1),
    "breast cancer": (1, 2, 3, 4),
    "breast cancer wisconsin": (4, 1, 2, 3),
    "cmc": (4, 1, 3, 2),
    "ionosphere": (4, 2, 3, 1),
    "iris": (1, 2.5, 4, 2.5),
    "liver disorders": (3, 2, 4, 1),
    "lung cancer": (2.5, 2.5, 4, 1),
    "lymphography": (4, 3, 2, 1),
    "mushroom": (2.5, 2.5, 2.5, 2.5),
    "primary tumor": (4, 2.5, 1, 2.5),
    "rheum": (3, 2, 4, 1),
    "voting": (4, 1, 2, 3),
    "wine": (3, 1, 4, 2),
}
"""Demšar 2006, table 6: the ranks of four forms of C4.5 on 14 data sets."""


def example(alpha: float = 0.05) -> Ranks:
    return rank_arms(ARMS, DEMSAR, alpha=alpha)


def test_average_ranks_are_those_of_the_paper() -> None:
    assert [round(rank, 3) for rank in example().average] == [3.143, 2.000, 2.893, 1.964]


def test_friedmans_statistic_is_that_of_the_paper_except_for_its_ties() -> None:
    """The paper has χ² = 9.28 and F = 3.69, without a correction for ties: 6 + 6 + 60 + 6 of 840."""
    found = example()
    uncorrected = found.chi2 * (1 - (3 * 6 + 60) / (14 * 4 * 15))
    assert round(uncorrected, 2) == 9.28
    assert round(13 * uncorrected / (14 * 3 - uncorrected), 2) == 3.69
    assert found.f == pytest.approx(13 * found.chi2 / (14 * 3 - found.chi2))
    # 0.0134 of a million permutations; F gives 0.0116.
    assert found.p == pytest.approx(0.0134, abs=0.0011)
    assert float(stats.f.sf(found.f, 3, 39)) == pytest.approx(0.0116, abs=0.0001)


@pytest.mark.parametrize(
    ("alpha", "published"),
    [
        (0.05, [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]),
        (0.10, [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]),
    ],
)
def test_critical_values_are_those_of_the_papers_table_5(alpha: float, published: list[float]) -> None:
    ours = [critical_difference(k, 1, alpha) / sqrt(k * (k + 1) / 6) for k in range(2, 11)]
    assert ours == pytest.approx(published, abs=0.0011)


def test_at_5_percent_no_arm_of_the_paper_is_separated_and_at_10_percent_the_first_is() -> None:
    assert round(example().critical_difference, 2) == 1.25
    assert example().groups == [(3, 1, 2, 0)]
    assert round(example(0.1).critical_difference, 2) == 1.12
    assert example(0.1).groups == [(3, 1, 2), (2, 0)]


def test_with_few_data_sets_the_p_value_is_exact() -> None:
    same = rank_arms("abc", {"one": (1, 2, 3), "two": (10, 20, 30), "three": (0.1, 0.2, 0.3)})
    assert same.p == pytest.approx(1 / 36)
    assert (same.smallest_p, same.f, same.chi2) == (Fraction(1, 36), inf, pytest.approx(6))
    assert same.can_test
    # Of 6 orders relative to that of the first data set, the reverse one alone has less.
    assert rank_arms("abc", {"one": (1, 2, 3), "two": (1, 3, 2)}).p == pytest.approx(3 / 6)
    assert rank_arms("abc", {"one": (1, 2, 3), "two": (3, 2, 1)}).p == 1


def test_two_data_sets_show_nothing_about_three_arms() -> None:
    found = rank_arms("abc", {"one": (1, 2, 3), "two": (1, 2, 3)})
    assert found.p == pytest.approx(1 / 6)
    assert (found.can_test, found.can_separate, found.resolved) == (False, False, False)
    assert datasets_needed(3) == 3


def test_two_data_sets_can_test_four_arms_and_separate_none() -> None:
    found = rank_arms("abcd", {"one": (1, 2, 3, 4), "two": (1, 2, 3, 4)})
    assert (found.can_test, found.resolved, found.can_separate) == (True, True, False)
    assert found.groups == [(0, 1, 2, 3)]


def test_arms_that_are_equal_everywhere_do_not_differ() -> None:
    found = rank_arms("abc", dict.fromkeys(("one", "two", "three"), (0.5, 0.5, 0.5)))
    assert (found.chi2, found.f, found.p) == (0, 0, 1)
    assert found.average == [2, 2, 2]


@pytest.mark.parametrize(
    ("arms", "errors", "message"),
    [
        ("ab", {"one": (1, 2), "two": (1, 2)}, "2 arms on 2 data sets; ranks need at least 3 and 2"),
        ("abc", {"one": (1, 2, 3)}, "3 arms on 1 data sets"),
        ("abc", {"one": (1, 2, 3), "two": (1, 2)}, "data set two: needs a number for each of 3 arms"),
        ("abc", {"one": (1, 2, 3), "two": (1, 2, float("nan"))}, "data set two: needs a number"),
    ],
)
def test_tables_without_an_answer_are_refused(arms: str, errors: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        rank_arms(arms, errors)


TABLES = st.integers(3, 6).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=k, max_size=k), min_size=2, max_size=6)
)


@given(TABLES)
def test_ranks_sum_up_and_groups_are_runs_of_arms_within_the_critical_difference(rows: list[list[float]]) -> None:
    k = len(rows[0])
    found = rank_arms("abcdef"[:k], {str(at): row for at, row in enumerate(rows)})
    rank, width = found.average, found.critical_difference
    assert sum(rank) == pytest.approx(k * (k + 1) / 2)
    assert 0 < found.p <= 1
    joined = {frozenset((a, b)) for group in found.groups for a in group for b in group if a != b}
    near = {frozenset((a, b)) for a in range(k) for b in range(k) if a != b and abs(rank[a] - rank[b]) < width}
    assert joined == near
    assert not any(set(one) < set(other) for one in found.groups for other in found.groups)


@given(TABLES, st.randoms(use_true_random=False))
def test_neither_the_order_of_arms_nor_of_data_sets_nor_a_rescaled_data_set_matters(
    rows: list[list[float]], random: object
) -> None:
    k = len(rows[0])
    columns, places = list(range(k)), list(range(len(rows)))
    random.shuffle(columns)  # type: ignore[attr-defined]
    random.shuffle(places)  # type: ignore[attr-defined]
    first = rank_arms("abcdef"[:k], {str(at): row for at, row in enumerate(rows)})
    again = rank_arms(
        "abcdef"[:k], {str(at): [3 * rows[place][column] ** 3 for column in columns] for at, place in enumerate(places)}
    )
    assert [first.average[column] for column in columns] == pytest.approx(again.average)
    assert first.chi2 == pytest.approx(again.chi2)
    assert first.p == pytest.approx(again.p)


@given(st.integers(3, 5), st.integers(2, 3), st.integers(0, 1000))
def test_no_results_have_a_smaller_p_value_than_the_smallest_one(k: int, n: int, seed: int) -> None:
    ranks = np.array([np.random.default_rng(seed + row).permutation(k) + 1.0 for row in range(n)])
    found = rank_arms("abcde"[:k], {str(at): row.tolist() for at, row in enumerate(ranks)})
    assert found.smallest_p <= found.p + 1e-12
    assert found.chi2 == pytest.approx(friedman(ranks))
