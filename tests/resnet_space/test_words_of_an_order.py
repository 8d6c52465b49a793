"""What `bn` and `relu` in an order can mean: each activation and normalisation, compared with its formula."""

import math

import pytest
import torch
from laws import cases
from torch import nn

from resnet_space import Architecture, InputError, Space, build, preset
from resnet_space.activations import ACTIVATIONS
from resnet_space.api.catalogue import listing
from resnet_space.conv_layers import Standardised
from resnet_space.expressions import Expression
from resnet_space.fields import NAMES, lookup_of
from resnet_space.inspection import stages
from resnet_space.norm_layers import ChannelNorm, activation_layer, norm_layer
from resnet_space.normalisations import NORMALISATIONS
from resnet_space.testing import NETWORK_LAWS

# The formulas of the sources, in Python's own functions.
FORMULAS = {
    "relu": lambda x: max(0.0, x),
    "relu6": lambda x: min(max(0.0, x), 6.0),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "prelu": lambda x: x if x > 0 else 0.25 * x,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + math.exp(-x)),
    "hardswish": lambda x: x * min(max(0.0, x + 3), 6.0) / 6,
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
}

AXES = {"batch": (0, 2, 3), "group": None, "layer": (1,), "instance": (2, 3)}
"""What mean and variance are taken over, of (N, C, H, W)."""

UNITS = {
    **{f"activation {name}": {"activation": name} for name in ACTIVATIONS if name != "relu"},
    **{
        f"normalisation {kind}": {"normalisation": {"kind": kind, "groups": 4} if kind == "group" else kind}
        for kind in NORMALISATIONS
        if kind not in ("batch", "none")
    },
    "standardised weights": {"weight_standardisation": True},
    "blur": {"blur": True},
}


def small(**unit):
    stages = [{"units": 2, "channels": 8}, {"units": 1, "channels": 16, "stride": 2}]
    return Architecture.of(
        {
            "input_shape": [2, 8, 8],
            "classes": 3,
            "stem": {"channels": 8},
            "stages": stages,
            "unit": unit,
            "transition": "B",
        }
    )


def kinds_of_layers(module):
    return {type(part) for part in module.modules()}


def test_every_activation_has_its_formula_here():
    assert {*FORMULAS, "none"} == {*ACTIVATIONS}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_computes_its_formula(name):
    x = torch.linspace(-7, 7, 29).view(1, 1, 1, -1)
    expected = torch.tensor([FORMULAS[name](float(each)) for each in x.flatten()])
    torch.testing.assert_close(activation_layer(name, 1)(x).flatten(), expected)


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_that_can_die_has_no_gradient_over_a_range_where_it_is_zero(name):
    x = torch.linspace(-7, -3.5, 20).requires_grad_()
    y = activation_layer(name, 1)(x.view(1, 1, 1, -1))
    y.sum().backward()
    assert ACTIVATIONS[name].dies == (not y.any() and not x.grad.any())


@pytest.mark.parametrize("kind", [kind for kind in AXES if AXES[kind]])
def test_a_normalisation_has_mean_0_and_variance_1_over_its_axes(kind):
    x = torch.randn(4, 6, 5, 5) * 3 + 2
    y = norm_layer(NORMALISATIONS[kind](), 6)(x)
    torch.testing.assert_close(y.mean(AXES[kind]), torch.zeros_like(y.mean(AXES[kind])), atol=1e-5, rtol=0)
    variance = y.var(AXES[kind], correction=0)
    torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-3, rtol=0)


