"""Recipes: the schedules' formulas, the paper's rates at the paper's steps, and how a recipe is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from resnet_space.errors import InputError
from search.data import Images, steps_per_epoch
from search.training.train import learning_rate, still_warming_up, train
from search.trials.events import Epoch, Finished
from search.trials.recipe import RECIPES, NamedRecipe, Recipe, resolve_recipe
from search.trials.schedules import Constant, OneCycle, Schedule, Steps, WarmUp
from search.trials.trial import TrialSpec

PAPER = RECIPES["paper-cifar"]

schedules = st.one_of(
    st.just(Constant()),
    st.builds(
        Steps,
        milestones=st.lists(st.floats(0.01, 1), max_size=4).map(tuple),
        decay=st.floats(1e-3, 1),
    ),
    st.builds(OneCycle, rise=st.floats(0.01, 1), start=st.floats(1, 1e3), end=st.floats(1, 1e6)),
)


@pytest.mark.parametrize(
    ("step", "lr"), [(0, 0.1), (31_999, 0.1), (32_000, 0.01), (47_999, 0.01), (48_000, 0.001), (63_999, 0.001)]
)
def test_the_papers_rate_falls_to_a_tenth_at_32k_and_48k_of_64k_steps(step: int, lr: float) -> None:
    total = PAPER.total_steps(steps_per_epoch(45_000, PAPER.batch_size))
    assert total == 64_000
    assert learning_rate(PAPER, step, total, warming_up=False) == pytest.approx(lr, rel=1e-12)


def test_the_papers_warm_up_is_at_a_hundredth() -> None:
    assert learning_rate(PAPER, 0, 64_000, warming_up=True) == 0.01
    assert learning_rate(PAPER, 40_000, 64_000, warming_up=True) == 0.01


def test_without_a_warm_up_the_schedule_holds_from_the_first_step() -> None:
    assert learning_rate(RECIPES["smoke"], 0, 10, warming_up=True) == RECIPES["smoke"].lr


def test_warm_up_ends_for_good_below_its_error() -> None:
    on, seen = True, []
    for error in (0.9, 0.8, 0.79, 0.95):
        on = still_warming_up(PAPER, on, error)
        seen.append(on)
    assert seen == [True, True, False, False]


def test_a_trial_warms_up_until_its_training_error_is_low_and_never_again(
    trial: Callable[..., TrialSpec], digits: Images
) -> None:
    spec = trial(seed=1, epochs=6, lr=1000.0, schedule="constant", warm_up={"lr": 0.005, "until_error": 0.8})
    epochs = [event for event in train(spec, digits) if isinstance(event, Epoch)]
    first = next(number for number, epoch in enumerate(epochs) if epoch.train_error < 0.8)
    assert [epoch.lr for epoch in epochs] == [0.005] * (first + 1) + [1000.0] * (5 - first)
    assert 0 < first < 4
    assert max(epoch.train_error for epoch in epochs[first + 1 :]) >= 0.8, (
        "in this example the error rises above the limit again"
    )


def test_steps_decay_once_per_milestone() -> None:
    schedule = Steps(milestones=(0.3, 0.6), decay=0.5)
    assert [schedule.factor(at) for at in (0, 0.3 - 1e-9, 0.3, 0.6, 1)] == [1, 1, 0.5, 0.25, 0.25]


def test_one_cycle_starts_at_a_25th_peaks_at_30_percent_and_ends_near_zero() -> None:
    schedule = OneCycle()
    assert schedule.factor(0) == pytest.approx(1 / 25)
    assert schedule.factor(0.15) == pytest.approx((1 + 1 / 25) / 2)
    assert schedule.factor(0.3) == 1
    assert schedule.factor(0.65) == pytest.approx(0.5, abs=1e-5)
    assert schedule.factor(1) == pytest.approx(1 / 250_000)
    assert max(range(1000), key=lambda step: schedule.factor(step / 1000)) == 300


@given(rise=st.floats(0.05, 0.95), at=st.floats(0, 1))
@settings(deadline=None)
def test_one_cycle_has_no_jumps(rise: float, at: float) -> None:
    schedule, small = OneCycle(rise=rise), 1e-6
    # A cosine's slope is pi/2 of its height over its width.
    steepest = math.pi / 2 / min(rise, 1 - rise)
    assert abs(schedule.factor(min(1.0, at + small)) - schedule.factor(at)) <= steepest * small * 1.01 + 1e-12


@given(schedule=schedules, at=st.floats(0, 1))
@settings(deadline=None)
def test_every_factor_is_above_zero_and_at_most_one(schedule: Schedule, at: float) -> None:
    assert 0 < schedule.factor(at) <= 1 + 1e-12


@pytest.mark.parametrize("field", ["start", "end"])
def test_one_cycle_refuses_ends_above_its_peak(field: str) -> None:
    with pytest.raises(InputError, match=rf"{field}: must be at least 1"):
        OneCycle.of({field: 0.5})


@pytest.mark.parametrize("length", [{}, {"epochs": 2, "steps": 5}])
def test_a_recipe_has_epochs_or_steps_and_not_both(length: dict[str, int]) -> None:
    with pytest.raises(InputError, match="give either epochs or steps, not epochs="):
        Recipe.of(length)


def test_epochs_and_steps_give_the_length_in_steps() -> None:
    assert Recipe(epochs=3).total_steps(352) == 1056
    assert Recipe(steps=7).total_steps(352) == 7


def test_a_name_stands_for_its_row() -> None:
    for name, recipe in RECIPES.items():
        assert Recipe.of(resolve_recipe(name)) == recipe


def test_fields_next_to_a_base_override_it() -> None:
    recipe = Recipe.of(resolve_recipe({"base": "paper-cifar", "lr": 0.2, "warm_up": None}))
    assert recipe == PAPER.model_copy(update={"lr": 0.2, "warm_up": None})


@pytest.mark.parametrize(("base", "one", "other"), [("paper-cifar", "epochs", "steps"), ("fast", "steps", "epochs")])
def test_a_new_length_replaces_the_bases(base: str, one: str, other: str) -> None:
    recipe = Recipe.of(resolve_recipe({"base": base, one: 3}))
    assert (getattr(recipe, one), getattr(recipe, other)) == (3, None)


def test_a_complete_recipe_is_not_changed() -> None:
    assert resolve_recipe({"epochs": 3}) == {"epochs": 3}


def test_an_unknown_recipe_is_refused_with_the_nearest_and_all_names() -> None:
    with pytest.raises(InputError, match=r"unknown recipe 'fsat'; did you mean 'fast'\? allowed: paper-cifar, fast"):
        resolve_recipe("fsat")


@pytest.mark.parametrize("base", [["fast"], {}, None, 3])
def test_a_base_that_is_not_a_name_is_an_input_error(base: object) -> None:
    with pytest.raises(InputError, match="unknown recipe"):
        resolve_recipe({"base": base})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"momentum": 1.0}, "momentum: must be less than 1"),
        ({"batch_size": 1}, "batch_size: must be at least 2"),
        ({"lr": 0.0}, "lr: must be greater than 0"),
        ({"schedule": "one_cicle"}, "did you mean 'one_cycle'"),
        ({"epocs": 3}, "did you mean 'epochs'"),
        ({"schedule": {"kind": "steps", "milestones": [1.5]}}, "must be at most 1"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe.of({"epochs": 1} | changes)


def test_a_schedule_can_be_written_as_its_bare_name() -> None:
    assert Recipe.of({"epochs": 1, "schedule": "steps"}).schedule == Steps()
    assert Recipe.of({"epochs": 1, "warm_up": {}}).warm_up == WarmUp(lr=0.01, until_error=0.8)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains(name: str, trial: Callable[..., TrialSpec], digits: Images) -> None:
    fields = Recipe.of(resolve_recipe({"base": name, "steps": 3})).model_dump()
    *_, last = train(trial(**fields), digits)
    assert isinstance(last, Finished)
    assert last.status == "complete"


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({"optimizer": "adamw", "warm_up": {"kind": "linear", "part": 0.1}, "schedule": "cosine"}, True),
        (
            {"optimizer": {"kind": "adamw", "betas": [0.9, 0.95]}, "averaging": "ema", "loss": "binary_cross_entropy"},
            True,
        ),
        ({"warm_up": {"lr": 0.02}}, True),
        ({"optimizer": {"kind": "adamw", "alpha": 0.9}}, False),
        ({"optimiser": "adamw"}, False),
        ({"lr": "fast"}, False),
    ],
    ids=str,
)
def test_an_editor_checks_the_fields_next_to_a_base(changes: dict[str, Any], valid: bool) -> None:
    schema = TypeAdapter(NamedRecipe).json_schema()
    found = [*Draft202012Validator(schema).iter_errors({"base": "fast", **changes})]
    assert (found == []) == valid
