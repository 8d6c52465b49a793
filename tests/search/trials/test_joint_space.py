"""Spaces of networks together with recipes: points, conditions and constraints over both, and neighbours."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from resnet_space.errors import InputError
from search.data import DataSet
from search.trials.joint_space import JointSpace, SpaceOfStudy
from search.trials.recipe import Recipe
from search.trials.setup import Setup

TINY = {"width": 0.25, "input_shape": [1, 8, 8], "stages.*.units": 1}
LR = {"low": 0.01, "high": 1, "log": True}


def space(axes: dict[str, Any], **more: Any) -> JointSpace:
    given = {"base": "resnet20", "set": TINY, "recipe": {"epochs": 2}, "data": "digits", "axes": axes, **more}
    return JointSpace.of(given)


def test_a_point_has_the_network_and_the_recipe_of_its_assignment() -> None:
    point = space({"recipe.lr": LR, "unit.order": "all"}).point({"recipe.lr": 0.25, "unit.order": "original"})
    assert (point.net.unit.order, point.recipe, point.data) == (
        "original",
        Recipe(epochs=2, lr=0.25),
        DataSet(name="digits"),
    )


def test_the_network_of_a_space_of_recipes_is_the_same_for_all_of_them() -> None:
    where = space({"recipe.lr": LR})
    points = [where.point(where.draw(Random(seed))) for seed in range(20)]
    assert len({point.key for point in points}) == 20
    assert len({point.net.key for point in points}) == 1


def test_a_range_of_a_whole_number_has_whole_numbers() -> None:
    where = space({"recipe.batch_size": {"low": 16, "high": 128, "log": True}})
    assert [setup.recipe.batch_size for setup in where.enumerate()] == [16, 32, 64, 128]


def test_a_field_of_one_kind_of_schedule_is_active_with_this_kind_only() -> None:
    where = space({"recipe.schedule.kind": ["constant", "steps"], "recipe.schedule.decay": [0.1, 0.2]})
    assert list(where.assignments()) == [
        {"recipe.schedule.kind": "constant"},
        {"recipe.schedule.kind": "steps", "recipe.schedule.decay": 0.1},
        {"recipe.schedule.kind": "steps", "recipe.schedule.decay": 0.2},
    ]


@pytest.mark.parametrize(
    "when",
    [
        {"recipe.lr": {"unit.shortcut.kind": "identity"}},
        {"unit.shortcut.kind": {"recipe.lr": 0.1}},
    ],
)
def test_conditions_hold_between_axes_of_network_and_recipe_both_ways(when: dict[str, Any]) -> None:
    axes = {"recipe.lr": [0.1, 0.2], "unit.shortcut.kind": ["identity", "none"]}
    assert len(list(space(axes).assignments())) == 4
    assert len(list(space(axes, when=when).assignments())) == 3


def test_constraints_may_name_fields_of_the_recipe_and_the_network() -> None:
    where = space(
        {"recipe.lr": [0.1, 0.5, 0.9], "unit.shortcut.kind": ["identity", "none"]},
        constraints=["recipe.lr <= 0.5 or shortcut == none", "recipe.epochs == 2"],
    )
    assert len(list(where.enumerate())) == 5
    refused = where.point({"recipe.lr": 0.9, "unit.shortcut.kind": "identity"})
    assert where.feasible(refused) == (
        "recipe.lr <= 0.5 or shortcut == none is false: recipe.lr = 0.9, shortcut = identity"
    )
    assert where.violation(refused) == pytest.approx(0.8)


def test_a_move_changes_the_network_or_the_recipe() -> None:
    where = space({"recipe.lr": [0.1, 0.2, 0.4], "unit.shortcut.kind": ["identity", "none"]})
    point = where.point({"recipe.lr": 0.1, "unit.shortcut.kind": "identity"})
    near = [(setup.recipe.lr, setup.net.unit.shortcut.kind) for setup in where.neighbours(point)]
    assert near == [(0.2, "identity"), (0.1, "none")]


def test_a_move_on_a_continuous_axis_goes_both_ways() -> None:
    where = space({"recipe.lr": LR})
    lower, higher = [setup.recipe.lr for setup in where.neighbours(where.point({"recipe.lr": 0.1}))]
    assert lower < 0.1 < higher
    assert lower * higher == pytest.approx(0.01), "on a logarithmic axis, by equal factors"


def test_a_point_of_other_fixed_fields_is_not_in_the_space() -> None:
    where = space({"recipe.lr": LR})
    inside = where.point({"recipe.lr": 0.3})
    assert where.locate(inside) == {"recipe.lr": 0.3}
    assert where.makes(inside.recipe, inside.data)
    for changes in ({"momentum": 0.5}, {"lr": 2.0}, {"epochs": 3}):
        recipe = inside.recipe.model_copy(update=changes)
        assert where.locate(where.point_of(Setup(inside.net, recipe, inside.data, ""))) is None
        assert not where.makes(recipe, inside.data)


def test_an_inactive_axis_leaves_the_value_of_the_start_which_it_need_not_have() -> None:
    where = space(
        {"recipe.lr": [0.2, 0.3], "unit.shortcut.kind": ["identity", "none"]},
        when={"recipe.lr": {"unit.shortcut.kind": "none"}},
    )
    alone = where.point({"unit.shortcut.kind": "identity"})
    assert alone.recipe.lr == 0.1
    assert where.makes(alone.recipe, alone.data)
    assert where.locate(alone) == {"unit.shortcut.kind": "identity"}


def test_limits_of_the_data_make_different_points() -> None:
    where = space({"data.limit": [100, 200]})
    assert [setup.data.limit for setup in where.enumerate()] == [100, 200]
    assert len(where.networks or ()) == 2


def test_a_continuous_axis_of_a_recipe_cannot_be_enumerated() -> None:
    where = space({"recipe.lr": LR})
    assert where.size is None
    with pytest.raises(InputError, match=r"^axes\.recipe\.lr: a continuous range cannot be enumerated; give it a step"):
        list(where.enumerate())


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"recipe.lrr": [1]}, "axes: recipe.lrr: unknown field 'recipe.lrr'; did you mean 'recipe.lr'? allowed: "),
        ({"recipe.lr": [0]}, "axes: recipe.lr: must be greater than 0, not 0"),
        ({"recipe.schedule.kind": ["cosines"]}, "axes: recipe.schedule.kind: unknown schedule 'cosines'; "),
        ({"recipe.batch_size": {"low": 1.5, "high": 8}}, "axes: recipe.batch_size: low 1.5 must be a whole number"),
        ({"data.root": ["/a", "/b"]}, "axes.data.root: is where the data are, not which data, and all arms read the "),
        ({"data.size": [8, 16]}, "axes.data.size: changes the images, and a search compares networks on the same test"),
    ],
)
def test_a_wrong_axis_is_named_with_what_is_allowed(axes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        space(axes)
    assert str(refused.value).startswith(message)


def test_a_space_survives_a_round_trip() -> None:
    where = space({"recipe.lr": LR, "recipe.nesterov": "all"}, constraints=["recipe.lr <= 0.5"])
    assert JointSpace.from_yaml(where.to_yaml()) == where


def test_the_space_of_a_study_gets_its_recipe_and_data_from_the_study() -> None:
    written = {"base": "resnet20", "set": TINY, "axes": {"recipe.lr": LR}}
    complete = SpaceOfStudy.of(written).complete(Recipe(epochs=2), DataSet(name="digits"), constraints=["depth >= 8"])
    assert complete == space({"recipe.lr": LR}, constraints=["depth >= 8"])
    with pytest.raises(
        InputError, match=r"^recipe: unknown field 'recipe'; allowed: base, set, axes, when, constraints$"
    ):
        SpaceOfStudy.of(written | {"recipe": "fast"})


def test_a_value_that_is_written_in_a_shorter_form_is_one_of_the_space() -> None:
    where = space(
        {
            "recipe.augmentation.policy": [None, "rand_augment", {"kind": "rand_augment", "magnitude": 3}],
            "recipe.augmentation.erasing": [0, 0.25],
            "recipe.optimizer": ["sgd", "adamw"],
            "recipe.augmentation.mixup": {"low": 0, "high": 1},
        }
    )
    for seed in range(20):
        point = where.point(where.draw(Random(seed)))
        assert where.makes(point.recipe, point.data)
    other = Recipe.of({"epochs": 2, "augmentation": {"erasing": 0.5}})
    assert not where.makes(other, DataSet(name="digits"))
