"""What is drawn has the distribution of torchvision's classes: the same histogram, and the same extremes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import v2

from search.data import Augmentation
from search.data.augmentations.actions import ACTIONS
from search.data.augmentations.affine import Rotation
from search.data.augmentations.choices import CHOICES, NAMES
from search.data.augmentations.colours import Levels
from search.data.augmentations.crops import RandomResizedCrop
from search.data.augmentations.description import Erasing, Jitter, ResizedCrop
from search.data.augmentations.erasing import RandomErasing
from search.data.augmentations.jitter import OPERATIONS, ColourJitter
from search.data.augmentations.mixing import UNMIXED, draw_mix, span
from search.data.augmentations.policies import POLICIES
from search.data.batching import generator

torch.set_num_threads(1)

SEEDS = 5
PER_SEED = 600
SHAPE = (3, 28, 36)
IMAGE = torch.zeros(SHAPE)
LEVELS = Levels(torch.ones(3, 1, 1), torch.zeros(3, 1, 1), 1.0, whole=False)

Numbers = NDArray[np.float64]


def alike(ours: Numbers, theirs: Numbers) -> bool:
    """Whether two samples can be from one distribution: by the test of Kolmogorov and Smirnov, and by their extremes.

    A range of which 5 % were missing at one end would be noticed by the extremes.
    """
    (low, high), width = np.quantile(theirs, [0.002, 0.998]), np.ptp(theirs)
    near = all(abs(a - b) <= 0.05 * width for a, b in zip(np.quantile(ours, [0.002, 0.998]), (low, high), strict=True))
    return bool(ks_2samp(ours, theirs).pvalue > 1e-4 and near)


def sampled(draw: Callable[[int, torch.Generator], Tensor]) -> Numbers:
    """Return what is drawn for images of several batches: (k, images)."""
    return torch.cat([draw(PER_SEED, generator(seed)) for seed in range(SEEDS)], 1).double().numpy()


def theirs(transform: Any, *names: str) -> Numbers:
    """Return torchvision's parameters of these names for as many images, (k, images)."""
    found = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        for _ in range(PER_SEED):
            parameters = transform.make_params([IMAGE])
            found.append([float(parameters[name]) for name in names])
    return np.array(found).T


@pytest.fixture(scope="module")
def their_crops() -> Numbers:
    return theirs(v2.RandomResizedCrop(28), "top", "left", "height", "width")


def rows(change: Any) -> Numbers:
    return sampled(lambda number, own: change.draw(number, own).rows)


def test_resized_crops(their_crops: Numbers) -> None:
    ours = rows(RandomResizedCrop(ResizedCrop(), SHAPE[1:], SHAPE[1:]))
    assert [alike(*pair) for pair in zip(ours, their_crops, strict=True)] == [True] * 4
    assert alike(ours[2] * ours[3], their_crops[2] * their_crops[3])
    assert alike(ours[3] / ours[2], their_crops[3] / their_crops[2])


@pytest.mark.parametrize(
    "wrong", [{"scale": (0.2, 1.0)}, {"scale": (0.08, 0.9)}, {"ratio": (3 / 4, 1.2)}, {"ratio": (0.5, 4 / 3)}]
)
def test_a_wrong_range_would_be_noticed(wrong: dict[str, Any], their_crops: Numbers) -> None:
    ours = rows(RandomResizedCrop(ResizedCrop(**wrong), SHAPE[1:], SHAPE[1:]))
    assert not (
        alike(ours[2] * ours[3], their_crops[2] * their_crops[3])
        and alike(ours[3] / ours[2], their_crops[3] / their_crops[2])
    )


def test_a_crop_that_never_fits_is_the_largest_in_the_middle() -> None:
    wide = RandomResizedCrop(ResizedCrop(scale=(1.0, 1.0), ratio=(3.0, 3.0)), (20, 20), (20, 20))
    assert wide.draw(3, generator(0)).rows.T.tolist() == [[6, 0, 7, 20]] * 3
    torch.manual_seed(0)
    reference = v2.RandomResizedCrop(20, scale=(1.0, 1.0), ratio=(3.0, 3.0)).make_params([torch.zeros(3, 20, 20)])
    assert reference == {"top": 6, "left": 0, "height": 7, "width": 20}


def test_erasing() -> None:
    ours = rows(RandomErasing(Erasing(probability=1.0), SHAPE))
    reference = theirs(v2.RandomErasing(p=1.0), "i", "j", "h", "w")
    assert [alike(*pair) for pair in zip(ours, reference, strict=True)] == [True] * 4
    assert alike(ours[2] / ours[3], reference[2] / reference[3])


@pytest.mark.parametrize("probability", [0.25, 0.9])
def test_erasing_has_its_probability(probability: float) -> None:
    heights = rows(RandomErasing(Erasing(probability=probability), SHAPE))[2]
    assert abs(float((heights > 0).mean()) - probability) < 5 * np.sqrt(probability * (1 - probability) / len(heights))


def test_erasing_leaves_a_pixel_of_each_side() -> None:
    large = rows(RandomErasing(Erasing(probability=1.0, area=(0.5, 1.0)), SHAPE))
    # A height of 0 means that none of ten rectangles was small enough.
    large = large[:, large[2] > 0]
    assert large[2].max() == 27
    assert large[3].max() == 35
    assert (large[0] + large[2]).max() <= 28


def test_rotations() -> None:
    cos, _, _, sin, *_ = rows(Rotation(40.0))
    assert alike(np.degrees(np.arctan2(sin, cos)), theirs(v2.RandomRotation(40), "angle")[0])


