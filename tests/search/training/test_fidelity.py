"""Fast training gives the same results: fused seeds learn as with a tutorial's loop and a separate implementation.

So does the fast loop that benchmarks compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import good_loop
import pytest
import textbook
import torch
from scipy import stats
from torch import Tensor

from resnet_space import preset
from search.data import DataSet, Images, Split, load
from search.data.fashion_mnist import DEBIAN
from search.training.train import train_together
from search.trials.events import Epoch
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

SEEDS = 5
EPOCHS = 10
CHANCE = 0.01
"""The probability that equal means are called different. A curve has as many tests as points."""


def few(split: Split) -> Split:
    """Images for validation, which are not trained on."""
    return Split(split.x[:1000], split.y[:1000])


def ours(data: DataSet, images: Images, recipe: Recipe) -> Tensor:
    """Shape (2, seeds, epochs): losses and validation errors of seeds that train as one network."""
    net = preset("resnet20").assign({"stages.*.units": 1, "width": 0.25, "input_shape": list(images.shape)})
    shared: dict[str, Any] = {"architecture": net, "recipe": recipe, "data": data, "fingerprint": images.fingerprint}
    specs = [TrialSpec(seed=seed, **shared) for seed in range(SEEDS)]
    curves: dict[str, list[tuple[float, float]]] = {}
    for event in train_together(specs, images, folders=[None] * SEEDS):
        if isinstance(event, Epoch):
            curves.setdefault(event.key, []).append((event.loss, event.validation_error))
    return torch.tensor(list(curves.values())).permute(2, 0, 1)


def separate(epochs: Callable[..., Iterator[tuple[float, float]]], images: Images, recipe: Recipe) -> Tensor:
    """The same from a loop of the benchmarks, with their own network."""
    curves = []
    for seed in range(SEEDS):
        torch.manual_seed(100 + seed)
        model = textbook.ResNet(8, width=0.25, channels=images.shape[0])
        curves.append(list(epochs(model, images, recipe)))
    return torch.tensor(curves).permute(2, 0, 1)


def differ(one: Tensor, other: Tensor) -> bool:
    """Whether the means over seeds of two curves, (seeds, epochs), differ significantly at any point."""
    points = stats.ttest_ind(one.numpy(), other.numpy(), equal_var=False).pvalue
    return bool(points.min() < CHANCE / len(points))


@pytest.mark.long
def test_digits_are_learned_as_with_the_tutorials_loop() -> None:
    data = DataSet(name="digits")
    recipe = Recipe.of({"epochs": EPOCHS, "batch_size": 64, "lr": 0.05})
    expected = compared(data, recipe)
    # And it would be seen: at a fifth of the rate the curve is another one.
    slower = ours(data, load(data), recipe.model_copy(update={"lr": 0.01}))
    assert differ(slower[0], expected[0])


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(not DEBIAN.is_dir(), reason=f"there is no {DEBIAN}")
def test_clothes_are_learned_as_with_the_tutorials_loop() -> None:
    compared(DataSet(name="fashion-mnist", limit=5000), Recipe.of({"epochs": EPOCHS, "batch_size": 128, "lr": 0.1}))


def compared(data: DataSet, recipe: Recipe) -> Tensor:
    """Return the tutorial's curves, after a check that ours and those of the good loop do not differ."""
    images = load(data)
    images = replace(images, validation=few(images.validation), test=few(images.test))
    expected = separate(partial(textbook.epochs, workers=0), images, recipe)
    for found in (ours(data, images, recipe), separate(good_loop.epochs, images, recipe)):
        assert found.shape == expected.shape == (2, SEEDS, EPOCHS)
        for what, mine, theirs in zip(("loss", "validation error"), found, expected, strict=True):
            assert not differ(mine, theirs), f"{what}: {mine.mean(0).tolist()} and {theirs.mean(0).tolist()}"
            assert mine[:, -1].mean() == pytest.approx(float(theirs[:, -1].mean()), abs=3 * float(theirs[:, -1].std()))
    return expected


def test_on_a_cpu_bf16_is_float32(trial: Callable[..., TrialSpec], digits: Images) -> None:
    def losses(**recipe: Any) -> list[float]:
        events = train_together([trial(epochs=1, **recipe)], digits, folders=[None])
        return [event.loss for event in events if isinstance(event, Epoch)]

    assert losses(autocast="bf16") == losses()
