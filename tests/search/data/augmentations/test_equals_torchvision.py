"""Each change of an image in a batch, with numbers of its own, is torchvision's change of that image alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from search.data.augmentations import colours
from search.data.augmentations.actions import ACTIONS, OPERATIONS, narrow_ranges, wide_ranges
from search.data.augmentations.affine import affine, rotations
from search.data.augmentations.choices import CHOICES, NAMES, auto_augment, numbers_of_actions
from search.data.augmentations.crops import RandomResizedCrop, Resize, resized_crop
from search.data.augmentations.description import Erasing, ResizedCrop
from search.data.augmentations.erasing import Cutout, RandomErasing, erase
from search.data.augmentations.found_policies import FOUND
from search.data.augmentations.mixing import UNMIXED, Mix, draw_mix, mixed, span
from search.data.augmentations.policies import AutoAugment
from search.data.batching import generator

torch.set_num_threads(1)

BILINEAR = InterpolationMode.BILINEAR


def images(number: int, *shape: int) -> Tensor:
    return torch.rand(number, *shape, generator=generator(0))


def levels(number: int, *shape: int) -> Tensor:
    """Smooth images of 256 levels, in which most levels occur, and one with few of them."""
    x = torch.rand(number, shape[0], 5, 5, generator=generator(1))
    x = torch.nn.functional.interpolate(x, shape[1:], mode="bicubic").clamp(0, 1).mul(255).round()
    x[0] = x[0].div(60).floor() * 40 + 20
    return x


@pytest.mark.parametrize("size", [(20, 24), (7, 9), (32, 40)])
def test_a_resized_crop(size: tuple[int, int]) -> None:
    x = images(12, 3, 20, 24)
    change = RandomResizedCrop(ResizedCrop(), (20, 24), size)
    parts = change.draw(12, generator(2)).rows
    expected = [
        reference.resized_crop(image, *map(int, part), list(size), BILINEAR, antialias=True)
        for image, part in zip(x, parts.T, strict=True)
    ]
    torch.testing.assert_close(resized_crop(x, parts, size), torch.stack(expected), rtol=0, atol=1e-5)


def test_scaling_down() -> None:
    x = images(3, 3, 20, 20)
    change = Resize((13, 13))
    expected = reference.resize(x, [13, 13], BILINEAR, antialias=True)
    torch.testing.assert_close(change.apply(x, change.draw(3, generator(0))), expected, rtol=0, atol=1e-5)


def test_a_rotation() -> None:
    x = images(9, 3, 11, 14)
    angles = torch.linspace(-179, 178, 9, dtype=torch.float64)
    expected = [reference.rotate(image, float(angle), BILINEAR) for image, angle in zip(x, angles, strict=True)]
    torch.testing.assert_close(affine(x, rotations(angles).float()), torch.stack(expected), rtol=0, atol=1e-5)


FACTORS = torch.tensor([0.0, 0.3, 0.77, 1.0, 1.4, 1.99])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_a_change_of_colours(name: str, channels: int) -> None:
    x = images(6, channels, 9, 7)
    adjust = getattr(reference, f"adjust_{name}")
    expected = torch.stack([adjust(image, float(factor)) for image, factor in zip(x, FACTORS, strict=True)])
    found = getattr(colours, name)(x, FACTORS, 1.0)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_turn_of_the_hue(channels: int) -> None:
    x = images(6, channels, 9, 7)
    # Grey pixels, and pixels with two equal channels.
    x[0] = x[0, :1]
    x[1, -1:] = x[1, :1]
    turns = torch.tensor([0.2, -0.4, 0.0, 0.5, -0.5, 0.1])
    expected = torch.stack([reference.adjust_hue(image, float(turn)) for image, turn in zip(x, turns, strict=True)])
    torch.testing.assert_close(colours.hue(x, turns), expected, rtol=0, atol=1e-5)


def test_grey_images() -> None:
    x = images(4, 3, 5, 5)
    torch.testing.assert_close(colours.grey(x), reference.rgb_to_grayscale(x), rtol=0, atol=1e-6)


THEIRS = {name: "".join(part.capitalize() for part in name.split("_")) for name in ACTIONS}
"""torchvision's names of the actions."""
SPACES: dict[str, Any] = {
    "rand_augment": v2.RandAugment(interpolation=BILINEAR),
    "trivial_augment_wide": v2.TrivialAugmentWide(interpolation=BILINEAR),
    "auto_augment": v2.AutoAugment(interpolation=BILINEAR),
}
BINS = {"rand_augment": 31, "trivial_augment_wide": 31, "auto_augment": 10}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("policy", SPACES)
def test_an_action_at_every_magnitude_and_in_both_directions(policy: str, name: str, channels: int) -> None:
    theirs, bins, size = SPACES[policy], BINS[policy], (17, 21)
    if THEIRS[name] not in theirs._AUGMENTATION_SPACE:
        assert name == ("identity" if policy == "auto_augment" else "invert")
        return
    make, signed = theirs._AUGMENTATION_SPACE[THEIRS[name]]
    assert signed == ACTIONS[name].signed
    magnitudes = make(bins, *size)
    signs = torch.tensor([1.0] * bins + [-1.0] * bins * signed)
    values = torch.zeros(len(signs)) if magnitudes is None else magnitudes.repeat(1 + signed) * signs
    x = levels(len(signs), channels, *size)
    expected = [
        theirs._apply_image_or_video_transform(
            image, THEIRS[name], float(value), interpolation=BILINEAR, fill=theirs._fill
        )
        for image, value in zip(x.to(torch.uint8), values, strict=True)
    ]
    assert CHOICES[policy].bins == bins
    numbers = numbers_of_actions(CHOICES[policy], *size)[NAMES.index(name)]
    numbers = torch.cat([numbers[:, 0], numbers[:, 1]] if signed else [numbers[:, 0]])
    found = OPERATIONS[ACTIONS[name].operation](x, numbers.T)
    assert torch.equal(found, found.round())
    off = (found - torch.stack(expected).float()).abs()
    assert float(off.max()) <= 1
    # Levels whose sum is nearly half-way can be rounded to either side.
    assert float((off > 0).float().mean()) < 0.02


