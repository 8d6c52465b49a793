"""A strip shows pictures of any number of channels and any range, each with its title."""

from __future__ import annotations

import numpy as np
import pytest
from drawings import texts_in
from numpy.typing import NDArray

from reports.figures.embedding import svg
from reports.figures.strip import PER_ROW, SIDE, Shown, as_pictures, strip


def image(side: int = 8) -> NDArray[np.uint8]:
    return np.arange(side * side * 3, dtype=np.uint8).reshape(side, side, 3)


@pytest.mark.parametrize("number", [1, PER_ROW, 24])
def test_every_picture_has_its_title(number: int) -> None:
    figure = strip([Shown(image(), f"{at}: cat") for at in range(number)])
    assert [text for text in texts_in(figure) if ": cat" in text] == [f"{at}: cat" for at in range(number)]
    assert len(figure.axes) == number


def test_a_title_cannot_be_markup() -> None:
    assert "$x$" in " ".join(texts_in(strip([Shown(image(), "$x$")])))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_of_any_channels_become_pictures(channels: int) -> None:
    x = np.zeros((2, channels, 5, 6), np.float32)
    x[1, 0] = -3.5
    found = as_pictures(x)
    assert (found.shape, found.dtype) == ((2, 5, 6, 3), np.uint8)
    assert found.max() == 255
    assert found.min() == 0


def test_the_range_is_one_for_all_pictures() -> None:
    found = as_pictures(np.array([4, 8, 16], np.uint8).reshape(3, 1, 1, 1))
    assert found[:, 0, 0, 0].tolist() == [0, 85, 255]
    assert as_pictures(np.full((1, 1, 2, 2), 7, np.uint8)).max() == 0


def test_large_pictures_are_made_smaller() -> None:
    figure = strip([Shown(np.zeros((300, 200, 3), np.uint8), "tall")])
    height, width, _ = figure.axes[0].images[0].get_array().shape
    assert (height, width) == (SIDE, SIDE * 2 // 3)


def test_a_page_contains_the_pictures_themselves() -> None:
    found = svg(strip([Shown(image(), "1: cat"), Shown(image(), "2: dog")]), prefix="f1")
    assert found.count('href="data:image/png;base64,') == 2
    assert found == svg(strip([Shown(image(), "1: cat"), Shown(image(), "2: dog")]), prefix="f1")
