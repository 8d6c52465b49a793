"""Dominance and hypervolume: the laws that hold for them, and numbers computed by hand or published."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_space.errors import InputError
from search.fronts.dominance import (
    check_reference,
    crowding,
    dominated_by,
    hypervolume,
    hypervolume_trace,
    knee,
    nondominated,
    ranks,
)

quick = settings(deadline=None)
COORDINATES = st.integers(0, 6).map(float)
"""Few values, so that ties are frequent."""


@st.composite
def points(draw: st.DrawFn, least: int = 0, most: int = 25) -> Any:
    m = draw(st.integers(1, 4))
    rows = draw(st.lists(st.tuples(*[COORDINATES] * m), min_size=least, max_size=most))
    return np.array(rows, dtype=float).reshape(len(rows), m)


def dominates(a: Any, b: Any) -> bool:
    return bool((a <= b).all() and (a < b).any())


@quick
@given(points())
def test_a_point_is_kept_exactly_if_no_other_dominates_it(values: Any) -> None:
    expected = [not any(dominates(other, point) for other in values) for point in values]
    assert nondominated(values).tolist() == expected


@quick
@given(points(least=1))
def test_a_point_off_the_front_is_dominated_by_a_member_of_it(values: Any) -> None:
    on = nondominated(values)
    assert all(any(dominates(member, point) for member in values[on]) for point in values[~on])


@quick
@given(points(), st.data())
def test_the_order_of_points_changes_nothing(values: Any, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(len(values)))), dtype=int)
    corner = [7.0] * values.shape[1]
    assert (nondominated(values)[order] == nondominated(values[order])).all()
    assert (ranks(values)[order] == ranks(values[order])).all()
    assert hypervolume(values[order], corner) == pytest.approx(hypervolume(values, corner))


def test_equal_points_are_all_kept() -> None:
    assert nondominated([[1, 2], [2, 1], [1, 2], [2, 2]]).tolist() == [True, True, True, False]


def test_with_one_objective_all_minima_are_kept() -> None:
    assert nondominated([[2], [1], [3], [1]]).tolist() == [False, True, False, True]


@pytest.mark.parametrize("values", [[[1.0, np.nan]], [1.0, 2.0], np.empty((2, 0))])
def test_points_that_cannot_be_compared_are_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=r"NaN cannot be compared|points must be rows"):
        nondominated(values)


@quick
@given(points(), st.data())
def test_dominated_by_finds_points_with_another_at_or_below_them(values: Any, data: st.DataObject) -> None:
    picked = (
        data.draw(st.lists(st.integers(0, 30).filter(lambda i: i < len(values)), max_size=5)) if len(values) else []
    )
    others = values[picked]
    assert dominated_by(values, others).tolist() == [any((o <= v).all() for o in others) for v in values]


@quick
@given(points())
def test_ranks_number_the_fronts_from_the_first(values: Any) -> None:
    found = ranks(values)
    left = np.arange(len(values))
    rank = 0
    while len(left):
        first = nondominated(values[left])
        assert (found[left[first]] == rank).all()
        left, rank = left[~first], rank + 1
    assert found.max(initial=-1) == rank - 1


def test_crowding_equals_the_papers_algorithm() -> None:
    """One front: (0, 10), (1, 6), (4, 3), (10, 0); both objectives go from 0 to 10."""
    found = crowding([[4, 3], [0, 10], [10, 0], [1, 6]])
    assert found.tolist() == pytest.approx([9 / 10 + 6 / 10, np.inf, np.inf, 4 / 10 + 7 / 10])


def test_crowding_is_within_a_points_own_front() -> None:
    first = [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]
    second = [[10.0, 12.0], [10.5, 10.5], [12.0, 10.0]]
    assert crowding(first + second).tolist() == [np.inf, 2.0, np.inf, np.inf, 2.0, np.inf]


def test_an_objective_that_is_constant_on_a_front_adds_no_distance() -> None:
    flat = [[0.0, 5.0, 4.0], [1.0, 5.0, 3.0], [2.0, 5.0, 2.0], [4.0, 5.0, 0.0]]
    assert crowding(flat).tolist() == [np.inf, 1.0, 1.5, np.inf]


def test_the_knee_is_farthest_below_the_line_between_the_ends() -> None:
    # Normalised: (0, 1), (0.1, 0.3), (0.5, 0.2), (1, 0): sums 1, 0.4, 0.7, 1. In raw units the third would win.
    assert knee([[0, 1e9], [10, 3e8], [50, 2e8], [100, 0]]) == 1


def test_a_dominated_point_neither_is_the_knee_nor_moves_it() -> None:
    assert knee([[1000, 1000], [0, 10], [2, 2], [10, 0]]) == 2


@quick
@given(points(least=1))
def test_the_knee_is_on_the_front(values: Any) -> None:
    assert nondominated(values)[knee(values)]


def test_there_is_no_knee_without_points() -> None:
    with pytest.raises(ValueError, match="no knee"):
        knee(np.empty((0, 2)))


@pytest.mark.parametrize(
    ("values", "reference", "volume"),
    [
        ([[2.0]], [5.0], 3.0),
        # A staircase: 4*1 + 3*2 + 1*1 of unit squares below (5, 5).
        ([[1, 4], [2, 2], [4, 1]], [5, 5], 4 * 1 + 3 * 2 + 1 * 1),
        # Three 1x2x2 boxes that overlap: by inclusion and exclusion 3*4 - 3*2 + 1.
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [2, 2, 2], 3 * 4 - 3 * 2 + 1),
        # A point that equals the reference in one objective adds no volume.
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [1, 1, 1], 0.0),
        # Points beyond the reference, and rows without a value.
        ([[1, 1], [6, 0], [0, 5], [np.nan, 0]], [5, 5], 16.0),
        (np.empty((0, 2)), [1, 1], 0.0),
    ],
)
def test_hypervolumes_equal_those_computed_by_hand(values: Any, reference: list[float], volume: float) -> None:
    assert hypervolume(values, reference) == pytest.approx(volume)


def test_the_hypervolume_of_points_on_a_line_equals_its_formula() -> None:
    """n evenly spaced points on x + y = 1 below (1, 1), with both ends: (n - 2) / (n - 1) / 2."""
    x = np.linspace(0, 1, 11)
    assert hypervolume(np.column_stack([x, 1 - x]), [1, 1]) == pytest.approx(0.5 * 9 / 10)


@quick
@given(points(), st.integers(1, 8))
def test_the_trace_never_falls_and_is_the_hypervolume_of_the_points_so_far(values: Any, reference: int) -> None:
    corner = [float(reference)] * values.shape[1]
    trace = hypervolume_trace(values, corner)
    assert trace.shape == (len(values),)
    assert (np.diff(trace) >= 0).all()
    for i, volume in enumerate(trace):
        assert volume == pytest.approx(hypervolume(values[: i + 1], corner))


def test_a_trial_without_a_value_adds_nothing_to_the_trace() -> None:
    values = [[3, 3], [np.nan, np.nan], [1, 4], [2, np.nan]]
    assert hypervolume_trace(values, [5, 5]).tolist() == [4.0, 4.0, 6.0, 6.0]


@quick
@given(points(least=1), st.data())
def test_a_dominated_point_adds_nothing(values: Any, data: st.DataObject) -> None:
    worse = values[data.draw(st.integers(0, len(values) - 1))] + data.draw(st.integers(0, 3))
    more = np.vstack([values, worse])
    corner = [10.0] * values.shape[1]
    assert hypervolume(more, corner) == pytest.approx(hypervolume(values, corner))
    assert (nondominated(more)[:-1] == nondominated(values)).all()


def test_a_reference_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        hypervolume([[1, 1]], [2, 2, 2])


def test_a_reference_inside_the_front_is_refused_with_the_name_of_the_objective() -> None:
    values = [[0.05, 9e7], [0.10, 4e7], [0.90, 9e9]]
    with pytest.raises(InputError) as error:
        check_reference(values, [0.2, 8e7], ["error", "macs"])
    assert str(error.value) == (
        "reference.macs: 80000000 is a reference point inside the front, which goes up to macs = 90000000; "
        "give a larger value"
    )


def test_a_reference_at_the_end_of_the_front_counts_as_inside() -> None:
    with pytest.raises(InputError, match=r"^reference\.error: 0\.1 is a reference point inside the front"):
        check_reference([[0.05, 9e7], [0.10, 4e7]], [0.1, 1e9], ["error", "macs"])


def test_dominated_points_can_be_beyond_the_reference() -> None:
    check_reference([[0.05, 9e7], [0.90, 9e9]], [0.2, 1e8], ["error", "macs"])
    check_reference(np.empty((0, 2)), [0.2, 1e8], ["error", "macs"])


@pytest.mark.parametrize("reference", [[0.2], [0.2, np.nan]])
def test_a_reference_has_one_number_per_objective(reference: list[float]) -> None:
    with pytest.raises(InputError, match=r"^reference: needs a number for each of error, macs, not \[0\.2"):
        check_reference([[0.05, 9e7]], reference, ["error", "macs"])
