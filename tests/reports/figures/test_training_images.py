"""The grid of training images has a place for each image, whatever its size."""

from __future__ import annotations

import numpy as np

from reports.figures.training_images import training_images


def test_each_image_has_a_place_of_its_own() -> None:
    random = np.random.default_rng(0)
    rows = {"as they are": random.random((4, 6, 8, 3)), "epoch 1": random.random((4, 3, 4, 3))}
    [axes] = training_images(rows, ["cat", "dog", "dog", "$x$"]).axes
    assert len(axes.images) == 8
    for shown, image in zip(axes.images, [image for row in rows.values() for image in row], strict=True):
        assert np.array_equal(np.asarray(shown.get_array()), image)
        left, right, bottom, top = shown.get_extent()
        assert (round(right - left, 6), round(bottom - top, 6)) == (1, 0.75)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog", "dog", "$x$"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["as they are", "epoch 1"]


def test_grey_images_are_grey() -> None:
    [axes] = training_images({"as they are": np.full((1, 2, 2, 1), 0.5)}, ["0"]).axes
    assert np.array_equal(np.asarray(axes.images[0].get_array()), np.full((2, 2, 3), 0.5))
