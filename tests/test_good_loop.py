"""The good loop of the benchmarks trains as the textbook loop does, so that only their speed differs."""

from collections import Counter
from copy import deepcopy
from dataclasses import replace

import good_loop
import textbook
import torch
from torch.nn import functional as F

from search.data import Split
from search.trials.recipe import Recipe


def test_the_good_loop_takes_the_steps_of_the_textbook_loop(digits):
    # All images are one batch, so that their order does not matter.
    images = replace(digits, train=Split(digits.train.x[:48], digits.train.y[:48]))
    recipe = Recipe.of({"epochs": 4, "batch_size": 48, "lr": 0.05})
    torch.manual_seed(0)
    model = textbook.ResNet(8, width=0.25, channels=1)
    copied = deepcopy(model)
    expected = torch.tensor([*textbook.epochs(model, images, recipe, workers=0)])
    found = torch.tensor([*good_loop.epochs(copied, images, recipe)])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)
    assert found[-1, 0] < found[0, 0]
    test = textbook.loader(images.test, images, recipe, train=False, workers=0)
    assert good_loop.error(copied, *good_loop.prepared(images.test, images)) == textbook.error(model, test)


def test_an_epoch_of_the_good_loop_has_every_image_once_as_one_of_its_crops(digits):
    recipe = Recipe.of({"epochs": 1, "batch_size": 3, "augmentation": {"pad": 1, "flip": True}})
    some = Split(digits.train.x[:8], torch.arange(8))
    x, y = good_loop.prepared(some, digits, pad=1)
    seen = [pair for images, labels in good_loop.batches(x, y, recipe) for pair in zip(images, labels, strict=True)]
    assert sorted(int(label) for _, label in seen) == list(range(8))
    assert all(any(torch.equal(image, crop) for crop in crops(x[label])) for image, label in seen)


def test_the_good_loop_draws_every_crop_and_its_mirror_image():
    recipe = Recipe.of({"epochs": 1, "batch_size": 500, "augmentation": {"pad": 1, "flip": True}})
    torch.manual_seed(0)
    # Random pixels, so that all crops differ.
    x, y = torch.rand(1, 1, 10, 10).repeat(1000, 1, 1, 1), torch.zeros(1000, dtype=torch.int64)
    drawn = torch.cat([images for images, _ in good_loop.batches(x, y, recipe)])
    number = Counter(place for image in drawn for place, crop in enumerate(crops(x[0])) if torch.equal(image, crop))
    assert number.total() == 1000
    assert sorted(number) == list(range(18))


def crops(padded):
    """All 3 x 3 crops of an image with one more pixel on each side, and their mirror images."""
    height, width = padded.shape[1] - 2, padded.shape[2] - 2
    found = [padded[:, top : top + height, left : left + width] for top in range(3) for left in range(3)]
    return [*found, *(crop.flip(2) for crop in found)]


def test_images_are_normalised_as_torchvision_does(digits):
    x, y = good_loop.prepared(digits.validation, digits)
    recipe = Recipe.of({"epochs": 1, "batch_size": 64})
    ready = textbook.loader(digits.validation, digits, recipe, train=False, workers=0)
    expected = torch.cat([images for images, _ in ready])
    torch.testing.assert_close(x, expected)
    padded, _ = good_loop.prepared(digits.validation, digits, pad=2)
    torch.testing.assert_close(padded, F.pad(expected, (2,) * 4))
    assert torch.equal(y, digits.validation.y)


def test_batches_of_the_good_loop_are_channels_last():
    recipe = Recipe.of({"epochs": 1, "batch_size": 16, "augmentation": {"pad": 2, "flip": True}})
    x = torch.rand(32, 3, 12, 12)
    for images, _ in good_loop.batches(x, torch.zeros(32, dtype=torch.int64), recipe):
        assert images.is_contiguous(memory_format=torch.channels_last)
