"""Which trials of an arm failed to train: those after a gap in its errors."""

from __future__ import annotations

import pytest

from ablations.outcomes import failed_to_train


@pytest.mark.parametrize(
    ("errors", "failed"),
    [
        ([], []),
        ([0.01, 0.012, 0.011], []),
        ([0.01, 0.9, 0.012], [1]),
        ([0.01, 0.35, 0.9], [1, 2]),
        ([0.9, 0.35, 0.3], [0, 1, 2]),
        ([0.19, 0.21, 0.24], []),
        ([0.0, 0.5], [1]),
        ([0.05, 0.09, 0.17, 0.3], []),
        ([0.05, 0.15], []),
        ([0.2, 0.2], []),
    ],
)
def test_trials_that_failed_are_those_after_a_gap_above_the_bound(errors: list[float], failed: list[int]) -> None:
    assert failed_to_train(dict(enumerate(errors)), fail_above=0.2) == failed
