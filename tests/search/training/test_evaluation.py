"""The predictions of a network are those of its logits for the test split, image by image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from resnet_space import build
from search.data import Images
from search.training import evaluation
from search.training.evaluation import errors, missed, on_test_split
from search.training.train import train
from search.trials.events import Finished
from search.trials.predictions import Predictions
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]


def test_predictions_are_those_of_the_logits(trial: Trial, digits: Images) -> None:
    spec = trial()
    model = build(spec.architecture, 3).train()
    found, top5_error = on_test_split(model, digits, spec.recipe, "cpu")
    assert [[top5_error]] == missed(model, digits.test, digits, spec.recipe, "cpu", within=(5,))
    x = (digits.test.x.float() - digits.mean[0]) / digits.std[0]
    with torch.no_grad():
        logits = model.eval()(x.contiguous(memory_format=torch.channels_last))
    assert found.split == digits.digests["test"]
    assert found.label.tolist() == digits.test.y.tolist()
    assert found.predicted.tolist() == logits.argmax(1).tolist()
    loss = functional.cross_entropy(logits, digits.test.y, reduction="none")
    np.testing.assert_allclose(found.loss, loss.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.confidence, logits.softmax(1).max(1).values.numpy(), rtol=1e-4)
    assert [found.error] == errors(model, digits.test, digits, spec.recipe, "cpu")


def test_a_complete_trial_ends_with_its_predictions(trial: Trial, digits: Images) -> None:
    *_, end = train(trial(epochs=1), digits)
    assert isinstance(end, Finished)
    found = Predictions.from_bytes(end.predictions)
    assert len(found) == len(digits.test) == 359
    assert found.error == end.test_error


def test_an_image_is_right_if_its_loss_is_below_ln_2(trial: Trial, digits: Images) -> None:
    """Then its class has a probability above one half, so no other class has more."""
    spec = trial()
    found, _ = on_test_split(build(spec.architecture, 1), digits, spec.recipe, "cpu")
    assert not (found.wrong & (found.loss < np.log(2))).any()


def test_an_error_while_measuring_leaves_no_precision_set(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The context that casts to bf16 ends with the measurement, also while an exception keeps its frames."""
    monkeypatch.setattr(evaluation, "autocast", lambda *_: torch.autocast("cpu", dtype=torch.bfloat16))
    broken = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    with pytest.raises((RuntimeError, IndexError)) as raised:
        # Labels up to 9 have no place in 3 classes.
        on_test_split(broken, digits, trial().recipe, "cpu")
    assert raised.tb
    assert not torch.is_autocast_enabled("cpu")
