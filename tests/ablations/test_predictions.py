"""Numbers from predictions are those of their definitions: by class, by pair of networks, and by confidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from ablations.predictions import (
    ArmPredictions,
    calibration_error,
    calibration_errors,
    class_errors,
    confusion,
    log_losses,
    most_different,
    overlap,
    paired_errors,
)
from search.trials.predictions import Predictions

CLASSES = 4


def arm(predicted: Any, label: Any, *, seeds: tuple[int, ...] = (), loss: Any = None) -> ArmPredictions:
    predicted = np.atleast_2d(predicted)
    shape = predicted.shape
    losses = np.zeros(shape) if loss is None else np.broadcast_to(loss, shape)
    labels = np.broadcast_to(label, shape)
    return ArmPredictions(seeds or tuple(range(shape[0])), labels, predicted, losses, np.full(shape, 0.5))


@st.composite
def arms(draw: st.DrawFn) -> ArmPredictions:
    images, seeds = draw(st.integers(1, 20)), draw(st.integers(1, 4))
    whole = st.integers(0, CLASSES - 1)
    return arm(draw(arrays(int, (seeds, images), elements=whole)), draw(arrays(int, images, elements=whole)))


@given(arms())
def test_the_confusion_matrix_is_that_of_all_seeds(one: ArmPredictions) -> None:
    counts = confusion_matrix(one.label.ravel(), one.predicted.ravel(), labels=range(CLASSES))
    found = confusion(one, CLASSES)
    for true, row in enumerate(counts):
        if row.sum():
            assert found[true].tolist() == pytest.approx((row / row.sum()).tolist())
        else:
            assert np.isnan(found[true]).all()


@given(arms())
def test_the_errors_of_classes_are_what_is_beside_the_diagonal_and_average_to_the_error(one: ArmPredictions) -> None:
    errors = class_errors(one, CLASSES)
    np.testing.assert_allclose(errors, 1 - np.diag(confusion(one, CLASSES)), atol=1e-12)
    of_class = np.bincount(one.label.ravel(), minlength=CLASSES)
    assert (np.nan_to_num(errors) * of_class).sum() / of_class.sum() == pytest.approx(one.wrong.mean())


def test_pairs_are_of_the_seeds_that_both_arms_have() -> None:
    one = arm([[0, 1], [1, 1], [0, 0]], [0, 1], seeds=(0, 2, 3))
    other = arm([[1, 1], [0, 1]], [0, 1], seeds=(2, 7))
    assert paired_errors(one, other).tolist() == [[0, 0]]
    assert paired_errors(other, one).tolist() == [[0, 0]]
    assert paired_errors(one, arm([[0, 1]], [0, 1], seeds=(3,))).tolist() == [[0, 1]]
    assert paired_errors(one, arm([[0, 1]], [0, 1], seeds=(9,))).shape == (0, 2)


def test_networks_that_decide_alike_agree_completely() -> None:
    one = arm([[0, 1, 3], [0, 1, 3]], [0, 1, 2])
    found = overlap(one, one)
    assert found is not None
    assert (found.decisions, found.errors) == (1.0, 1.0)


def test_arms_are_compared_over_pairs_of_different_seeds() -> None:
    label = [0, 0, 0, 0]
    one = arm([[1, 0, 0, 0], [0, 1, 0, 0]], label)
    other = arm([[1, 0, 0, 0], [2, 0, 0, 0]], label)
    found = overlap(one, other)
    assert found is not None
    # Seed 0 with seed 1: 3 of 4 alike, 1 of 1 error shared; seed 1 with seed 0: 2 of 4, 0 of 2.
    assert found.decisions == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert found.errors == pytest.approx((1 + 0) / 2)


def test_one_network_has_nothing_to_agree_with_except_another_arms() -> None:
    one, other = arm([[0, 1]], [0, 0]), arm([[0, 1]], [0, 0])
    assert overlap(one, one) is None
    found = overlap(one, other)
    assert found is not None
    assert (found.decisions, found.errors) == (1.0, 1.0)


def test_networks_without_errors_share_none() -> None:
    one = arm([[0, 1], [0, 1]], [0, 1])
    found = overlap(one, one)
    assert found is not None
    assert (found.decisions, found.errors) == (1.0, None)


@given(arms(), arms())
def test_agreement_does_not_depend_on_the_order_of_the_arms(one: ArmPredictions, other: ArmPredictions) -> None:
    images = min(one.predicted.shape[1], other.predicted.shape[1])
    first, second = (arm(each.predicted[:, :images], one.label[0, :images]) for each in (one, other))
    there, back = overlap(first, second), overlap(second, first)
    assert there is not None
    assert back is not None
    assert there.decisions == pytest.approx(back.decisions)
    assert there.errors == pytest.approx(back.errors)


def test_the_log_loss_is_the_mean_over_images() -> None:
    found = log_losses(arm([[0, 1], [0, 1]], [0, 1], loss=[[0.5, 1.5], [0.0, 0.0]]))
    assert found.tolist() == [1.0, 0.0]


def test_probabilities_that_are_true_have_no_calibration_error() -> None:
    confidence = np.repeat([0.5, 0.75], 100)
    right = np.concatenate([np.arange(100) < 50, np.arange(100) < 75])
    assert calibration_error(confidence, right) == pytest.approx(0, abs=1e-12)


def test_the_calibration_error_is_the_mean_distance_over_bins() -> None:
    """A tenth of the images at confidence 1, of which half are right, and the others true: 0.1 * 0.5."""
    confidence = np.concatenate([np.full(90, 0.5), np.full(10, 1.0)])
    right = np.concatenate([np.arange(90) < 45, np.arange(10) < 5])
    assert calibration_error(confidence, right) == pytest.approx(0.05)


@given(arrays(float, st.integers(1, 40), elements=st.floats(0, 1)), st.integers(0, 99))
def test_the_calibration_error_is_at_least_the_distance_of_the_means(
    confidence: NDArray[np.float64], seed: int
) -> None:
    right = np.random.default_rng(seed).random(len(confidence)) < 0.5
    assert calibration_error(confidence, right) >= abs(right.mean() - confidence.mean()) - 1e-12
    assert calibration_error(confidence, right) <= 1


def test_each_seed_has_a_calibration_error() -> None:
    assert calibration_errors(arm([[0, 0], [0, 1]], [0, 1])).tolist() == pytest.approx([0.0, 0.5])


def test_images_are_ordered_by_how_much_arms_differ() -> None:
    label = [0, 0, 0, 0]
    one = arm([[0, 1, 0, 1], [0, 1, 0, 0]], label, loss=[[0.0, 1.0, 0.0, 1.0]])
    other = arm([[0, 0, 0, 0], [0, 0, 1, 0]], label)
    assert most_different([one, other], 24).tolist() == [1, 3, 2], "equal errors: the loss decides"
    assert most_different([one, other], 1).tolist() == [1]
    assert most_different([one], 24).tolist() == []
    assert most_different([], 24).tolist() == []


def test_seeds_are_stacked_in_order() -> None:
    def one(answer: int) -> Predictions:
        return Predictions("0" * 16, np.array([0]), np.array([answer]), np.zeros(1), np.ones(1))

    found = ArmPredictions.of({7: one(1), 3: one(0)})
    assert (found.seeds, found.predicted.tolist()) == ((3, 7), [[0], [1]])
    assert found.of_seeds([7]).tolist() == [[True]]
