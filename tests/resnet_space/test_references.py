"""Torchvision's networks as references: the exact costs of the golden table, and no side effects."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest
import torch
import torchvision.models

from resnet_space import PRESETS, InputError
from resnet_space.references import REFERENCES, build, facts, reference_complexity

with (Path(__file__).parent.parent / "golden" / "references.csv").open(encoding="utf-8", newline="") as file:
    ROWS = {row["reference"]: row for row in csv.DictReader(file)}


def test_every_reference_has_a_golden_row_and_a_name_that_is_not_a_preset() -> None:
    assert [*ROWS] == [*REFERENCES]
    assert not REFERENCES.keys() & PRESETS.keys()


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_has_the_costs_of_the_golden_table(name: str) -> None:
    got = {column: getattr(reference_complexity(name), column) for column in ("params", "macs", "activations")}
    assert got == {column: int(ROWS[name][column]) for column in got}


@pytest.mark.parametrize("name", REFERENCES)
def test_macs_of_convolutions_and_classifier_are_those_torchvision_publishes(name: str) -> None:
    operators = reference_complexity(name).by_operator
    exact, published = operators["conv"] + operators["linear"], Decimal(ROWS[name]["published_macs"])
    assert abs(exact - published) <= Decimal(1).scaleb(published.as_tuple().exponent) / 2
    assert float(published) / 1e9 == torchvision.models.get_model_weights(name).DEFAULT.meta["_ops"]


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row["published_params"]])
def test_parameters_are_those_of_torchvisions_published_weights(name: str) -> None:
    meta = torchvision.models.get_model_weights(name).DEFAULT.meta
    assert reference_complexity(name).params == int(ROWS[name]["published_params"]) == meta["num_params"]


def test_inception_lacks_the_parameters_of_its_auxiliary_classifier() -> None:
    with torch.device("meta"):
        whole = torchvision.models.inception_v3(weights=None, aux_logits=True, init_weights=False)
    head = sum(weight.numel() for weight in whole.AuxLogits.parameters())
    assert reference_complexity("inception_v3").params == sum(weight.numel() for weight in whole.parameters()) - head


def test_vgg16_has_the_macs_printed_in_1512_03385() -> None:
    operators = reference_complexity("vgg16").by_operator
    assert operators["conv"] == pytest.approx(15.3e9, rel=0.005)


def test_building_a_reference_draws_no_random_number() -> None:
    before = torch.random.get_rng_state()
    build("alexnet")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_facts_of_a_reference_include_uncounted_operators() -> None:
    told = facts("alexnet")
    assert told["uncounted"] == ["dropout", "max_pool2d", "relu"]
    assert {"key", "depth"}.isdisjoint(told)


def test_an_unknown_reference_names_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown reference 'vgg-16'; did you mean 'vgg16'"):
        build("vgg-16")


def test_a_reference_cannot_be_changed() -> None:
    with pytest.raises(InputError, match=r"^--set width: vgg16 is a network of torchvision and cannot be changed"):
        facts("vgg16", {"width": 2})
