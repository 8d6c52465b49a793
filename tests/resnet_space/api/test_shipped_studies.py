"""The shipped studies: every arm is a different network, and has a row in the table of the paper."""

import jsonschema
import pytest

from ablations.published import results_of_arms, rows
from ablations.study import MATCHED_SUFFIX, Ablation
from resnet_space import complexity, documents
from resnet_space.api.catalogue import SCHEMAS
from resnet_space.api.studies import SHIPPED, load, shipped

SHAPES = {"digits": (1, 8, 8), "cifar10": (3, 32, 32), "fashion-mnist": (1, 28, 28)}

BESIDE = ("highway_depth", "gates_everywhere", "sum_or_concat", "inception_residual")
"""Studies whose table is in no single paper."""
FORMS = [(name, form) for name in shipped() for form in documents.read(str(SHIPPED / f"{name}.yaml"))["profiles"]]

ABLATIONS = [name for name in shipped() if isinstance(load(name), Ablation)]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_every_profile_is_a_study(name: str, form: str) -> None:
    assert load(name, profile=form).name == name


@pytest.mark.parametrize(("name", "form"), [(name, form) for name, form in FORMS if name in ABLATIONS])
def test_the_arms_of_every_profile_are_different_networks_or_have_other_recipes(name: str, form: str) -> None:
    study = load(name, profile=form)
    assert isinstance(study, Ablation)
    nets = study.architectures(SHAPES[study.data.name], 10)
    recipes = {arm: study.trained[arm.removesuffix(MATCHED_SUFFIX)][0] for arm in nets}
    assert len({(net.key, recipes[arm]) for arm, net in nets.items()}) == len(nets)
    assert study.control in nets
    assert set(study.all_arms) <= set(nets)


@pytest.mark.parametrize("name", shipped())
def test_the_laptop_profile_comes_first_and_needs_no_download(name: str) -> None:
    study = load(name)
    assert study.data.name == "digits"
    assert study == load(name, profile="laptop")


@pytest.mark.parametrize("name", [name for name in ABLATIONS if name not in ("depth", "gate_bias", *BESIDE)])
def test_every_arm_has_a_row_in_the_table_of_the_paper(name: str) -> None:
    study = load(name)
    assert results_of_arms(study).keys() == study.arms.keys()


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_study_has_planned_contrasts(name: str) -> None:
    study = load(name)
    assert isinstance(study, Ablation)
    assert study.planned.compare
    assert study.least_seeds >= 3


@pytest.mark.parametrize("name", ["shortcuts", "activations", "transitions", "cardinality_equal"])
def test_every_row_in_the_table_of_the_paper_has_an_arm(name: str) -> None:
    study = load(name)
    assert study.published is not None
    match = {"table": name, **study.published.match}
    there = [row for row in rows() if all(row[column] == value for column, value in match.items())]
    assert len(there) == len(study.arms)


@pytest.mark.parametrize("form", ["laptop", "paper"])
def test_dense_arms_have_the_cost_of_the_residual_arm(form: str) -> None:
    study = load("sum_or_concat", profile=form)
    costs = {name: complexity(net) for name, net in study.architectures(SHAPES[study.data.name], 10).items()}
    base = costs.pop("sum")
    for name, cost in costs.items():
        ratio = cost.params / base.params if "parameters" in name else cost.macs / base.macs
        assert ratio == pytest.approx(1, abs=0.03), name


def test_the_paper_profile_of_shortcuts_has_the_settings_of_the_paper() -> None:
    study = load("shortcuts", profile="paper")
    nets = study.architectures((3, 32, 32), 10)
    assert {net.depth for net in nets.values()} == {110}
    assert nets["identity"].transition == "A"
    recipe = study.recipe
    assert (recipe.steps, recipe.batch_size, recipe.lr, recipe.weight_decay) == (64_000, 128, 0.1, 1e-4)


def test_published_errors_are_fractions_and_fails_have_none() -> None:
    published = results_of_arms(load("shortcuts"))
    assert published["identity"].error == pytest.approx(0.0661)
    assert published["dropout 0.5"].error is None
    assert published["dropout 0.5"].fails


@pytest.mark.parametrize("name", shipped())
def test_every_study_is_valid_by_the_json_schema(name: str) -> None:
    jsonschema.validate(documents.read(str(SHIPPED / f"{name}.yaml")), SCHEMAS["study"]())


def test_a_misspelt_field_is_invalid_by_the_json_schema() -> None:
    data = documents.read(str(SHIPPED / "depth.yaml"))
    with pytest.raises(jsonschema.ValidationError, match="recipee"):
        jsonschema.validate({**data, "recipee": "fast"}, SCHEMAS["study"]())
