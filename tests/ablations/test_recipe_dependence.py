"""Effects of the network that depend on the recipe are named; what is not shown is not denied."""

from collections.abc import Callable
from typing import Any

import pytest

from ablations.factors import Factor
from ablations.recipe_dependence import dependent, not_shown, recipe_factors
from ablations.run import AblationRun
from resnet_space import api

FACTORS = {
    "shortcut": {"path": "unit.shortcut.kind", "levels": ["identity", "conv1x1"]},
    "rate": {"path": "recipe.lr", "levels": [0.1, 0.2]},
}
JITTER = (0.001, -0.001, 0.0, 0.0005, -0.0005)


def errors(*cells: float) -> dict[str, list[Any]]:
    names = [f"{shortcut}, rate={rate}" for shortcut in ("identity", "conv1x1") for rate in (0.1, 0.2)]
    return {
        name: [cell + jitter * (1 if at % 2 else -1) for jitter in JITTER]
        for at, (name, cell) in enumerate(zip(names, cells, strict=True))
    }


@pytest.fixture
def factorial(ablation: Callable[..., AblationRun]) -> Callable[..., AblationRun]:
    def make(*cells: float) -> AblationRun:
        return ablation(errors(*cells), factors=FACTORS, design="factorial", baseline={}, seeds=len(JITTER))

    return make


def test_factors_of_the_recipe_are_those_that_change_nothing_else() -> None:
    both = {"levels": {"a": {"recipe.lr": 0.1}, "b": {"recipe.lr": 0.2, "unit.order": "original"}}}
    factors = {name: Factor.of(each) for name, each in {**FACTORS, "both": both}.items()}
    assert recipe_factors(factors) == ["rate"]


def test_an_effect_that_changes_with_the_recipe_is_named_in_the_answer(
    factorial: Callable[..., AblationRun],
) -> None:
    run = factorial(0.10, 0.10, 0.10, 0.20)
    (sentence,) = dependent(run.study.factors, run.effects, 0.05)
    assert sentence.startswith("The effect of shortcut depends on rate (p = 0.0")
    assert not_shown(run.study.factors, run.effects, 0.05) == []
    assert sentence in api.document(run).answer


def test_an_effect_that_is_the_same_with_both_recipes_is_not_said_to_depend(
    factorial: Callable[..., AblationRun],
) -> None:
    run = factorial(0.10, 0.12, 0.15, 0.178)
    assert dependent(run.study.factors, run.effects, 0.05) == []
    (sentence,) = not_shown(run.study.factors, run.effects, 0.05)
    assert sentence.startswith("1 interaction of network and recipe is not resolved")
    assert "depends" not in api.document(run).answer


def test_without_a_factor_of_the_recipe_nothing_is_said(ablation: Callable[..., AblationRun]) -> None:
    run = ablation({"a": [0.1, 0.2], "b": [0.2, 0.3]})
    assert dependent(run.study.factors, run.effects, 0.05) == not_shown(run.study.factors, run.effects, 0.05) == []
