"""A study's file: profiles, changes by path, and which setting overrides which."""

from pathlib import Path

import pytest

from ablations.study import Ablation
from resnet_space import InputError
from resnet_space.api.studies import load

TEXT = """
name: mine
net: resnet20
baseline: a
arms:
  a: {}
  b: {set: {unit.order: bn_after_addition}}
  c: {net: resnet32}
data: digits
recipe: {base: digits, epochs: 3}
set: {unit.order: relu_before_addition}
resources: {cpus: 1, retries: 5}
profiles:
  small: {set: {width: 0.5}, resources: {cpus: 0.5}}
  large: {net: resnet56, seeds: 7, recipe: paper-cifar}
"""


@pytest.fixture
def study(tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    return str(path)


def test_the_first_profile_is_the_default(study: str) -> None:
    assert load(study) == load(study, profile="small") != load(study, profile="large")


def test_a_profile_replaces_fields_and_merges_set_and_resources(study: str) -> None:
    small, large = load(study), load(study, profile="large")
    assert small.set == {"unit.order": "relu_before_addition", "width": 0.5}
    assert (small.resources.cpus, small.resources.retries) == (0.5, 5)
    assert (large.net, large.seeds, large.recipe.steps, large.recipe.epochs) == ("resnet56", 7, 64_000, None)


def test_an_arm_overrides_the_study(study: str) -> None:
    nets = load(study).architectures((1, 8, 8), 10)
    assert [net.unit.order for net in nets.values()] == [
        "relu_before_addition",
        "bn_after_addition",
        "relu_before_addition",
    ]
    assert [net.depth for net in nets.values()] == [20, 20, 32]
    assert {net.stem.channels for net in nets.values()} == {8}


def test_image_shape_and_classes_come_from_the_data(study: str) -> None:
    net = load(study).architectures((2, 9, 10), 4)["a"]
    assert (net.input_shape, net.classes) == ((2, 9, 10), 4)


def test_a_path_is_a_field_of_the_study_or_else_of_every_arm(study: str) -> None:
    changed = load(study, changes={"recipe.lr": 0.5, "seeds": 4, "transition": "B", "stages.*.units": 1})
    assert (changed.recipe.lr, changed.recipe.epochs, changed.seeds) == (0.5, 3, 4)
    assert {net.transition for net in changed.architectures((1, 8, 8), 10).values()} == {"B"}
    assert {net.depth for net in changed.architectures((1, 8, 8), 10).values()} == {8}


def test_a_study_is_restored_from_its_yaml(study: str) -> None:
    assert Ablation.from_yaml(load(study).to_yaml()) == load(study)


def test_an_error_names_the_wrong_arm(study: str) -> None:
    with pytest.raises(InputError, match=r"^arms\.a: stages\.2\.stride: 2 would shrink a map of 1x1 to nothing"):
        load(study).architectures((1, 2, 2), 10)
