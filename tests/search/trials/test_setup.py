"""Recipe and data by path: what a change sets, what it leaves as it is, and what wrong paths and values get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space.errors import InputError
from search.data import DataSet
from search.trials.identity import training_of
from search.trials.recipe import RECIPES, Recipe
from search.trials.setup import Setup, changed, differing
from search.trials.trial import TrialSpec

DIGITS = DataSet(name="digits")
FIVE = Recipe(epochs=5)


def test_a_value_is_set_by_path_and_all_others_stay() -> None:
    recipe, data = changed(FIVE, DIGITS, {"recipe.lr": 0.3, "recipe.augmentation.pad": 2, "data.limit": 100})
    assert recipe == Recipe.of({"epochs": 5, "lr": 0.3, "augmentation": {"pad": 2}})
    assert data == DataSet(name="digits", limit=100)


def test_paths_of_the_network_change_neither() -> None:
    assert changed(FIVE, DIGITS, {"unit.order": "original", "width": 0.5}) == (FIVE, DIGITS)


def test_another_kind_of_schedule_has_the_fields_of_its_kind() -> None:
    recipe, _ = changed(FIVE, DIGITS, {"recipe.schedule.decay": 0.5, "recipe.schedule.kind": "steps"})
    assert recipe.schedule.to_dict() == {"kind": "steps", "milestones": [0.5, 0.75], "decay": 0.5}


def test_a_complete_recipe_is_set_before_parts_of_it() -> None:
    recipe, _ = changed(FIVE, DIGITS, {"recipe.lr": 0.3, "recipe": "fast"})
    assert recipe == RECIPES["fast"].model_copy(update={"lr": 0.3})


@pytest.mark.parametrize(("before", "path"), [({"epochs": 5}, "recipe.steps"), ({"steps": 70}, "recipe.epochs")])
def test_a_length_replaces_one_in_the_other_unit(before: dict[str, int], path: str) -> None:
    recipe, _ = changed(Recipe.of(before), DIGITS, {path: 3})
    assert recipe == Recipe.of({path.removeprefix("recipe."): 3})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe.lrr": 1}, "recipe.lrr: unknown field 'lrr'; did you mean 'lr'? allowed: epochs, steps, batch_size"),
        ({"recipe.lr": -1}, "recipe.lr: must be greater than 0, not -1"),
        ({"recipe.schedule.kind": "cosines"}, "recipe.schedule.kind: unknown schedule 'cosines'; "),
        ({"recipe.lr.peak": 1}, "recipe.lr.peak: 0.1 has no parts"),
        ({"recipe": "fastest"}, "recipe: unknown recipe 'fastest'; did you mean 'fast'? allowed: paper-cifar, fast"),
        ({"recipe": 3}, "recipe: must be a mapping of fields, not 3"),
        ({"recipe.epochs": 3, "recipe.steps": 3}, "recipe: give either epochs or steps, not epochs=3 and steps=3"),
        ({"data.limits": 3}, "data.limits: unknown field 'limits'; did you mean 'limit'? allowed: name, root"),
        ({"data.root": "/data"}, "data.root: is where the data are, not which data, and all arms read the same; "),
        ({"data.name": "cifar10"}, "data.name: names another data set; within a study all arms have the same test "),
        ({"data": "cifar10"}, "data: names another data set; "),
    ],
)
def test_a_wrong_path_or_value_is_named_with_what_is_allowed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        changed(FIVE, DIGITS, changes)
    assert str(refused.value).startswith(message)


def test_another_optimizer_leaves_out_what_it_does_not_have() -> None:
    before = Recipe(epochs=5, momentum=0.8, nesterov=True)
    recipe, _ = changed(before, DIGITS, {"recipe.optimizer": "adamw", "recipe.lr": 0.001})
    assert recipe == Recipe.of({"epochs": 5, "optimizer": "adamw", "lr": 0.001})
    with pytest.raises(InputError, match=r"^recipe: momentum: adamw has none; it belongs to: "):
        changed(before, DIGITS, {"recipe.optimizer": "adamw", "recipe.momentum": 0.8})


def test_fields_that_are_not_written_by_default_have_paths_too() -> None:
    recipe, _ = changed(FIVE, DIGITS, {"recipe.loss.smoothing": 0.1, "recipe.dropout": 0.2})
    assert (recipe.loss.to_dict()["smoothing"], recipe.dropout) == (0.1, 0.2)


@given(
    st.fixed_dictionaries(
        {"epochs": st.integers(1, 9), "batch_size": st.integers(2, 512), "lr": st.floats(1e-6, 10)},
        optional={"weight_decay": st.floats(0, 1), "momentum": st.floats(0, 0.99), "compile": st.booleans()},
    )
)
def test_what_differs_between_two_recipes_turns_one_into_the_other(fields: dict[str, Any]) -> None:
    other = Recipe.of(fields)
    assert changed(FIVE, DIGITS, differing(FIVE, DIGITS, other, DIGITS)) == (other, DIGITS)


def test_a_setup_has_the_trials_of_its_specs(trial: Callable[..., TrialSpec]) -> None:
    spec = trial(seed=3, lr=0.2)
    setup = Setup.of(spec)
    assert setup.trial(3) == spec.key
    assert setup.spec(3) == spec
    assert setup.key == Setup.of(trial(seed=4, lr=0.2)).key != Setup.of(trial(seed=3)).key


def test_the_training_of_a_stored_trial_is_that_of_its_identity(trial: Callable[..., TrialSpec]) -> None:
    spec = trial(lr=0.2, schedule={"kind": "steps"})
    assert training_of(spec.model_dump(mode="json")) == spec.identity.training != trial().identity.training
