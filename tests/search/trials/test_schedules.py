"""Schedules and warm-ups have the rates of torch's schedulers, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    PolynomialLR,
    SequentialLR,
)

from resnet_space.errors import InputError
from search.training.train import learning_rate, still_warming_up
from search.trials.recipe import Recipe
from search.trials.schedules import SCHEDULES, WARM_UPS, Cosine, Linear, Polynomial, WarmUp

PEAK = 0.4
TOTAL = 20


def recipe(**fields: Any) -> Recipe:
    return Recipe.of({"steps": TOTAL, "lr": PEAK, **fields})


def rates(described: Recipe, total: int = TOTAL) -> list[float]:
    return [learning_rate(described, step, total, warming_up=True) for step in range(total)]


def of_torch(made: Callable[[SGD], LRScheduler], total: int = TOTAL) -> list[float]:
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    scheduler, found = made(optimizer), []
    for _ in range(total):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(
    ("schedule", "made"),
    [
        ("cosine", lambda sgd: CosineAnnealingLR(sgd, TOTAL)),
        ({"kind": "cosine", "floor": 0.1}, lambda sgd: CosineAnnealingLR(sgd, TOTAL, eta_min=0.1 * PEAK)),
        ("linear", lambda sgd: LinearLR(sgd, 1, 1e-12, TOTAL)),
        ({"kind": "linear", "floor": 0.25}, lambda sgd: LinearLR(sgd, 1, 0.25, TOTAL)),
        ("polynomial", lambda sgd: PolynomialLR(sgd, TOTAL, power=2)),
        ({"kind": "polynomial", "power": 0.9}, lambda sgd: PolynomialLR(sgd, TOTAL, power=0.9)),
        ({"kind": "exponential", "last": 0.01}, lambda sgd: ExponentialLR(sgd, 0.01 ** (1 / TOTAL))),
        ({"kind": "steps", "milestones": [0.5, 0.8], "decay": 0.3}, lambda sgd: MultiStepLR(sgd, [10, 16], 0.3)),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
def test_a_schedule_has_the_rates_of_torchs(schedule: Any, made: Callable[[SGD], LRScheduler]) -> None:
    assert rates(recipe(schedule=schedule)) == pytest.approx(of_torch(made), abs=1e-9)


@pytest.mark.parametrize("length", [{"steps": 5}, {"part": 0.25}])
def test_a_linear_warm_up_comes_before_the_schedule_as_in_torchs_sequence(length: dict[str, Any]) -> None:
    """As in torchvision's training script: the schedule is over the steps after the warm-up."""

    def made(sgd: SGD) -> LRScheduler:
        parts = [LinearLR(sgd, 0.01, 1, total_iters=5), CosineAnnealingLR(sgd, TOTAL - 5)]
        return SequentialLR(sgd, parts, milestones=[5])

    described = recipe(schedule="cosine", warm_up={"kind": "linear", **length})
    assert rates(described) == pytest.approx(of_torch(made), abs=1e-9)


def test_a_warm_up_in_epochs_lasts_for_these_epochs() -> None:
    described = Recipe.of({"epochs": 10, "lr": 1.0, "schedule": "constant", "warm_up": {"kind": "linear", "epochs": 2}})
    total = described.total_steps(7)
    found = rates(described, total)
    assert [lr < 1 for lr in found] == [True] * 14 + [False] * 56
    assert found[0] == pytest.approx(0.01)


@given(part=st.floats(0.001, 0.999), total=st.integers(1, 50))
def test_a_part_of_any_training_leaves_a_step_for_the_schedule(part: float, total: int) -> None:
    described = Recipe.of({"steps": total, "warm_up": {"kind": "linear", "part": part}, "schedule": "cosine"})
    found = rates(described, described.total_steps(1))
    assert all(0 < lr <= described.lr + 1e-12 for lr in found)
    assert described.warm_up is not None
    assert described.warm_up.length(total, None) < total


def test_a_linear_warm_up_is_not_ended_by_an_error() -> None:
    described = recipe(warm_up={"kind": "linear", "steps": 5})
    assert not still_warming_up(described, True, 0.99)
    assert learning_rate(described, 4, TOTAL, warming_up=False) == learning_rate(described, 4, TOTAL, warming_up=True)


def test_a_floor_is_the_rate_at_the_end() -> None:
    for kind in (Cosine, Linear, Polynomial):
        assert kind(floor=0.07).factor(1) == pytest.approx(0.07)
        assert kind().factor(0) == 1


def test_a_warm_up_without_a_kind_is_the_papers_and_is_written_as_before() -> None:
    described = recipe(warm_up={"lr": 0.02, "until_error": 0.7})
    assert described.warm_up == WarmUp(lr=0.02, until_error=0.7)
    assert described.to_dict()["warm_up"] == {"lr": 0.02, "until_error": 0.7}
    assert recipe(warm_up={"kind": "by_error", "lr": 0.02, "until_error": 0.7}) == described


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"warm_up": {"kind": "linear"}},
            "give its length once, as epochs, steps or part of the training, not epochs=None",
        ),
        ({"warm_up": {"kind": "linear", "steps": 2, "part": 0.5}}, "give its length once"),
        (
            {"warm_up": {"kind": "linear", "steps": 20}},
            r"warm_up.steps: must be less than the 20 steps of the training",
        ),
        (
            {"warm_up": {"kind": "linear", "epochs": 1}},
            r"warm_up.epochs: 1 epochs of a training whose length is in steps",
        ),
        ({"warm_up": {"kind": "linaer", "steps": 2}}, "did you mean 'linear'"),
        (
            {"warm_up": {"kind": "linear", "until_error": 0.5}},
            "linear has no 'until_error'; it belongs to: by_error",
        ),
        ({"schedule": {"kind": "cosine", "floor": 1.0}}, "floor: must be less than 1"),
        ({"schedule": {"kind": "cosine", "power": 2}}, "cosine has no 'power'; it belongs to: polynomial"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipe(**fields)


def test_a_warm_up_in_steps_is_compared_with_the_steps_of_all_epochs() -> None:
    described = Recipe.of({"epochs": 2, "warm_up": {"kind": "linear", "steps": 14}})
    assert described.total_steps(8) == 16
    with pytest.raises(InputError, match=r"warm_up.steps: must be less than the 14 steps of the training, not 14"):
        described.total_steps(7)
    with pytest.raises(InputError, match=r"warm_up.epochs: must be less than the 2 epochs of the training, not 3"):
        Recipe.of({"epochs": 2, "warm_up": {"kind": "linear", "epochs": 3}})


def test_the_catalogues_have_the_kinds_that_the_documentation_names() -> None:
    assert list(SCHEDULES) == ["constant", "steps", "one_cycle", "cosine", "linear", "polynomial", "exponential"]
    assert list(WARM_UPS) == ["by_error", "linear"]
