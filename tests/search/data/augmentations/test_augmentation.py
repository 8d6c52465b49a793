"""Augmentations are described briefly, wrong ones are explained, and no default is in a trial's key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import preset
from resnet_space.errors import InputError
from search.data import Augmentation, DataSet
from search.data.augmentations.description import Erasing, Jitter, ResizedCrop, Sides
from search.data.augmentations.policies import POLICIES, RandAugment
from search.trials.recipe import RECIPES
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

FULL: dict[str, Any] = {
    "flip": True,
    "vertical_flip": True,
    "resized_crop": 0.25,
    "rotation": 15,
    "jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "grayscale": 0.2,
    "policy": "rand_augment",
    "erasing": {"probability": 0.25, "fill": "colour"},
    "cutout": 4,
    "mixup": 0.2,
    "cutmix": 1.0,
    "mixed": 0.8,
    "cutmix_share": 0.3,
    "sides": {"first": 4, "stages": 3},
    "repeats": 3,
    "test_flip": True,
}
"""All fields but `pad`, which excludes `resized_crop`."""


def test_a_number_is_the_main_field() -> None:
    found = Augmentation.of({"resized_crop": 0.3, "jitter": 0.4, "erasing": 0.25})
    assert found.resized_crop == ResizedCrop(scale=(0.3, 1.0))
    assert found.jitter == Jitter(brightness=0.4, contrast=0.4, saturation=0.4)
    assert found.erasing == Erasing(probability=0.25)


@pytest.mark.parametrize("field", ["resized_crop", "jitter", "erasing"])
def test_zero_turns_it_off(field: str) -> None:
    assert Augmentation.of({field: 0}) == Augmentation.of({field: 0.0}) == Augmentation()


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_can_be_written_as_its_bare_name(name: str) -> None:
    assert Augmentation.of({"policy": name}).policy == POLICIES[name]()


def test_every_field_survives_yaml() -> None:
    full = Augmentation.of(FULL)
    assert set(FULL) | {"pad"} == set(Augmentation.model_fields)
    assert Augmentation.from_yaml(full.to_yaml()) == full


@pytest.mark.parametrize("name", FULL)
def test_the_json_schema_allows_every_field_as_it_can_be_written(name: str) -> None:
    from jsonschema import Draft202012Validator

    schema = Draft202012Validator(Augmentation.model_json_schema())
    assert schema.is_valid({name: FULL[name]})
    assert schema.is_valid(Augmentation.of({"mixup": 0.2, "cutmix": 1.0, name: FULL[name]}).to_dict())
    assert not schema.is_valid({name: "much"})


def test_what_is_off_is_not_written() -> None:
    """So that no key of an earlier version changes."""
    assert Augmentation(pad=4, flip=True).to_dict() == {"pad": 4, "flip": True}
    off = Augmentation.of({name: getattr(Augmentation(), name) for name in FULL})
    assert off.to_dict() == {"pad": 0, "flip": False}


KEYS = {
    "paper-cifar": "a3000dd4b0cda55b",
    "fast": "4fced669d5324a35",
    "digits": "56053d95c8a3fb70",
    "smoke": "8d27a19fa591105f",
}
"""Keys of trials that were stored before there were other augmentations than pad and flip."""


@pytest.mark.parametrize("name", KEYS)
def test_a_trial_of_an_earlier_version_keeps_its_key(name: str) -> None:
    data = DataSet(name="cifar10")
    spec = TrialSpec(
        architecture=preset("resnet20"), recipe=RECIPES[name], data=data, fingerprint="0123456789abcdef", seed=3
    )
    assert spec.key == KEYS[name]


@pytest.mark.parametrize("field", [name for name in FULL if name not in ("mixed", "cutmix_share")])
def test_every_field_is_part_of_the_key(field: str, trial: Trial) -> None:
    base = {"vertical_flip": True} if field == "flip" else {}
    assert trial(augmentation={**base, field: FULL[field]}).key != trial(augmentation=base).key


def test_how_batches_are_mixed_is_part_of_the_key(trial: Trial) -> None:
    both = {"mixup": 0.2, "cutmix": 1.0}
    keys = {trial(augmentation=both | more).key for more in ({}, {"mixed": 0.5}, {"cutmix_share": 0.7})}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rotation": 181}, "rotation: must be at most 180, not 181"),
        ({"grayscale": 1.5}, "grayscale: must be at most 1, not 1.5"),
        ({"erasing": 1.5}, "erasing.probability: must be at most 1, not 1.5"),
        ({"erasing": {"probability": 0.5, "area": [0.1, 1.5]}}, "erasing.area.1: must be at most 1, not 1.5"),
        ({"erasing": {"probability": 0.5, "area": [0.3, 0.1]}}, r"erasing: area: \[0.3, 0.1\] is no range"),
        ({"erasing": {"probability": 0.5, "fill": "maen"}}, "did you mean 'mean'"),
        ({"erasing": {}}, "erasing.probability: required, and not given"),
        ({"resized_crop": 1.5}, "resized_crop.scale.0: must be at most 1, not 1.5"),
        ({"resized_crop": {"ratio": [2, 1]}}, r"resized_crop: ratio: \[2, 1\] is no range"),
        ({"resized_crop": 0.5, "pad": 4}, "resized_crop: cannot be used with pad, which is 4"),
        ({"jitter": {"hue": 0.6}}, "jitter.hue: must be at most 0.5, not 0.6"),
        ({"jitter": -1}, "jitter.brightness: must be at least 0, not -1"),
        ({"policy": "randaugment"}, "policy.kind: unknown .*'randaugment'; did you mean 'rand_augment'"),
        ({"policy": {"kind": "rand_augment", "magnitude": 31}}, "magnitude: must be at most 30, not 31"),
        ({"policy": {"kind": "auto_augment", "found_for": "mnist"}}, "found_for: .*allowed: imagenet, cifar10, svhn"),
        ({"mixup": -0.1}, "mixup: must be at least 0, not -0.1"),
        ({"mixup": 0.2, "mixed": 1.2}, "mixed: must be at most 1, not 1.2"),
        ({"mixed": 0.5}, "mixed: 0.5 needs mixup or cutmix, which are both 0"),
        ({"mixup": 0.2, "cutmix_share": 0.7}, "cutmix_share: 0.7 needs both mixup and cutmix, which are 0.2 and 0"),
        ({"sides": {"first": 32, "last": 16}}, r"sides: first, last: \[32, 16\] is no range"),
        ({"sides": {"first": 8, "stages": 9}}, "sides.stages: must be at most 8, not 9"),
        ({"repeats": 0}, "repeats: must be at least 1, not 0"),
        ({"cutuot": 4}, "unknown field 'cutuot'; did you mean 'cutout'"),
    ],
)
def test_a_wrong_augmentation_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Augmentation.of(fields)


@pytest.mark.parametrize(
    ("fields", "shape", "classes", "message"),
    [
        ({"policy": "rand_augment"}, (4, 8, 8), 10, "augmentation.policy: needs images of 1 or 3 channels.*have 4"),
        ({"jitter": 0.4}, (2, 8, 8), 10, "augmentation.jitter: needs images of 1 or 3 channels"),
        ({"sides": {"first": 16}}, (1, 8, 8), 10, "sides.first: must be at most 8, the images' side, not 16"),
        ({"sides": {"first": 4, "last": 9}}, (1, 8, 8), 10, "sides.last: must be at most 8"),
        ({"sides": {"first": 4}}, (1, 8, 6), 10, "sides: needs square images, and these are 8x6"),
        ({"mixup": 0.2}, (1, 8, 8), 1, "augmentation.mixup: 0.2 needs at least 2 classes, and the data have 1"),
        ({"cutmix": 1.0}, (1, 8, 8), 1, "augmentation.cutmix: 1 needs at least 2 classes"),
    ],
)
def test_an_augmentation_that_the_images_do_not_allow_is_refused(
    fields: dict[str, object], shape: tuple[int, int, int], classes: int, message: str
) -> None:
    with pytest.raises(InputError, match=f"recipe.{message}" if message.startswith("aug") else message):
        Augmentation.of(fields).check(shape, classes)


def test_images_of_two_channels_can_be_cropped_turned_and_mixed() -> None:
    Augmentation.of({"resized_crop": 0.5, "rotation": 10, "cutmix": 1.0}).check((2, 8, 8), 2)


def test_sides_are_rounded_to_pixels() -> None:
    assert Sides(first=128, last=300).all(384) == (128, 185, 243, 300)


@given(
    first=st.integers(1, 64),
    more=st.integers(0, 64),
    stages=st.integers(2, 8),
    at=st.floats(0, 1),
    later=st.floats(0, 1),
)
def test_sides_grow_from_the_first_to_the_last(first: int, more: int, stages: int, at: float, later: float) -> None:
    sides = Sides(first=first, stages=stages)
    full = first + more
    assert sides.at(0, full) == first
    assert sides.at(1, full) == full
    assert sides.at(min(at, later), full) <= sides.at(max(at, later), full)


def test_policies_default_to_the_papers() -> None:
    assert RandAugment() == RandAugment(operations=2, magnitude=9)
