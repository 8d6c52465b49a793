"""The hypervolume improvement of points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.fronts.dominance import hypervolume
from search.samplers.improvement import improvement, improvements

numbers = st.floats(0, 1, width=16)


@pytest.mark.parametrize("objectives", [1, 2, 3])
@given(data=st.data())
def test_an_improvement_is_what_a_point_adds_to_the_hypervolume(objectives: int, data: Any) -> None:
    point = st.tuples(*[numbers] * objectives)
    front = np.array(data.draw(st.lists(point, max_size=6)), dtype=float).reshape(-1, objectives)
    new = np.array(data.draw(st.lists(point, min_size=1, max_size=4)), dtype=float)
    corner = np.array(data.draw(point), dtype=float)
    gains = improvement(front, new[None], corner)
    assert gains.shape == (1, len(new))
    expected = [hypervolume(np.vstack([front, p]), corner) - hypervolume(front, corner) for p in new]
    assert gains[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("objectives", [1, 2])
def test_each_row_of_points_has_its_own_front(objectives: int) -> None:
    rng = np.random.default_rng(0)
    fronts, points = rng.random((5, 4, objectives)), rng.random((5, 3, objectives))
    corner = np.ones(objectives)
    found = improvements(fronts, points, corner)
    assert found.shape == (5, 3)
    assert found[2] == pytest.approx(improvement(fronts[2], points[2:3], corner)[0])


def test_with_three_objectives_some_rows_are_enough() -> None:
    rng = np.random.default_rng(0)
    assert improvements(rng.random((64, 4, 3)), rng.random((64, 2, 3)), np.ones(3)).shape == (8, 2)
