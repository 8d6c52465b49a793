"""A recipe is reported with all of its fields, whatever fields recipes have."""

from __future__ import annotations

import pytest

from reports.document.recipe import in_words
from search.trials.recipe import RECIPES, Recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_field_of_every_recipe_has_words(name: str) -> None:
    recipe = RECIPES[name]
    found = in_words(recipe)
    # Epochs and steps are one length, and momentum is of some optimisers.
    others = {"epochs", "steps", *({"momentum", "nesterov"} - set(recipe.model_dump()))}
    assert len(found) == 1 + len(set(Recipe.model_fields) - others)
    assert all(term and value for term, value in found)
    assert not any("_" in term for term, _ in found)


def test_a_kind_has_its_fields_in_parentheses() -> None:
    found = dict(in_words(RECIPES["paper-cifar"]))
    assert found["length"] == "64000 steps"
    assert found["schedule"] == "steps (milestones 0.5 and 0.75, decay 0.1)"
    assert "learning rate 0.01, until a training error of 0.8" in found["warm-up"]
    assert found["optimiser"] == "sgd"


def test_fields_that_another_optimiser_has_are_left_out() -> None:
    recipe = Recipe.model_validate({"epochs": 1, "optimizer": "adamw", "lr": 0.001})
    found = dict(in_words(recipe))
    assert found["optimiser"].startswith("adamw")
    assert "momentum" not in found
    assert found["gradient norm clipped to"] == "none"
