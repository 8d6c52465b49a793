"""The description of tuned arms, and what a budget buys."""

from itertools import product
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablations.study import Ablation
from ablations.tuning.budget import expected_lowest
from resnet_space.errors import InputError

AXES = {"recipe.lr": {"low": 0.003, "high": 1, "log": True}}


def study(**tune: Any) -> Ablation:
    return Ablation.of(
        {
            "name": "tuned",
            "net": "resnet20",
            "arms": {"a": {}, "b": {"set": {"unit.shortcut": "none"}}},
            "baseline": "a",
            "data": "digits",
            "recipe": "digits",
            "tune": {"axes": AXES, **tune},
        }
    )


def test_eight_recipes_by_tpe_are_the_default() -> None:
    tune = study().tune
    assert tune is not None
    assert (tune.trials, tune.sampler.kind) == (8, "tpe")
    assert tune.sampler.blind < tune.trials


def test_a_study_without_tuning_is_written_as_before() -> None:
    assert not {"tune", "tuned"} & study().at_shared.to_dict().keys()
    assert Ablation.of(study().to_dict()) == study()


@pytest.mark.parametrize(
    ("tune", "says"),
    [
        ({"trials": 1}, "tune.trials: must be at least 2, not 1"),
        ({"axes": {}}, "tune.axes: needs at least 1"),
        ({"axes": {"unit.order": "all"}}, "unit.order: is not of the recipe"),
        ({"axes": {"data.limit": [100, 200]}}, "data.limit: is not of the recipe"),
        ({"axes": {"recipe.rate": [0.1, 0.2]}}, "did you mean"),
        ({"axes": {"recipe.lr": [0.1, -1]}}, "recipe.lr: must be greater than 0, not -1"),
        ({"sampler": "tpee"}, "tune.sampler.kind: unknown sampler 'tpee'; did you mean 'tpe'?"),
    ],
)
def test_wrong_tuning_is_refused(tune: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as error:
        study(**tune)
    assert says in str(error.value)


def test_several_data_sets_are_not_tuned_in_one_study() -> None:
    data = study().to_dict() | {"data": ["digits", "fake"]}
    with pytest.raises(InputError, match="tune: the study has several data sets"):
        Ablation.of(data)


def test_arms_at_their_own_recipes_differ_in_nothing_else() -> None:
    own = study().at_own({"b": {"recipe.lr": 0.3}})
    assert own.tune is None
    rates = [recipe.lr for recipe, _ in own.trainings]
    assert rates == [own.recipe.lr, 0.3]


def test_a_study_makes_recipes_along_its_axes_only() -> None:
    made = study()
    assert made.makes(made.recipe.model_copy(update={"lr": 0.02}), made.dataset)
    assert not made.makes(made.recipe.model_copy(update={"lr": 5.0}), made.dataset)
    assert not made.makes(made.recipe.model_copy(update={"lr": 0.02, "momentum": 0.5}), made.dataset)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_the_expected_lowest_error_is_the_mean_over_all_draws(errors: list[float]) -> None:
    for draws, expected in enumerate(expected_lowest(errors), 1):
        assert expected == pytest.approx(fmean(map(min, product(errors, repeat=draws))), abs=1e-12)
