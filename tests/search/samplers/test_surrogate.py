"""The features and the trees of local search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from resnet_space.axes import Choices, Range
from search.samplers.surrogate import absent, censored, encoded, grow, spread


def test_trees_predict_what_they_have_seen_and_differ_elsewhere() -> None:
    features = np.linspace(0, 1, 30)[:, None]
    seen = features[abs(features[:, 0] - 0.5) > 0.2][:, None, 0]
    predicted = grow(seen, 10 * seen, seed=0)(np.array([[0.1], [0.5]]))
    assert predicted.mean(axis=0)[0] == pytest.approx(1.0, abs=0.5)
    assert predicted[:, 1, 0].std() > 2 * predicted[:, 0, 0].std()


def test_a_lucky_result_is_not_believed_by_every_tree() -> None:
    """Of two networks that are equal but for one axis that does nothing, one had luck."""
    features = np.array([[place, luck] for place in np.linspace(0, 1, 10) for luck in (0.0, 1.0)])
    goals = np.ones((20, 1))
    goals[9] = 0.0
    predicted = grow(features, goals, seed=0)(features[[9]])[:, 0, 0]
    assert 0.1 < np.mean(predicted > 0.25) < 0.9


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


def test_a_stopped_trial_is_worse_than_its_neighbours_and_not_than_all() -> None:
    features = np.linspace(0, 1, 21)[:, None]
    goals = 10 - 10 * features
    # The cheapest network has the largest error; a stopped one beside it, and one at the other end.
    goals[[1, 19]] = np.nan
    filled = censored(features, goals, seed=0)
    assert 9 < filled[1, 0] <= 10
    assert 0 <= filled[19, 0] < 2
    assert filled[[0, 2]] == pytest.approx(goals[[0, 2]])


def test_without_stopped_trials_nothing_is_filled() -> None:
    goals = np.arange(3.0)[:, None]
    assert censored(goals, goals, seed=0) is goals


def test_a_new_network_can_be_better_than_all_before_if_the_trees_disagree() -> None:
    goals = np.tile(np.array([[1.0, 1.0], [2.0, 1.0]]), (32, 1))[:, :, None]
    found = spread(goals)
    assert found.mean(axis=0) == pytest.approx(goals.mean(axis=0))
    assert found[:, 0].min() < goals[:, 0].min()
    # Where all agree, nothing is spread.
    assert found[:, 1] == pytest.approx(goals[:, 1])