def test_jitter() -> None:
    settings = Jitter(brightness=0.4, contrast=1.5, saturation=0.2, hue=0.1)
    change, names = ColourJitter(settings, LEVELS), ("brightness", "contrast", "saturation", "hue")
    reference = theirs(v2.ColorJitter(0.4, 1.5, 0.2, 0.1), *(f"{name}_factor" for name in names))
    drawn = [change.draw(PER_SEED, generator(seed)) for seed in range(SEEDS)]
    factors: dict[str, list[float]] = {name: [] for name in names}
    places: dict[str, list[int]] = {name: [] for name in names}
    for draw in drawn:
        for place, (layer, counts) in enumerate(zip(draw.rows.split(3), draw.counts, strict=True)):
            assert counts[len(OPERATIONS) - 1] == 0
            for name, own in zip(names, layer[2].split(counts), strict=False):
                factors[name] += own.tolist()
                places[name] += [place] * len(own)
    for name, expected in zip(names, reference, strict=True):
        assert alike(np.array(factors[name]), expected), name
        assert np.abs(np.bincount(places[name]) / len(expected) - 1 / 4).max() < 5 * np.sqrt(3 / 16 / len(expected))


def test_jitter_of_one_kind_changes_nothing_else() -> None:
    draw = ColourJitter(Jitter(contrast=0.5), LEVELS).draw(100, generator(0))
    assert np.sum(draw.counts, axis=0).tolist() == [0, 100, 0, 0, 300]


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_draws_actions_and_signed_magnitudes(name: str) -> None:
    """Recorded from torchvision's own code, as it applies them."""
    classes = {
        "rand_augment": v2.RandAugment,
        "trivial_augment_wide": v2.TrivialAugmentWide,
        "auto_augment": v2.AutoAugment,
    }
    reference, seen = classes[name](), list[tuple[str, float]]()

    def record(image: Tensor, action: str, magnitude: float, **_: object) -> Tensor:
        seen.append((action, magnitude))
        return image

    reference._apply_image_or_video_transform = record
    image = torch.zeros(3, 40, 40, dtype=torch.uint8)
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        for _ in range(PER_SEED):
            reference(image)
    choice = CHOICES[name]
    ranges = choice.ranges(40, 40)
    strengths = [action.strengths(ranges.get(key, 0), choice.bins) for key, action in ACTIONS.items()]
    own: dict[str, list[float]] = {action: [] for action in ACTIONS}
    for seed in range(SEEDS):
        for actions, magnitudes in choice.draw(POLICIES[name](), PER_SEED, generator(seed)):
            signs = 2 * torch.randint(2, (PER_SEED,), generator=generator(seed, "signs")) - 1
            for action, magnitude, sign in zip(actions.tolist(), magnitudes.tolist(), signs.tolist(), strict=True):
                direction = sign if ACTIONS[NAMES[action]].signed else 1
                own[NAMES[action]].append(float(strengths[action][magnitude]) * direction)
    for action, values in own.items():
        if action == "identity" and name == "auto_augment":
            continue
        spelt = "".join(part.capitalize() for part in action.split("_"))
        expected = [magnitude for other, magnitude in seen if other == spelt]
        # Two counts of a binomial distribution.
        assert abs(len(values) - len(expected)) <= 5 * np.sqrt(len(values) + len(expected) + 1), action
        if action in ranges and action not in ("posterize", "solarize") and expected:
            assert np.max(np.abs(values)) == pytest.approx(np.max(np.abs(expected)), rel=1e-5), action
            assert np.mean(values) == pytest.approx(
                np.mean(expected), abs=5 * np.std(expected) / np.sqrt(len(expected)) * 1.5
            )
            assert np.std(values) == pytest.approx(np.std(expected), rel=0.3, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_lambda_of_mixup_is_from_a_beta_distribution(alpha: float) -> None:
    ours = np.array([draw_mix(Augmentation(mixup=alpha), generator(seed)).own for seed in range(2000)])
    torch.manual_seed(0)
    transform = v2.MixUp(alpha=alpha, num_classes=2)
    theirs = np.array([transform.make_params([])["lam"] for _ in range(2000)])
    assert alike(ours, theirs)
    assert not alike(np.array([draw_mix(Augmentation(mixup=2 * alpha), generator(s)).own for s in range(2000)]), theirs)


def test_rectangles_of_cutmix() -> None:
    torch.manual_seed(0)
    transform = v2.CutMix(alpha=1.0, num_classes=2)
    boxes = np.array([transform.make_params([IMAGE])["box"] for _ in range(2000)], dtype=float)
    ours = []
    for seed in range(2000):
        mix = draw_mix(Augmentation(cutmix=1.0), generator(seed))
        assert mix.centre is not None
        (top, bottom), (left, right) = (span(at, mix.own, side) for at, side in zip(mix.centre, SHAPE[1:], strict=True))
        ours.append([left, top, right, bottom])
    for own, expected in zip(np.array(ours, dtype=float).T, boxes.T, strict=True):
        assert alike(own, expected)


def test_batches_are_mixed_with_their_probabilities() -> None:
    augmentation = Augmentation(mixup=0.2, cutmix=1.0, mixed=0.6, cutmix_share=0.3)
    drawn = [draw_mix(augmentation, generator(seed)) for seed in range(4000)]
    shares = [
        sum(mix == UNMIXED for mix in drawn) / 4000,
        sum(mix.centre is not None for mix in drawn) / 4000,
    ]
    assert shares == [pytest.approx(0.4, abs=5 * 0.0078), pytest.approx(0.18, abs=5 * 0.0061)]


def test_only_cutmix_or_only_mixup_always_gets_it() -> None:
    assert all(draw_mix(Augmentation(cutmix=1.0), generator(seed)).centre for seed in range(50))
    assert not any(draw_mix(Augmentation(mixup=1.0), generator(seed)).centre for seed in range(50))
