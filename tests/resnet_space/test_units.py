"""Every shortcut and order on a real unit, compared with the papers' formulas computed by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from resnet_space import Architecture, build, preset
from resnet_space.branches import BRANCHES
from resnet_space.conv_layers import Pointwise
from resnet_space.modules import Scalar
from resnet_space.orders import ORDERS
from resnet_space.shortcuts import SHORTCUTS
from resnet_space.testing.networks import a_gradient_reaches_every_weight

# 1603.05027, figure 4, a to e: the branch of two and of three convolutions, and the layers after the addition; then
# the layers at the end of the net, from section 4.
FIGURE_4 = {
    "original": ("conv bn relu conv bn", "conv bn relu conv bn relu conv bn", "relu", ""),
    "bn_after_addition": ("conv bn relu conv", "conv bn relu conv bn relu conv", "bn relu", ""),
    "relu_before_addition": ("conv bn relu conv bn relu", "conv bn relu conv bn relu conv bn relu", "", ""),
    "relu_only_preactivation": (
        "relu conv bn relu conv bn",
        "relu conv bn relu conv bn relu conv bn",
        "",
        "relu",
    ),
    "full_preactivation": (
        "bn relu conv bn relu conv",
        "bn relu conv bn relu conv bn relu conv",
        "",
        "bn relu",
    ),
}
PREACTIVATED = {"relu_only_preactivation": "relu", "full_preactivation": "bn relu"}
# The paper defines the layers on the projection and after the stem for the first and the last order. In the others, the
# projection follows the branch: it is normalised before the addition if F is, and never twice.
PROJECTION = {
    "original": "conv bn",
    "bn_after_addition": "conv",
    "relu_before_addition": "conv bn",
    "relu_only_preactivation": "conv bn",
    "full_preactivation": "conv",
}
STEM = {
    "original": "conv bn relu",
    "bn_after_addition": "conv bn relu",
    "relu_before_addition": "conv bn relu",
    "relu_only_preactivation": "conv bn",
    "full_preactivation": "conv",
}

# 1603.05027, equations of section 3; x as the shortcut carries it.
FORMULAS = {
    "identity": lambda x, f, g: x + f,
    "constant_scaling": lambda x, f, g: 0.5 * x + 0.5 * f,
    "exclusive_gate": lambda x, f, g: (1 - g) * x + g * f,
    "shortcut_only_gate": lambda x, f, g: (1 - g) * x + f,
    "conv1x1": lambda x, f, g: x + f,
    "dropout": lambda x, f, g: x + f,
    "none": lambda x, f, g: f,
    # 1706.02677, section 5.1; 2003.04887, eq. 2; 2002.10444, section 4; 1901.09321, section 3; g is the learned scalar.
    "zero_init": lambda x, f, g: x + f,
    "rezero": lambda x, f, g: x + g * f,
    "skipinit": lambda x, f, g: x + g * f,
    "fixup": lambda x, f, g: x + g * f,
}
CONCATENATED = "concatenation"
"""The only shortcut that is not a sum; test_neighbours.py tests it."""
SAME, RESHAPED = 1, 2
"""The unit of `small` that keeps its shape, and the one that changes it: 8 channels to 16, stride 2."""


def small(*, shortcut="identity", order="original", branch="basic", transition="B"):
    return Architecture.of(
        {
            "input_shape": [1, 7, 9],
            "classes": 3,
            "stem": {"channels": 8},
            "stages": [{"units": 2, "channels": 8}, {"units": 2, "channels": 16, "stride": 2}],
            "unit": {"shortcut": shortcut, "order": order, "branch": branch},
            "transition": transition,
        }
    )


def chain(modules):
    """The modules, in the terms of figure 4."""
    words = {nn.Conv2d: "conv", Pointwise: "conv", nn.BatchNorm2d: "bn", nn.ReLU: "relu"}
    return " ".join(words[type(module)] for module in modules)


def stirred(model):
    """Change all weights: some start at 0, which would hide the effect of other layers."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model


def normalised(bn, x):
    return functional.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias)


