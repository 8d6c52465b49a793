"""Augmentation follows the paper, and a batch depends only on seed, epoch and step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from search.data import (
    Augmentation,
    Split,
    augmented,
    batches,
    batching,
    flip,
    normalise,
    pad_and_crop,
    steps_per_epoch,
)
from search.data.augment import draw_augmentation, draw_offsets
from search.data.batching import generator

torch.set_num_threads(1)

SPLIT = Split(torch.arange(33 * 2 * 4 * 4, dtype=torch.float32).view(33, 2, 4, 4), torch.arange(33))
PLAIN = {"mean": (0.0, 0.0), "std": (1.0, 1.0)}
BOTH = Augmentation(pad=1, flip=True)


def labels(**how: object) -> list[int]:
    return [int(label) for _, y in batches(SPLIT, **PLAIN, **how) for label in y]  # type: ignore[arg-type]


def pixels(**how: object) -> list[Tensor]:
    return [x for x, _ in batches(SPLIT, **PLAIN, **how)]  # type: ignore[arg-type]


@pytest.mark.parametrize("padding", [1, 4])
def test_pad_and_crop_equals_torchvisions_for_each_image(padding: int) -> None:
    x = torch.randn(16, 3, 8, 6, generator=generator(0))
    rows, columns = draw_offsets(16, padding, generator(1)).tolist()
    expected = [
        reference.crop(reference.pad(image, [padding]), top, left, 8, 6)
        for image, top, left in zip(x, rows, columns, strict=True)
    ]
    assert torch.equal(pad_and_crop(x, padding, draw_offsets(16, padding, generator(1))), torch.stack(expected))


def test_each_offset_is_as_likely_as_any_other() -> None:
    rows, columns = draw_offsets(90_000, 1, generator(0))
    counts = torch.bincount(rows * 3 + columns, minlength=9)
    # 9 cells of 10,000: a standard deviation is 94.
    assert (counts - 10_000).abs().max() < 5 * 94


def test_flip_mirrors_half_of_the_images_completely() -> None:
    x = torch.randn(10_000, 1, 1, 3, generator=generator(0))
    y = flip(x, draw_augmentation(10_000, BOTH, generator(1))[2] > 0)
    mirrored = (y == x.flip(3)).flatten(1).all(1)
    assert (mirrored | (y == x).flatten(1).all(1)).all()
    assert abs(int(mirrored.sum()) - 5_000) < 5 * 50


def test_normalise_equals_torchvisions_and_does_not_change_its_input() -> None:
    x = torch.rand(5, 3, 4, 4, generator=generator(0))
    before = x.clone()
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    assert torch.allclose(normalise(x, mean, std), reference.normalize(x, list(mean), list(std)))
    assert torch.equal(x, before)


def test_bytes_are_normalised_in_their_own_units() -> None:
    x = torch.full((1, 1, 2, 2), 130, dtype=torch.uint8)
    assert torch.equal(normalise(x, (100.0,), (15.0,)), torch.full((1, 1, 2, 2), 2.0))


def test_no_augmentation_changes_nothing() -> None:
    assert torch.equal(augmented(SPLIT.x, Augmentation(), draw_augmentation(33, Augmentation(), generator(0))), SPLIT.x)


def test_evaluation_sees_every_image_once_and_in_order() -> None:
    assert labels(batch_size=8) == list(range(33))


def test_training_shuffles_and_leaves_out_a_last_batch_of_one() -> None:
    order = labels(batch_size=8, seed=0)
    assert len(set(order)) == 32
    assert order != sorted(order)


def test_training_keeps_a_last_batch_of_two_or_more() -> None:
    assert sorted(labels(batch_size=31, seed=0)) == list(range(33))


@pytest.mark.parametrize(("images", "batch_size", "steps"), [(33, 8, 4), (34, 8, 5), (32, 8, 4), (3, 1, 3), (3, 8, 1)])
def test_steps_per_epoch_counts_the_batches(images: int, batch_size: int, steps: int) -> None:
    assert steps_per_epoch(images, batch_size) == steps
    split = Split(SPLIT.x[:1].expand(images, -1, -1, -1), torch.zeros(images, dtype=torch.int64))
    assert len(list(batches(split, batch_size=batch_size, seed=0, **PLAIN))) == steps  # type: ignore[arg-type]


def test_the_same_seed_and_epoch_give_the_same_batches_with_any_global_random_state() -> None:
    first = pixels(batch_size=8, seed=1, epoch=2, augmentation=BOTH)
    torch.manual_seed(99)
    torch.rand(7)
    second = pixels(batch_size=8, seed=1, epoch=2, augmentation=BOTH)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("other", [{"seed": 1, "epoch": 1}, {"seed": 2, "epoch": 0}, {"seed": 0, "epoch": 1}])
def test_another_seed_or_epoch_gives_another_order(other: dict[str, int]) -> None:
    assert labels(batch_size=8, **other) != labels(batch_size=8, seed=1, epoch=0)


def test_skipping_batches_does_not_change_the_others() -> None:
    whole = pixels(batch_size=8, seed=1, augmentation=BOTH)
    rest = pixels(batch_size=8, seed=1, augmentation=BOTH, skip=2)
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


def test_augmentation_does_not_change_the_order() -> None:
    assert labels(batch_size=8, seed=1, augmentation=BOTH) == labels(batch_size=8, seed=1)


def test_evaluation_is_never_augmented() -> None:
    assert torch.equal(torch.cat(pixels(batch_size=8, augmentation=BOTH)), SPLIT.x)


def test_padding_is_zero_after_normalisation() -> None:
    split = Split(torch.full((64, 1, 4, 4), 9, dtype=torch.uint8), torch.zeros(64, dtype=torch.int64))
    how = {"batch_size": 64, "mean": (7.0,), "std": (1.0,), "seed": 0, "augmentation": Augmentation(pad=2)}
    (x, _), *_ = batches(split, **how)  # type: ignore[arg-type]
    assert set(x.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("augmentation", [BOTH, Augmentation(pad=1), Augmentation(flip=True)], ids=str)
def test_each_batch_is_augmented_with_its_own_generator(augmentation: Augmentation) -> None:
    """The draws of the version that copied them one at a time: first offsets, then mirroring."""
    order = torch.randperm(33, generator=generator(1, 2))
    found = pixels(batch_size=2, seed=1, epoch=2, augmentation=augmentation)
    assert len(found) == 16
    for step, x in enumerate(found):
        own, expected = generator(1, 2, step), SPLIT.x[order[2 * step : 2 * step + 2]]
        if augmentation.pad:
            tops, lefts = torch.randint(0, 3, (2, 2), generator=own).tolist()
            padded = torch.nn.functional.pad(expected, (1, 1, 1, 1))
            cut = zip(padded, tops, lefts, strict=True)
            expected = torch.stack([image[:, top : top + 4, left : left + 4] for image, top, left in cut])
        if augmentation.flip:
            mirrored = torch.rand(2, generator=own) < 0.5
            expected = torch.stack([image.flip(2) if m else image for image, m in zip(expected, mirrored, strict=True)])
        assert torch.equal(x, expected)


class Copies:
    """A GPU simulated in this machine's memory; it records how each tensor is copied to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pinned, self.seen = list[Tensor](), list[tuple[bool, bool]]()
        self.to = Tensor.to
        monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: self.pin(tensor))
        monkeypatch.setattr(Tensor, "to", lambda tensor, *to, **how: self.copy(tensor, *to, **how))
        monkeypatch.setattr(batching.torch, "tensor", lambda values, dtype, device: torch.FloatTensor(values))

    def pin(self, tensor: Tensor) -> Tensor:
        self.pinned.append(tensor.clone())
        return self.pinned[-1]

    def copy(self, tensor: Tensor, to: object, non_blocking: bool = False) -> Tensor:
        if to == "cuda":
            self.seen.append((any(tensor is each for each in self.pinned), non_blocking))
            return tensor
        return self.to(tensor, to)


