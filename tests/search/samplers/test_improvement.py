"""The hypervolume improvement of points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.fronts.dominance import hypervolume
from search.samplers.improvement import improvement

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