def carried(unit, x, carry, order, *, stride):
    """The input of h, computed by hand: unchanged, by option A, or by a 1x1 convolution."""
    if carry == "nothing":
        return None
    if carry == "keep":
        return x
    if carry == "pad":
        taken = x[:, :, ::stride, ::stride]
        return torch.cat([taken, torch.zeros_like(taken)], dim=1)
    conv, *bn = (module for module in unit.h.carry.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d))
    assert bool(bn) == ("bn" in ORDERS[order].projection)
    projected = functional.conv2d(x, conv.weight, stride=stride)
    return normalised(bn[0], projected) if bn else projected


def expected_carry(shortcut, transition, *, reshaped):
    if shortcut == "none":
        return "nothing"
    if shortcut == "conv1x1" or transition == "C":
        return "project"
    return {"A": "pad", "B": "project"}[transition] if reshaped else "keep"


def test_tables_here_have_what_the_paper_has():
    assert {*FORMULAS, CONCATENATED} <= set(SHORTCUTS)
    assert set(FIGURE_4) == set(PROJECTION) == set(STEM) <= set(ORDERS)


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("transition", ["A", "B"])
def test_a_net_has_bn_and_relu_where_the_row_of_its_order_says(name, transition):
    order, model = ORDERS[name], build(small(order=name, transition=transition))
    for index, unit in enumerate(model.units):
        shared = "" if isinstance(unit.shared, nn.Identity) else chain(unit.shared)
        assert shared == (order.first if index in (0, RESHAPED) else "")
        assert f"{shared} {chain(unit.F)}".split() == f"{order.first} conv {order.between} conv {order.last}".split()
        assert chain(unit.f) == order.after
    if transition == "B":
        assert chain(model.units[RESHAPED].h.carry).split() == f"conv {order.projection}".split()
    *tail, _, _, _ = model.head
    assert (chain(model.stem), chain(tail)) == (f"conv {order.stem}".strip(), order.tail)


@pytest.mark.parametrize("index", [SAME, RESHAPED], ids=["same", "reshaped"])
@pytest.mark.parametrize("transition", ["A", "B", "C"])
@pytest.mark.parametrize("order", FIGURE_4)
@pytest.mark.parametrize("shortcut", FORMULAS)
def test_unit_computes_the_formula_of_the_paper(shortcut, order, transition, index, randomised):
    torch.manual_seed(0)
    model = stirred(build(small(shortcut=shortcut, order=order, transition=transition)))
    unit = randomised(model).eval().units[index]
    reshaped, stride = index == RESHAPED, 2 if index == RESHAPED else 1
    x = torch.randn(2, 8, 7, 9)
    with torch.no_grad():
        shared = x
        if reshaped and order in PREACTIVATED and shortcut != "none":
            shared = torch.relu(normalised(unit.shared[0], x)) if "bn" in PREACTIVATED[order] else torch.relu(x)
        carry = expected_carry(shortcut, transition, reshaped=reshaped)
        h = carried(unit, shared, carry, order, stride=stride)
        g = None
        if isinstance(unit.h.gate, Scalar):
            g = unit.h.gate.a
        elif unit.h.gate is not None:
            conv = unit.h.gate.conv
            g = torch.sigmoid(functional.conv2d(shared, conv.weight, conv.bias, stride=stride))
        y = FORMULAS[shortcut](h, unit.F(shared), g)
        after = {"relu": torch.relu, "bn relu": lambda y: torch.relu(normalised(unit.f[0], y))}
        expected = after.get(FIGURE_4[order][2], lambda y: y)(y)
        torch.testing.assert_close(unit(x), expected)
    assert unit(x).shape == ((2, 16, 4, 5) if reshaped else x.shape)


