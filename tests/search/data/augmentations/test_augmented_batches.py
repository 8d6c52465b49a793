"""Augmented batches depend only on seed, epoch and step, and come in the order of the reference recipes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms.v2 import functional as reference

from search.data import Augmentation, DataSet, Images, Split, batches, batching, load
from search.data.augment import draw_augmentation
from search.data.augmentations.colours import Levels
from search.data.augmentations.operations import Layer, computed, laid_out
from search.data.augmentations.pipeline import CHANGES

torch.set_num_threads(1)

ALL: dict[str, Any] = {
    "flip": True,
    "vertical_flip": True,
    "resized_crop": 0.25,
    "rotation": 15,
    "jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "grayscale": 0.2,
    "policy": "rand_augment",
    "erasing": {"probability": 0.5, "fill": "colour"},
    "cutout": 4,
    "mixup": 0.2,
    "cutmix": 1.0,
}
KINDS: list[dict[str, Any]] = [
    ALL,
    {"policy": "trivial_augment_wide"},
    {"policy": "auto_augment"},
    {"resized_crop": 0.5, "sides": {"first": 8}},
]


@pytest.fixture(scope="module")
def coloured() -> Images:
    return load(DataSet(name="fake", size=16, samples=100, classes=5))


def epoch(images: Images, augmentation: Augmentation, **how: Any) -> list[tuple[Tensor, Tensor]]:
    how = {"batch_size": 16, "seed": 1, "epoch": 2} | how
    moments = {"mean": images.mean, "std": images.std}
    return list(batches(images.train, images=images, augmentation=augmentation, **moments, **how))


@pytest.mark.parametrize("fields", KINDS, ids=str)
def test_the_same_seed_and_epoch_give_the_same_batches_with_any_global_random_state(
    fields: dict[str, Any], coloured: Images
) -> None:
    augmentation = Augmentation.of(fields)
    first = epoch(coloured, augmentation)
    torch.manual_seed(99)
    torch.rand(7)
    for pair, again in zip(first, epoch(coloured, augmentation), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(pair, again, strict=True))
        assert bool(pair[0].isfinite().all())
    assert not torch.equal(first[0][0], epoch(coloured, augmentation, epoch=3)[0][0])


@pytest.mark.parametrize("fields", KINDS, ids=str)
def test_skipping_batches_does_not_change_the_others(fields: dict[str, Any], coloured: Images) -> None:
    augmentation = Augmentation.of(fields)
    whole, rest = epoch(coloured, augmentation), epoch(coloured, augmentation, skip=3)
    assert len(rest) == len(whole) - 3
    for pair, again in zip(whole[3:], rest, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(pair, again, strict=True))


def test_the_number_of_batches_drawn_at_a_time_changes_nothing(
    coloured: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = epoch(coloured, Augmentation.of(ALL), batch_size=7)
    monkeypatch.setattr(batching, "BATCHES_PER_COPY", 3)
    for pair, again in zip(expected, epoch(coloured, Augmentation.of(ALL), batch_size=7), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(pair, again, strict=True))


@pytest.mark.parametrize("more", [{"erasing": 0.5}, {"mixup": 0.2}, {"policy": "rand_augment"}, {"cutout": 4}])
def test_another_change_leaves_crops_and_flips_as_they_were(more: dict[str, Any], coloured: Images) -> None:
    """So that arms which differ in an augmentation are paired in all others."""
    seen = list[Tensor]()

    def record(*arguments: Any) -> Tensor:
        seen.append(draw_augmentation(*arguments))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "draw_augmentation", record)
        epoch(coloured, Augmentation(pad=2, flip=True))
        epoch(coloured, Augmentation.of({"pad": 2, "flip": True} | more))
    half = len(seen) // 2
    assert all(torch.equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True))


def test_another_change_leaves_the_others_as_they_were(coloured: Images) -> None:
    alone = epoch(coloured, Augmentation.of({"erasing": 0.5}))
    both = epoch(coloured, Augmentation.of({"erasing": 0.5, "vertical_flip": True}))
    for (x, _), (other, _) in zip(alone, both, strict=True):
        assert torch.equal(x == 0, other == 0)


def test_labels_are_soft_only_if_batches_are_mixed(coloured: Images) -> None:
    hard, soft = (epoch(coloured, Augmentation.of(fields)) for fields in ({"erasing": 0.5}, {"mixup": 0.2}))
    assert {(y.dtype, y.dim()) for _, y in hard} == {(torch.int64, 1)}
    assert {(y.dtype, y.shape[1]) for _, y in soft} == {(torch.float32, 5)}
    assert max(len(y) for _, y in soft) == 16


def test_mixing_is_that_of_neighbours_in_the_batch(coloured: Images) -> None:
    plain = epoch(coloured, Augmentation())
    for (x, y), (pure, classes) in zip(epoch(coloured, Augmentation.of({"mixup": 1.0})), plain, strict=True):
        one_hot = torch.nn.functional.one_hot(classes, 5).float()
        # The least-squares share of the own image.
        previous = pure.roll(1, 0)
        own = float(((x - previous) * (pure - previous)).sum() / (pure - previous).square().sum())
        torch.testing.assert_close(x, own * pure + (1 - own) * previous, rtol=0, atol=1e-4)
        torch.testing.assert_close(y, own * one_hot + (1 - own) * one_hot.roll(1, 0), rtol=0, atol=1e-4)


def test_copies_of_an_image_are_in_one_batch_with_changes_of_their_own(coloured: Images) -> None:
    how = {"repeats": 3, "erasing": 1.0}
    plain = torch.cat([y for _, y in epoch(coloured, Augmentation())])
    found = epoch(coloured, Augmentation.of(how), batch_size=12)
    assert [len(y) for _, y in found] == [12, 12, 12, 12, 12, 10]
    assert torch.cat([y for _, y in found]).tolist() == plain[:24].repeat_interleave(3)[:70].tolist()
    for x, _ in found:
        assert not torch.equal(x[0], x[1])


def test_copies_of_an_image_are_not_mixed_with_each_other(coloured: Images) -> None:
    same = Augmentation.of({"repeats": 3, "mixup": 1.0})
    one_hot = torch.nn.functional.one_hot(coloured.train.y, 5).float()
    order = torch.randperm(len(coloured.train), generator=batching.generator(1, 2)).repeat_interleave(3)[:70]
    for step, (_, y) in enumerate(epoch(coloured, same, batch_size=12)):
        own = one_hot[order[12 * step : 12 * step + 12]]
        previous = own.roll(3, 0)
        other = (own != previous).any(1)
        share = float(y[other][own[other] > 0][0]) if bool(other.any()) else 1.0
        torch.testing.assert_close(y, share * own + (1 - share) * previous, rtol=0, atol=1e-6)


def test_evaluation_is_never_augmented(coloured: Images) -> None:
    found = epoch(coloured, Augmentation.of(ALL | {"sides": {"first": 8}}), seed=None, progress=0.0)
    assert torch.cat([y for _, y in found]).tolist() == coloured.train.y.tolist()
    assert {x.shape[2:] for x, _ in found} == {(16, 16)}


@pytest.mark.parametrize(("progress", "side"), [(0.0, 8), (0.24, 8), (0.26, 11), (0.5, 13), (0.99, 16), (1.0, 16)])
@pytest.mark.parametrize("crop", [None, 0.5])
def test_images_grow_with_the_training(progress: float, side: int, crop: float | None, coloured: Images) -> None:
    augmentation = Augmentation.of({"sides": {"first": 8}, "resized_crop": crop, "cutout": 4, "policy": "rand_augment"})
    assert {x.shape[2:] for x, _ in epoch(coloured, augmentation, progress=progress)} == {(side, side)}


def test_without_another_change_small_images_are_the_scaled_ones(coloured: Images) -> None:
    small = epoch(coloured, Augmentation.of({"sides": {"first": 8}}), progress=0.0)
    for (x, _), (whole, _) in zip(small, epoch(coloured, Augmentation()), strict=True):
        torch.testing.assert_close(x, reference.resize(whole, [8, 8], antialias=True), rtol=0, atol=1e-5)


def test_a_square_of_cutout_scales_with_the_image(coloured: Images) -> None:
    augmentation = Augmentation.of({"sides": {"first": 8}, "cutout": 4})
    for progress, side in ((0.0, 2), (1.0, 4)):
        erased = torch.cat(
            [(x == 0).all(1).flatten(1).sum(1) for x, _ in epoch(coloured, augmentation, progress=progress)]
        )
        assert int(erased.max()) == side * side


def test_colours_are_changed_before_a_rectangle_is_erased(coloured: Images) -> None:
    """Erased pixels keep the mean colour, 0 in normalised images."""
    found = epoch(coloured, Augmentation.of({"erasing": 1.0, "jitter": 0.9, "policy": "trivial_augment_wide"}))
    assert all(bool((x == 0).all(1).any(2).any(1).all()) for x, _ in found)


def test_a_change_of_colours_stays_between_black_and_white(coloured: Images) -> None:
    mean, std = (torch.tensor(values)[:, None, None] for values in (coloured.mean, coloured.std))
    black, white = -mean / std, (255 - mean) / std
    for x, _ in epoch(coloured, Augmentation.of({"jitter": 2.0, "policy": "trivial_augment_wide"})):
        assert bool((x >= black - 1e-4).all())
        assert bool((x <= white + 1e-4).all())


def test_levels_of_bytes_are_the_bytes(coloured: Images) -> None:
    mean, std = (torch.tensor(values)[:, None, None] for values in (coloured.mean, coloured.std))
    levels = Levels(std, mean, 255.0, whole=True)
    x = coloured.train.x[:20]
    normalised = (x - mean) / std
    assert torch.equal(levels.of(normalised), x.float())
    torch.testing.assert_close(levels.normalised(x.float()), normalised, rtol=0, atol=1e-5)


def test_black_and_white_are_those_of_the_data(coloured: Images, digits: Images) -> None:
    assert coloured.black_and_white == (0.0, 255.0)
    assert digits.black_and_white == (0.0, 16.0)
    floats = Split(torch.linspace(-2, 3, 8 * 16).view(8, 1, 4, 4), torch.zeros(8, dtype=torch.int64))
    assert replace(digits, train=floats).black_and_white == (-2.0, 3.0)


def test_inverted_digits_are_inverted_in_their_own_range(digits: Images) -> None:
    """Most actions leave a digit between no ink and 16 levels of it."""
    mean, std = digits.mean[0], digits.std[0]
    for x, _ in epoch(digits, Augmentation.of({"policy": "trivial_augment_wide"})):
        pixels = x * std + mean
        assert float(pixels.min()) >= -1e-3
        assert float(pixels.max()) <= 16 + 1e-3


def test_each_image_gets_its_own_operation() -> None:
    operations = [lambda x, n: x + n[0].view(-1, 1), lambda x, n: x * n[0].view(-1, 1), lambda x, n: -x]
    x = torch.arange(1.0, 7.0)[:, None]
    layers = [
        Layer(torch.tensor([1, 0, 2, 0, 1, 0]), torch.tensor([[2.0, 10.0, 0.0, 20.0, 3.0, 30.0]])),
        Layer(torch.tensor([2, 2, 2, 0, 0, 0]), torch.tensor([[0.0, 0.0, 0.0, 0.5, 0.5, 0.5]])),
    ]
    drawn = laid_out(layers, len(operations))
    assert drawn.counts == ((3, 2, 1), (3, 0, 3))
    assert computed(x, drawn, operations)[:, 0].tolist() == [-2, -12, 3, 24.5, 15.5, 36.5]


def test_changes_are_in_the_order_of_their_fields() -> None:
    fields = [name for name in Augmentation.model_fields if name in CHANGES]
    assert [name for name in CHANGES if name in fields] == fields


class Copies(TorchDispatchMode):
    """Counts the copies from this machine's memory to the `meta` device."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        devices = {each.device.type for each in (*args, found) if isinstance(each, Tensor)}
        self.number += devices == {"cpu", "meta"}
        return found


@pytest.mark.parametrize("fields", KINDS, ids=str)
def test_no_change_reads_numbers_from_the_device_and_few_are_copied_to_it(
    fields: dict[str, Any], coloured: Images
) -> None:
    """The `meta` device has no numbers: reading one, as with `item`, or selecting by a mask, is an error there."""
    there = replace(coloured, train=coloured.train.to("meta"))
    there.__dict__["black_and_white"] = coloured.black_and_white
    with Copies() as copies:
        found = epoch(there, Augmentation.of(fields), batch_size=4, device="meta", progress=0.5)
    assert len(found) > 2 * batching.BATCHES_PER_COPY - 16
    assert {x.device.type for pair in found for x in pair} == {"meta"}
    parts = -(-len(found) // batching.BATCHES_PER_COPY)
    # The order of the images once, then the draws of several batches at a time; those of flips are another tensor.
    assert parts < copies.number <= 1 + 2 * parts
