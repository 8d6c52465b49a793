"""The golden table: the exact costs of each network of the papers, and the published costs."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from resnet_space import PRESETS, InputError, build, complexity, preset
from resnet_space.descendants import DESCENDANTS
from resnet_space.neighbours import NEIGHBOURS

GOLDEN = Path(__file__).parent.parent / "golden"


def table(name):
    with (GOLDEN / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


PRESET_ROWS = {row["preset"]: row for row in table("presets.csv")}
"""The costs of every preset; `published_*` if the paper counts like resnet-space."""

OTHERWISE_ROWS = table("published_otherwise.csv")
"""Published numbers that are right with `change` to the preset, or with another convention of counting."""


def convolutions_and_classifier(counted):
    """MACs as the papers count them: without batch normalisation and pooling."""
    return counted.by_operator["conv"] + counted.by_operator["linear"]


def weights_of_convolutions_and_classifier(net):
    return sum(weight.numel() for weight in build(net).parameters() if weight.dim() > 1)


def printed(exact, published):
    """Whether a printed number is the exact one, rounded or truncated after the last printed digit."""
    digits = Decimal(published)
    unit = Decimal(1).scaleb(digits.as_tuple().exponent)
    return -unit / 2 <= exact - digits < unit


def test_every_preset_has_a_golden_row():
    assert [*PRESET_ROWS] == [*PRESETS]


@pytest.mark.parametrize("name", PRESETS)
def test_preset_has_the_costs_of_the_golden_table(name):
    row, counted = PRESET_ROWS[name], complexity(preset(name))
    got = {
        "depth": preset(name).depth,
        "params": counted.params,
        "macs": counted.macs,
        "activations": counted.activations,
    }
    assert got == {column: int(row[column]) for column in got}


@pytest.mark.parametrize("name", [name for name, row in PRESET_ROWS.items() if row["published_params"]])
def test_parameters_are_the_published_ones_as_printed(name):
    assert printed(complexity(preset(name)).params, PRESET_ROWS[name]["published_params"])


@pytest.mark.parametrize("name", [name for name, row in PRESET_ROWS.items() if row["published_macs"]])
def test_macs_of_convolutions_and_classifier_are_the_published_ones_as_printed(name):
    assert printed(convolutions_and_classifier(complexity(preset(name))), PRESET_ROWS[name]["published_macs"])


@pytest.mark.parametrize("row", OTHERWISE_ROWS, ids=lambda row: f"{row['preset']}-{row['change'] or row['counted']}")
def test_published_figure_holds_with_its_own_convention(row):
    path, _, value = row["change"].partition("=")
    net = preset(row["preset"]).assign({path: value} if path else {})
    exact = {
        "macs of convolutions and classifier": lambda: convolutions_and_classifier(complexity(net)),
        "weights of convolutions and classifier": lambda: weights_of_convolutions_and_classifier(net),
    }[row["counted"]]()
    assert printed(exact, row["published"])


@pytest.mark.parametrize("name", PRESETS)
def test_preset_has_a_source(name):
    papers = ("1512.03385", "1603.05027", "1611.05431")
    papers += ("1507.06228", "1608.06993", "1602.07261", "1605.07146", "1709.01507")
    papers += ("1812.01187", "1910.03151", "1912.11370", "1801.04381", "1905.11946", "2003.13678", "2201.03545")
    assert PRESETS[name].source.split()[0] in papers


OWN = [name for name in PRESETS if name not in NEIGHBOURS and name not in DESCENDANTS]
"""The residual networks that must be presets."""


@pytest.mark.parametrize("name", OWN)
def test_shortcuts_that_keep_their_shape_have_no_weights_in_a_preset(name):
    carries = {unit.carry for unit in preset(name).blueprint.units if unit.in_channels == unit.channels}
    assert carries == {"nothing"} if name.startswith("plain") else carries == {"keep"}


@pytest.mark.parametrize("name", OWN)
def test_transition_is_a_for_the_papers_own_cifar_nets_and_b_elsewhere(name):
    of_the_paper = ("plain20", "plain32", "plain44", "plain56", "plain110")
    of_the_paper += ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202")
    assert preset(name).transition == ("A" if name in of_the_paper else "B")


def test_all_required_presets_exist():
    cifar = {f"plain{n}" for n in (20, 32, 44, 56, 110)} | {f"resnet{n}" for n in (20, 32, 44, 56, 110, 1202, 164)}
    cifar |= {f"preresnet{n}" for n in (20, 56, 110, 164, 1001)} | {"resnext29_8x64d", "resnext29_16x64d"}
    imagenet = {"plain18", "plain34", "preresnet200", "resnext50_32x4d", "resnet101_1x100d"}
    imagenet |= {f"resnet{n}" for n in (18, 34, 50, 101, 152, 200)}
    imagenet |= {f"resnext101_{cxd}" for cxd in ("32x4d", "2x64d", "64x4d")}
    assert cifar | imagenet <= set(PRESETS)


def test_preset_takes_changes_by_the_name_of_the_field():
    net = preset("resnet110", shortcut={"kind": "exclusive_gate", "gate_bias": -6}, transition="B", classes=100)
    assert (net.unit.shortcut.kind, net.unit.shortcut.gate_bias) == ("exclusive_gate", -6)
    assert (net.transition, net.classes, net.depth) == ("B", 100, 110)


def test_preset_itself_is_not_changed():
    preset("resnet20", order="full_preactivation")
    assert preset("resnet20").unit.order == "original"


def test_name_of_a_preset_must_be_text():
    with pytest.raises(InputError, match="unknown preset"):
        preset(["resnet20"])
