"""A figure of confusions shows what is beside the diagonal, on one scale for all arms."""

from __future__ import annotations

import numpy as np
import pytest
from drawings import texts_in
from matplotlib.colors import to_rgb

from reports.figures.confusion import Matrix, confusion
from reports.figures.palette import colour

CLASSES = ["cat", "dog", "a name that is long"]


def rates(most: float) -> np.ndarray:
    return np.array([[1 - most, most, 0], [most / 2, 1 - most / 2, 0], [np.nan, np.nan, np.nan]])


def test_each_arm_has_a_panel_with_its_greatest_confusion() -> None:
    figure = confusion([Matrix("base", 0, rates(0.4)), Matrix("$x$", 1, rates(0.1))], CLASSES)
    found = texts_in(figure)
    assert {"base: up to 40.0 %", "$x$: up to 10.0 %", "true class", "predicted class", "cat"} <= set(found)
    assert len(figure.axes) == 2


def test_the_diagonal_and_classes_without_images_are_empty_and_the_scale_is_shared() -> None:
    figure = confusion([Matrix("base", 0, rates(0.4)), Matrix("other", 3, rates(0.1))], CLASSES)
    one, other = (np.asarray(axes.images[0].get_array()) for axes in figure.axes)
    assert np.diag(one[..., 3]).tolist() == [0, 0, 0]
    assert one[2, :, 3].tolist() == [0, 0, 0]
    assert (one[0, 1, 3], one[1, 0, 3]) == (1.0, 0.5)
    assert other[0, 1, 3] == pytest.approx(0.25)
    assert tuple(other[0, 1, :3]) == to_rgb(colour(3))


def test_arms_without_confusions_are_drawn() -> None:
    figure = confusion([Matrix("base", 0, np.eye(3))], CLASSES)
    assert "base: up to 0.0 %" in texts_in(figure)


@pytest.mark.parametrize("arms", [1, 3, 4, 6])
def test_any_number_of_arms_fits(arms: int) -> None:
    assert len(confusion([Matrix(f"arm {at}", at, rates(0.1)) for at in range(arms)], CLASSES).axes) == arms


def test_the_given_rates_stay_unchanged() -> None:
    given = rates(0.4)
    confusion([Matrix("base", 0, given)], CLASSES)
    np.testing.assert_array_equal(given, rates(0.4))