@pytest.mark.parametrize("order", FIGURE_4)
@pytest.mark.parametrize(("branch", "column"), [("basic", 0), ("bottleneck", 1)])
class TestOrder:
    def test_branch_equals_figure_4(self, order, branch, column):
        unit = build(small(order=order, branch=branch)).units[SAME]
        assert chain(unit.F) == FIGURE_4[order][column]
        assert isinstance(unit.shared, nn.Identity)

    def test_layers_after_the_addition_equal_figure_4(self, order, branch, column):
        for unit in build(small(order=order, branch=branch)).units:
            assert chain(unit.f) == FIGURE_4[order][2]

    def test_first_activation_is_shared_at_changes_of_shape_and_in_the_first_unit(self, order, branch, column):
        units = build(small(order=order, branch=branch)).units
        for unit in (units[0], units[RESHAPED]):
            shared = "" if isinstance(unit.shared, nn.Identity) else chain(unit.shared)
            assert shared == PREACTIVATED.get(order, "")
            assert f"{shared} {chain(unit.F)}".strip() == FIGURE_4[order][column]

    def test_plain_net_has_the_same_branches(self, order, branch, column):
        for unit in build(small(order=order, branch=branch, shortcut="none")).units:
            assert chain(unit.F) == FIGURE_4[order][column]

    def test_head_has_the_activations_that_the_last_unit_lacks(self, order, branch, column):
        *tail, pool, flatten, linear = build(small(order=order, branch=branch)).head
        assert chain(tail) == FIGURE_4[order][3]
        assert [type(pool), type(flatten), type(linear)] == [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]


@pytest.mark.parametrize(("order", "modules"), PROJECTION.items())
@pytest.mark.parametrize("transition", ["B", "C"])
def test_projection_is_normalised_if_the_branch_is(order, modules, transition):
    assert chain(build(small(order=order, transition=transition)).units[RESHAPED].h.carry) == modules


@pytest.mark.parametrize(("order", "modules"), STEM.items())
def test_stem_has_the_activations_that_the_first_unit_needs(order, modules):
    assert chain(build(small(order=order)).stem) == modules


@pytest.mark.parametrize("transition", ["A", "B"])
def test_stride_alone_is_a_change_of_shape(transition):
    net = small(transition=transition, order="full_preactivation").assign({"stages.1.channels": 8})
    unit = build(net).units[RESHAPED]
    assert chain(unit.shared) == "bn relu"
    x = torch.randn(2, 8, 7, 9)
    if transition == "A":
        assert torch.equal(unit.h.carry(x), x[:, :, ::2, ::2])
    else:
        assert chain(unit.h.carry) == "conv"
        assert unit.h.carry(x).shape == (2, 8, 4, 5)


def test_units_of_the_original_order_end_in_relu():
    unit = build(small()).eval().units[SAME]
    assert unit(torch.randn(2, 8, 7, 9)).min() == 0


@pytest.mark.parametrize("index", [SAME, RESHAPED])
def test_option_a_takes_every_second_pixel_and_pads_with_zeros(index):
    unit = build(small(transition="A")).units[index]
    x = torch.randn(2, 8, 7, 9)
    carried = unit.h.carry(x)
    if index == SAME:
        assert torch.equal(carried, x)
    else:
        assert torch.equal(carried[:, :8], x[:, :, ::2, ::2])
        assert torch.equal(carried[:, 8:], torch.zeros(2, 8, 4, 5))


@pytest.mark.parametrize("stride_on", ["3x3", "1x1"])
def test_bottleneck_has_its_stride_at_stride_on(stride_on):
    net = small(branch={"kind": "bottleneck", "stride_on": stride_on, "width": 4, "cardinality": 2})
    first, middle, last = (m for m in build(net).units[RESHAPED].F if isinstance(m, nn.Conv2d))
    assert [conv.kernel_size[0] for conv in (first, middle, last)] == [1, 3, 1]
    assert (first.stride[0], middle.stride[0]) == {"3x3": (1, 2), "1x1": (2, 1)}[stride_on]
    assert last.stride[0] == 1
    # Width and channels double in the second stage; the number of groups stays.
    assert (middle.in_channels, middle.out_channels, middle.groups) == (8, 8, 2)


