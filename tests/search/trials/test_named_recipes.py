"""The named recipes have the numbers of their sources."""

from __future__ import annotations

from typing import Any

import pytest

from resnet_space.api import catalogue
from search.training.train import learning_rate
from search.trials.averaging import ExponentialAverage
from search.trials.named_recipes import NAMED
from search.trials.recipe import RECIPES, Recipe, resolve_recipe

A = {
    # 2110.00476, table 2: epochs, batch, rate, decay, smoothing, mixup, cutmix, repeated augmentation.
    "resnet50-a1": (600, 2048, 5e-3, 0.01, 0.1, 0.2, 1.0, True),
    "resnet50-a2": (300, 2048, 5e-3, 0.02, 0.0, 0.1, 1.0, True),
    "resnet50-a3": (100, 2048, 8e-3, 0.02, 0.0, 0.1, 1.0, False),
}


@pytest.mark.parametrize("name", A)
def test_the_procedures_of_resnet_strikes_back_are_those_of_its_table(name: str) -> None:
    recipe = RECIPES[name]
    mixed = recipe.augmentation.mixup, recipe.augmentation.cutmix, recipe.augmentation.repeats > 1
    found = (recipe.epochs, recipe.batch_size, recipe.lr, recipe.weight_decay, recipe.loss.smoothing, *mixed)  # type: ignore[attr-defined]
    assert found == A[name]
    assert (recipe.optimizer.kind, recipe.schedule.kind, recipe.loss.kind) == ("lamb", "cosine", "binary_cross_entropy")


@pytest.mark.parametrize(
    ("name", "epoch", "rate"),
    [
        # timm's, in the epochs of the warm-up and at the end.
        ("resnet50-a1", 0, 1e-4),
        ("resnet50-a1", 5, 5e-3),
        ("resnet50-a3", 0, 1e-4),
        ("resnet50-a3", 100, 1e-6),
        ("torchvision-v2", 0, 0.005),
        ("torchvision-v2", 5, 0.5),
        ("convnext", 20, 4e-3),
        ("paper-imagenet", 29, 0.1),
        ("paper-imagenet", 30, 0.01),
        ("paper-imagenet", 60, 0.001),
        ("airbench", 0, 0.3),
        ("airbench", 2.3, 1.5),
        ("airbench", 10, 0.105),
    ],
)
def test_the_learning_rates_are_those_of_the_source(name: str, epoch: float, rate: float) -> None:
    recipe = RECIPES[name]
    total = recipe.total_steps(1000)
    found = learning_rate(recipe, min(round(epoch * 1000), total - 1), total, warming_up=False)
    assert found == pytest.approx(rate, rel=0.01)


def test_the_average_of_torchvisions_recipe_has_the_decay_of_its_script() -> None:
    """Which it computes from 0.99998, the batch of all GPUs, the steps between updates and the epochs."""
    averaging = RECIPES["torchvision-v2"].averaging
    assert isinstance(averaging, ExponentialAverage)
    adjust = 8 * 128 * averaging.every / 600
    assert (averaging.every, averaging.decay) == (32, pytest.approx(1 - min(1.0, (1 - 0.99998) * adjust), abs=1e-12))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("length", [{"epochs": 1}, {"epochs": 7}, {"steps": 3}])
def test_a_named_recipe_has_any_length(name: str, length: dict[str, int]) -> None:
    recipe = Recipe.of(resolve_recipe({"base": name, **length}))
    total = recipe.total_steps(2)
    assert all(0 < learning_rate(recipe, step, total, warming_up=False) <= recipe.lr for step in range(total))


@pytest.mark.parametrize("name", NAMED)
def test_a_named_recipe_says_where_it_is_from_and_what_it_costs(name: str) -> None:
    row, recipe = NAMED[name], RECIPES[name]
    assert row.source
    assert f"{recipe.epochs} epoch" in row.cost or f"{recipe.steps:,} steps" in row.cost


def test_the_list_shows_how_each_recipe_trains() -> None:
    headings, rows = catalogue.listing("recipes")
    shown: dict[str, dict[str, Any]] = {row[0]: dict(zip(headings, row, strict=True)) for row in rows}
    a3 = shown["resnet50-a3"]
    assert (a3["optimiser"], a3["peak rate"], a3["decay"]) == ("lamb", "0.008", "0.02")
    assert a3["schedule"] == "warm-up linear, cosine"
    assert a3["augmentation"] == "flip, resized_crop, policy rand_augment, mixup 0.1, cutmix 1"
    assert shown["digits"]["augmentation"] == "-"
    [first, *_] = catalogue.records("recipes")
    assert first["expected"].startswith("CIFAR-10: ResNet-20 8.75 %")
    assert Recipe.of(first["fields"]) == RECIPES["paper-cifar"]


def test_another_optimiser_than_the_bases_needs_no_other_field() -> None:
    recipe = Recipe.of(resolve_recipe({"base": "fast", "optimizer": "adamw", "lr": 0.001}))
    assert (recipe.optimizer.kind, recipe.nesterov, recipe.weight_decay) == ("adamw", False, 5e-4)
