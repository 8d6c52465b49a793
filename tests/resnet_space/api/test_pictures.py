"""A picture shows training images as a trial sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from verbs import Cli

from resnet_space import InputError, api
from resnet_space.api.pictures import draw_training_images, seen_in_epochs, some_of_each_class
from search.data import Augmentation, Images, Split, batches, normalise
from search.data.batching import generator
from search.trials.recipe import Recipe

STUDY = """
name: mine
net: resnet20
set: {width: 0.25, stages.*.units: 1}
baseline: a
arms: {a: {}, b: {set: {unit.order: full_preactivation}}}
data: {name: digits, limit: 200}
recipe: {base: smoke, epochs: 4, augmentation: {rotation: 20, cutmix: 1.0, sides: {first: 4}}}
"""


def recipe(**augmentation: object) -> Recipe:
    return Recipe.of({"epochs": 4, "augmentation": augmentation})


def test_the_first_images_of_each_class_are_shown(digits: Images) -> None:
    some = some_of_each_class(digits, 12)
    assert some.y.tolist() == [0, 0, 1, 1, *range(2, 10)]
    first = digits.train.y.tolist().index(7)
    assert torch.equal(some.x[9], digits.train.x[first])


def test_without_augmentation_they_are_the_images_in_their_order(digits: Images) -> None:
    some = some_of_each_class(digits, 10)
    found = seen_in_epochs(some, digits, recipe(), 4, seed=3)
    assert [epoch for epoch, _ in found] == [0, 1, 2, 3]
    for _, x in found:
        assert torch.equal(x, normalise(some.x, digits.mean, digits.std))


def test_epochs_are_spread_over_the_training(digits: Images) -> None:
    some = some_of_each_class(digits, 3)
    long = Recipe.of({"epochs": 31, "augmentation": {"sides": {"first": 4}}})
    found = seen_in_epochs(some, digits, long, 4, seed=0)
    assert [epoch for epoch, _ in found] == [0, 10, 20, 30]
    assert [x.shape[2] for _, x in found] == [4, 5, 7, 8]


def test_changes_are_those_of_the_trials_first_batch_of_the_epoch(digits: Images) -> None:
    some, changes = some_of_each_class(digits, 10), {"rotation": 20, "erasing": 0.5}
    [(_, x)] = seen_in_epochs(some, digits, recipe(**changes), 1, seed=5)
    order = torch.randperm(10, generator=generator(5, 0))
    [(expected, _)] = batches(
        Split(some.x, some.y),
        batch_size=10,
        mean=digits.mean,
        std=digits.std,
        seed=5,
        augmentation=Augmentation.of(changes),
        images=digits,
    )
    assert torch.equal(x[order], expected)


def test_the_command_draws_a_file(resnet_space: Cli, tmp_path: Path) -> None:
    Path("mine.yaml").write_text(STUDY)
    done = resnet_space("images", "mine.yaml", "--to", "seen.png", "--epochs", 3)
    assert (done.status, done.out) == (0, "seen.png\n")
    with Image.open("seen.png") as picture:
        assert picture.size[0] > 1000


@pytest.mark.parametrize(
    ("to", "message"), [("seen.jpg", "unknown format 'jpg'"), ("nowhere/seen.png", "nowhere: no such folder")]
)
def test_a_wrong_file_is_refused(to: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(STUDY)
    with pytest.raises(InputError, match=message):
        draw_training_images(api.study("mine.yaml"), Path(to))


def test_one_of_several_data_sets_is_to_be_chosen(resnet_space: Cli, tmp_path: Path) -> None:
    Path("mine.yaml").write_text(STUDY)
    done = resnet_space("images", "mine.yaml", "--to", "seen.png", "--dataset", "digits,fake")
    assert done.status == 2
    assert "data: 2 data sets; choose one with --dataset" in done.err