@pytest.mark.parametrize("kind", ["exclusive_gate", "shortcut_only_gate"])
class TestGate:
    def test_bias_at_initialisation_is_gate_bias(self, kind):
        for unit in build(small(shortcut={"kind": kind, "gate_bias": -6})).units:
            assert torch.equal(unit.h.gate.conv.bias, torch.full_like(unit.h.gate.conv.bias, -6))

    def test_closed_gate_passes_the_shortcut(self, kind):
        net = small(shortcut={"kind": kind, "gate_bias": -1000}, order="full_preactivation")
        unit = build(net).eval().units[SAME]
        x = torch.randn(2, 8, 7, 9)
        with torch.no_grad():
            assert torch.equal(unit(x), x if kind == "exclusive_gate" else x + unit.F(x))

    def test_open_gate_passes_only_the_branch(self, kind):
        net = small(shortcut={"kind": kind, "gate_bias": 1000}, order="full_preactivation")
        unit = build(net).eval().units[SAME]
        x = torch.randn(2, 8, 7, 9)
        with torch.no_grad():
            assert torch.equal(unit(x), unit.F(x))


class TestDropout:
    def test_is_the_identity_in_evaluation(self):
        dropped, identity = build(small(shortcut="dropout")).eval(), build(small()).eval()
        identity.load_state_dict(dict(zip(identity.state_dict(), dropped.state_dict().values(), strict=True)))
        x = torch.randn(2, 1, 7, 9)
        assert torch.equal(dropped(x), identity(x))

    def test_drops_elements_of_x_and_scales_the_rest_in_training(self):
        torch.manual_seed(0)
        unit = build(small(shortcut={"kind": "dropout", "p": 0.25}, order="full_preactivation")).train().units[SAME]
        x = torch.rand(64, 8, 7, 9) + 0.5
        carried = unit.h.carry(x)
        kept = carried != 0
        assert abs(1 - kept.float().mean() - 0.25) < 0.01
        torch.testing.assert_close(carried[kept], x[kept] / 0.75)


@pytest.mark.parametrize("transition", ["A", "B", "C"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_gradient_reaches_every_weight(shortcut, order, transition):
    a_gradient_reaches_every_weight(small(shortcut=shortcut, order=order, transition=transition))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("normalisation", ["batch", "none"])
@pytest.mark.parametrize("branch", BRANCHES)
def test_gradient_reaches_every_weight_of_any_branch(branch, normalisation, order):
    layers = {"layers": "[3x3/s c/2 | max 3x3/s, 1x1 c/2], 1x1 c linear"} if branch == "written" else {}
    net = small(branch={"kind": branch, "squeeze": 1, **layers}, order=order)
    a_gradient_reaches_every_weight(net.replace(normalisation=normalisation))


def test_only_gates_and_the_classifier_have_biases():
    model = build(small(shortcut="exclusive_gate", branch="bottleneck"))
    gates = {id(unit.h.gate.conv) for unit in model.units}
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            assert (module.bias is not None) == (id(module) in gates)
    assert model.head[-1].bias is not None


@pytest.mark.parametrize("name", ["resnet20", "resnet164"])
def test_convolutions_are_initialised_after_he_et_al_by_fan_out(name):
    torch.manual_seed(0)
    net = preset(name, transition="C").assign({"stages.*.units": 2})
    convs = [module for module in build(net).modules() if isinstance(module, nn.Conv2d)]
    for conv in convs:
        n = conv.weight.numel()
        std = math.sqrt(2 / (conv.kernel_size[0] ** 2 * conv.out_channels))
        # The relative standard error of the standard deviation of n normal draws is 1 / sqrt(2n); five are allowed.
        assert abs(conv.weight.std().item() / std - 1) < 5 / math.sqrt(2 * n)


def test_same_seed_gives_the_same_weights():
    models = []
    for _ in range(2):
        torch.manual_seed(3)
        models.append(build(small(shortcut="exclusive_gate")).state_dict())
    assert all(torch.equal(one, other) for one, other in zip(*(m.values() for m in models), strict=True))


@pytest.mark.parametrize("units", [1, 2, 7])
def test_depth_is_the_number_of_weighted_layers_on_the_longest_path(units):
    net = small().assign({"stages.*.units": units})
    model = build(net)
    in_branches = sum(isinstance(m, nn.Conv2d) for unit in model.units for m in unit.F)
    assert net.depth == in_branches + 2