def test_group_normalisation_has_mean_0_and_variance_1_over_a_group_of_channels():
    x = torch.randn(4, 6, 5, 5) * 3 + 2
    groups = norm_layer(NORMALISATIONS["group"](groups=2), 6)(x).view(4, 2, 3, 5, 5)
    torch.testing.assert_close(groups.mean((2, 3, 4)), torch.zeros(4, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(groups.var((2, 3, 4), correction=0), torch.ones(4, 2), atol=1e-3, rtol=0)


def test_standardised_weights_have_mean_0_and_variance_1_in_each_output_channel():
    conv, one = Standardised(2, 3, 3, bias=False), nn.Conv2d(2, 3, 3, bias=False)
    deviation, mean = torch.std_mean(conv.weight, (1, 2, 3), correction=0, keepdim=True)
    one.weight.data = ((conv.weight - mean) / deviation).detach()
    x = torch.randn(2, 2, 6, 6)
    torch.testing.assert_close(conv(x), one(x))


@pytest.mark.parametrize(("unit", "law"), cases(UNITS, exported="activation gelu"))
def test_a_network_with_it_satisfies_the_law(unit, law):
    NETWORK_LAWS[law](small(**UNITS[unit]))


def test_stem_and_head_follow_the_unit():
    model = build(small(order="full_preactivation", activation="gelu", normalisation="layer"))
    assert nn.ReLU not in kinds_of_layers(model)
    assert nn.BatchNorm2d not in kinds_of_layers(model)
    assert {nn.GELU, ChannelNorm} <= kinds_of_layers(model.head)
    assert {nn.GELU, ChannelNorm} <= kinds_of_layers(build(small(activation="gelu", normalisation="layer")).stem)


def test_stem_and_head_can_have_their_own():
    net = small(order="full_preactivation").assign(
        {"head.kind": "normalised", "head.activation": "silu", "head.normalisation": "layer"}
    )
    kinds = kinds_of_layers(build(net).head)
    assert {nn.SiLU, ChannelNorm} <= kinds
    assert not {nn.ReLU, nn.BatchNorm2d} & kinds
    stem = build(small().assign({"stem.activation": "none", "stem.normalisation": "instance"})).stem
    assert [type(part) for part in stem] == [nn.Conv2d, nn.GroupNorm]


def test_a_stage_can_have_its_own_activation():
    model = build(small().assign({"stages.1.unit": {"activation": "gelu"}}))
    assert nn.GELU not in kinds_of_layers(model.units[1])
    assert nn.ReLU not in kinds_of_layers(model.units[2])


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        ({"activation_at": [2]}, "conv bn conv bn relu conv bn"),
        ({"activation_at": []}, "conv bn conv bn conv bn"),
        ({"normalisation_at": [1]}, "conv bn relu conv relu conv"),
        ({"activation_at": [1], "normalisation_at": [2]}, "conv relu conv bn conv"),
        ({"activation_at": [1, 2, 3]}, "conv bn relu conv bn relu conv bn"),
    ],
)
def test_words_stay_only_after_the_convolutions_that_keep_them(branch, expected):
    unit = build(small(branch={"kind": "bottleneck", **branch})).units[1]
    words = {nn.Conv2d: "conv", nn.BatchNorm2d: "bn", nn.ReLU: "relu"}
    assert " ".join(words[type(part)] for part in unit.F) == expected


def test_an_expression_can_name_activation_and_normalisation():
    net = small(activation="gelu", normalisation={"kind": "group", "groups": 4})
    for text in ("activation == gelu", "normalisation == group", "groups == 4", "unit.normalisation == group"):
        assert Expression(text, NAMES).evaluate(lookup_of(net)), text
    assert not Expression("activation in [relu, silu]", NAMES).evaluate(lookup_of(net))


def test_a_number_of_groups_is_an_axis_only_with_group_normalisation():
    space = Space.of(
        {
            "base": small().to_dict(),
            "axes": {
                "unit.normalisation.kind": ["batch", "group"],
                "unit.normalisation.groups": [2, 4],
                "unit.activation": "all",
            },
        }
    )
    assert space.size.distinct == 3 * len(ACTIVATIONS)
    assert len([*space.neighbours(space.start)]) == len(ACTIVATIONS) - 1 + 2


def test_show_names_what_is_not_the_default():
    _, rows = stages(small(activation="gelu", normalisation={"kind": "group", "groups": 4}))
    assert rows[1][-1] == "original, group groups 4 norm, gelu"
    assert stages(small())[1][1][-1] == "original"
    assert stages(small(normalisation="none"))[1][1][-1] == "original, no BN"


@pytest.mark.parametrize("what", ["activations", "normalisations", "attentions", "stems", "heads"])
def test_there_is_a_list_of_it(what):
    headings, rows = listing(what)
    assert all(len(row) == len(headings) for row in rows)
    assert len(rows) >= 3


def test_one_number_per_channel_is_not_normalised_away_in_silence():
    with pytest.raises(InputError, match="one weight per output channel"):
        preset("resnet20", weight_standardisation=True).assign({"input_shape": [1, 8, 8], "stem.kernel": 1})
