"""Checks of arms that set the recipe or the data: all arms of a study are compared on the same test images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_space.errors import InputError

if TYPE_CHECKING:
    from search.data import DataSet, Images
    from search.trials.recipe import Recipe

OF_PIXELS = ("size", "channels")
"""Fields of the data that change the pixels of images, and not which images they are."""


def check_variant(study: DataSet, images: Images, data: DataSet, found: Images) -> None:
    """Check that the data of an arm have the test images of the study, perhaps with other pixels, and its classes.

    Errors are then shares of the same images, and can be compared within a seed and image by image.

    Args:
        study, images: the data of the study.
        data, found: the data of the arm.

    Raises:
        InputError: they have other classes or other test images; the message names the fields that differ.
    """
    if data == study:
        return
    same_pixels = all(getattr(study, name) == getattr(data, name) for name in OF_PIXELS)
    same = images.names == found.names and images.test.y.equal(found.test.y)
    if same_pixels:
        same = same and images.digests["test"] == found.digests["test"]
    if not same:
        before, now = study.to_dict(), data.to_dict()
        differ = ", ".join(f"data.{name}: {value}" for name, value in now.items() if value != before.get(name))
        raise InputError(
            f"{differ}: changes the test images or the classes ({_counted(images)} in the study, {_counted(found)} "
            "here), and errors on different images are not compared within a study; to repeat it on several data sets, "
            "give the study data: [a, b]"
        )


def check_batch(recipe: Recipe, images: int) -> None:
    """Raise InputError if a batch is larger than the training set: the recipe would train with smaller ones.

    Args:
        images: the number of training images.
    """
    if recipe.batch_size > images:
        raise InputError(
            f"recipe.batch_size: {recipe.batch_size} is more than the {images} training images; give at most {images}"
        )


def _counted(images: Images) -> str:
    return f"{len(images.test)} test images in {images.classes} classes"