def test_copies_to_a_gpu_use_pinned_memory_and_draws_are_copied_for_several_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    how: dict[str, object] = {"batch_size": 2, "seed": 1, "augmentation": BOTH, **PLAIN}
    expected = list(batches(SPLIT, **how))  # type: ignore[arg-type]
    monkeypatch.setattr(batching, "BATCHES_PER_COPY", 5)
    copies = Copies(monkeypatch)
    found = list(batches(SPLIT, device="cuda", **how))  # type: ignore[arg-type]
    for (x, y), (wanted, labels_wanted) in zip(found, expected, strict=True):
        assert torch.equal(x, wanted)
        assert torch.equal(y, labels_wanted)
    # Images and labels of each of 16 batches, and the draws for 5, 5, 5 and 1 of them.
    assert copies.seen == [(True, True)] * (2 * 16 + 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_the_same_batches_as_the_cpu() -> None:
    how = {"batch_size": 8, "seed": 1, "augmentation": BOTH, **PLAIN}
    here = batches(SPLIT, **how)  # type: ignore[arg-type]
    there = batches(SPLIT.to("cuda"), device="cuda", **how)  # type: ignore[arg-type]
    for (x, y), (on_gpu, labels_there) in zip(here, there, strict=True):
        assert torch.allclose(x, on_gpu.cpu())
        assert torch.equal(y, labels_there.cpu())