@pytest.mark.parametrize("found_for", FOUND)
def test_the_policies_that_autoaugment_found(found_for: str) -> None:
    policy = getattr(v2.AutoAugmentPolicy, found_for.upper())
    theirs = [
        tuple((name, probability, magnitude or 0) for name, probability, magnitude in pair)
        for pair in v2.AutoAugment(policy)._policies
    ]
    ours = [tuple((THEIRS[name], *rest) for name, *rest in pair) for pair in FOUND[found_for]]
    assert ours == theirs


def test_each_pair_of_autoaugment_has_its_probabilities() -> None:
    chosen = auto_augment(AutoAugment(found_for="cifar10"), 100_000, generator(0))
    for place, (actions, _) in enumerate(chosen):
        counts = torch.bincount(actions, minlength=len(NAMES)) / 100_000
        for name in set(NAMES) - {"identity"}:
            pairs = FOUND["cifar10"]
            expected = sum(pair[place][1] for pair in pairs if pair[place][0] == name) / len(pairs)
            assert abs(float(counts[NAMES.index(name)]) - expected) < 5 * math.sqrt(0.25 / 100_000)


def test_ranges_name_every_action_with_a_magnitude() -> None:
    none = {"identity", "auto_contrast", "equalize", "invert"}
    for ranges in (narrow_ranges, wide_ranges):
        assert set(ranges(8, 8)) == set(ACTIONS) - none


def test_erasing() -> None:
    x = images(20, 3, 12, 15)
    draw = RandomErasing(Erasing(probability=1.0), (3, 12, 15)).draw(20, generator(3))
    expected = [
        reference.erase(image, *map(int, part), torch.zeros(3, 1, 1))
        for image, part in zip(x, draw.rows.T, strict=True)
    ]
    assert torch.equal(erase(x, draw.rows), torch.stack(expected))


def test_erasing_with_a_colour() -> None:
    x = images(20, 3, 12, 15)
    change = RandomErasing(Erasing(probability=1.0, fill="colour"), (3, 12, 15))
    draw = change.draw(20, generator(3))
    expected = [
        reference.erase(image, *map(int, part[:4]), part[4:, None, None])
        for image, part in zip(x, draw.rows.T, strict=True)
    ]
    assert torch.equal(change.apply(x, draw), torch.stack(expected))


def test_cutout_is_the_papers() -> None:
    """The loop of the authors' code, with the same centres."""
    x, side = images(200, 1, 10, 8), 6
    change = Cutout(side, (10, 8))
    draw = change.draw(200, generator(4))
    expected = x.clone()
    for image, (top, left, *_) in zip(expected, draw.rows.T.int().tolist(), strict=True):
        row, column = top + side // 2, left + side // 2
        assert 0 <= row < 10
        assert 0 <= column < 8
        image[:, max(0, row - 3) : min(10, row + 3), max(0, column - 3) : min(8, column + 3)] = 0
    assert torch.equal(change.apply(x, draw), expected)


def test_mixup(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = images(6, 3, 5, 5), torch.tensor([0, 3, 1, 1, 2, 0])
    theirs = v2.MixUp(num_classes=4)
    monkeypatch.setattr(theirs, "make_params", lambda inputs: {"lam": 0.3})
    expected, labels = theirs(x, y)
    found, soft = mixed(x, y, Mix(0.3), 4)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(soft, labels, rtol=0, atol=1e-6)
    assert soft.dtype == torch.float32


def test_cutmix(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = images(6, 3, 12, 9), torch.tensor([0, 3, 1, 1, 2, 0])
    before = x.clone()
    theirs = v2.CutMix(num_classes=4)
    rows, columns = span(0.9, 0.4, 12), span(0.5, 0.4, 9)
    assert rows == (6, 12)
    covered = (rows[1] - rows[0]) * (columns[1] - columns[0])
    box = (columns[0], rows[0], columns[1], rows[1])
    monkeypatch.setattr(theirs, "make_params", lambda inputs: {"box": box, "lam_adjusted": 1 - covered / (12 * 9)})
    expected, labels = theirs(x, y)
    found, soft = mixed(x, y, Mix(0.4, (0.9, 0.5)), 4)
    assert torch.equal(found, expected)
    torch.testing.assert_close(soft, labels, rtol=0, atol=1e-6)
    assert torch.equal(x, before)


def test_a_batch_that_is_not_mixed_has_soft_labels_too() -> None:
    """A step recorded as a CUDA graph needs labels of one shape."""
    x, y = images(3, 1, 4, 4), torch.tensor([0, 2, 1])
    found, soft = mixed(x, y, UNMIXED, 3)
    assert torch.equal(found, x)
    assert soft.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_labels_of_a_mixed_batch_sum_to_one() -> None:
    y = torch.arange(8)
    for number in range(50):
        mix = draw_mix(_both(), generator(number))
        _, soft = mixed(images(8, 1, 6, 6), y, mix, 8)
        torch.testing.assert_close(soft.sum(1), torch.ones(8), rtol=0, atol=1e-6)


def _both() -> Any:
    from search.data import Augmentation

    return Augmentation(mixup=0.4, cutmix=1.0, mixed=0.7)
