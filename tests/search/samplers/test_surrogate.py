"""The features and the trees of local search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from resnet_space.axes import Choices, Range
from search.samplers.surrogate import absent, encoded, grow


def test_trees_agree_on_what_they_have_seen_and_differ_elsewhere() -> None:
    features = np.array([[0.0], [0.2], [0.8], [1.0]])
    predicted = grow(features, np.array([[1.0], [2.0], [5.0], [9.0]]), seed=0)(np.array([[0.2], [0.5]]))
    assert predicted[:, 0, 0] == pytest.approx(2.0)
    assert predicted[:, 1, 0].std() > 0.5


@pytest.mark.parametrize(
    ("axis", "value", "expected"),
    [
        (Choices.of([4, 1, 2]), 2, [0.5]),
        (Choices.of(["a", "b", "c"]), "b", [0, 1, 0]),
        (Choices.of([True, False]), True, [1, 0]),
        (Range(low=1, high=8, integer=True, log=True), 2, [1 / 3]),
        (Range(low=1, high=100, log=True), 10.0, [0.5]),
        (Range(low=-6, high=0), -1.5, [0.75]),
        (Range(low=2, high=2), 2.0, [0]),
    ],
)
def test_a_value_is_encoded_by_its_place(axis: Any, value: Any, expected: list[float]) -> None:
    assert encoded(axis, value) == pytest.approx(expected)
    assert len(absent(axis)) == len(expected)
    assert absent(axis) not in [encoded(axis, value) for value in axis.values()]
