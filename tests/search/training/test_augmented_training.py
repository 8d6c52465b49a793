"""Trials with augmentations: the same alone, together and after a kill; evaluated with mirror images if asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_space import build
from search.data import Images
from search.training import train as training
from search.training.evaluation import errors, on_test_split
from search.training.train import train, train_together
from search.trials.events import Epoch, Event, Finished
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

MANY: dict[str, Any] = {
    "pad": 1,
    "rotation": 10,
    "policy": "rand_augment",
    "erasing": 0.5,
    "mixup": 0.2,
    "cutmix": 1.0,
    "sides": {"first": 6, "stages": 2},
    "test_flip": True,
}


def seen(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Return a list that gets all training images from now on."""
    found, original = list[torch.Tensor](), training.batches

    def record(*arguments: Any, **settings: Any) -> Any:
        for x, y in original(*arguments, **settings):
            found.append(x.clone())
            yield x, y

    monkeypatch.setattr(training, "batches", record)
    return found


def curve(events: list[Event]) -> list[tuple[float, float, float]]:
    return [(event.loss, event.train_error, event.validation_error) for event in events if isinstance(event, Epoch)]


def test_a_trial_with_many_augmentations_learns(trial: Trial, digits: Images) -> None:
    *_, end = train(trial(epochs=12, augmentation={"pad": 1, "cutmix": 1.0, "erasing": 0.2}), digits)
    assert isinstance(end, Finished)
    assert end.status == "complete"
    assert end.test_error is not None
    assert end.test_error < 0.6


@pytest.mark.parametrize("more", [{}, {"averaging": "ema", "optimizer": "adamw", "accumulation": 2}], ids=str)
def test_a_killed_trial_continues_with_the_same_bits(
    more: dict[str, Any], trial: Trial, digits: Images, tmp_path: Path
) -> None:
    spec = trial(epochs=4, augmentation=MANY, **more)
    whole = list(train(spec, digits))
    first = train(spec, digits, folder=tmp_path)
    for event in first:
        if isinstance(event, Epoch) and event.epoch == 2:
            break
    first.close()
    again = list(train(spec, digits, folder=tmp_path))
    assert curve(again) == curve(whole)
    assert isinstance(again[-1], Finished)
    assert isinstance(whole[-1], Finished)
    assert again[-1].test_error == whole[-1].test_error


def test_fused_trials_see_the_images_that_each_sees_alone(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [trial(epochs=2, seed=seed, augmentation=MANY) for seed in (0, 5)]
    found = seen(monkeypatch)
    alone = []
    for spec in specs:
        list(train(spec, digits))
        alone.append([*found])
        found.clear()
    list(train_together(specs, digits, folders=[None, None]))
    # One batch of each member in turn.
    for number, own in enumerate(alone):
        assert all(torch.equal(a, b) for a, b in zip(own, found[number::2], strict=True))


def test_images_grow_during_a_trial(trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(monkeypatch)
    list(train(trial(epochs=4, augmentation={"sides": {"first": 5, "stages": 4}}), digits))
    assert [x.shape[2] for x in found] == [5] * 7 + [6] * 7 + [7] * 7 + [8] * 7


def test_errors_with_mirror_images_are_those_of_the_mean_logits(trial: Trial, digits: Images) -> None:
    spec = trial(augmentation={"test_flip": True})
    model = build(spec.architecture, 3).eval()
    x = (digits.test.x.float() - digits.mean[0]) / digits.std[0]
    with torch.no_grad():
        logits = (model(x) + model(x.flip(3))) / 2
    predictions, _ = on_test_split(model, digits, spec.recipe, "cpu")
    assert predictions.predicted.tolist() == logits.argmax(1).tolist()
    assert [predictions.error] == errors(model, digits.test, digits, spec.recipe, "cpu")
    plain, _ = on_test_split(model, digits, trial().recipe, "cpu")
    assert plain.predicted.tolist() != predictions.predicted.tolist()


def test_mirror_images_change_no_error_of_training(trial: Trial, digits: Images) -> None:
    with_flips, without = (
        curve(list(train(trial(epochs=2, augmentation={"test_flip": on}), digits))) for on in (True, False)
    )
    assert [(loss, error) for loss, error, _ in with_flips] == [(loss, error) for loss, error, _ in without]
    assert [validation for *_, validation in with_flips] != [validation for *_, validation in without]
