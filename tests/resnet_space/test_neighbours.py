"""Relatives of residual networks: Highway, DenseNet, Inception-ResNet, stochastic depth, learned scalars."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from resnet_space import Architecture, InputError, build, complexity, preset
from resnet_space.modules import Unit

SMALL = {
    "input_shape": [1, 8, 8],
    "classes": 3,
    "stem": {"channels": 8},
    "stages": [{"units": 2, "channels": 8}, {"units": 2, "channels": 16, "stride": 2}],
    "transition": "B",
}


def small(**unit):
    return Architecture.of(SMALL | {"unit": unit})


def convolutions(unit):
    return [part for part in unit.F.modules() if isinstance(part, nn.Conv2d)]


# Highway: 1505.00387, equations 2 and 3.


def test_highway_layer_computes_the_formula_of_the_paper():
    torch.manual_seed(0)
    unit = build(preset("highway1", width=0.25)).eval().units[0]
    h, t = convolutions(unit)[0], unit.h.gate.conv
    x = torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        transformed = torch.relu(functional.conv2d(x, h.weight, h.bias, padding=1))
        gate = torch.sigmoid(functional.conv2d(x, t.weight, t.bias, padding=1))
        torch.testing.assert_close(unit(x), transformed * gate + x * (1 - gate))


def test_highway_layers_are_neither_normalised_nor_without_bias():
    model = build(preset("highway4"))
    assert not [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    assert all(part.bias is not None for part in model.modules() if isinstance(part, nn.Conv2d))


@pytest.mark.parametrize("name", ["highway1", "highway2", "highway3", "highway4"])
def test_gates_of_a_highway_initially_pass_the_input(name):
    gates = [unit.h.gate.conv for unit in build(preset(name)).units if unit.h.gate is not None]
    assert {gate.bias.max().item() for gate in gates} == {-4.0}
    assert {gate.kernel_size for gate in gates} == ({(3, 3), (1, 1)} if name == "highway4" else {(3, 3)})


def test_layers_on_a_map_of_one_pixel_are_fully_connected():
    net = Architecture.of(
        {
            "input_shape": [1, 8, 8],
            "stem": {"kernel": "full", "channels": 50},
            "stages": [{"units": 3, "channels": 50}],
            "unit": {
                "shortcut": {"kind": "exclusive_gate", "gate_bias": -2},
                "order": "relu_before_addition",
                "normalisation": "none",
                "branch": {"kind": "single", "kernel": 1},
            },
        }
    )
    # A layer from 64 pixels to 50, three with H and T of 50 x 50, and a classifier, all with biases.
    assert complexity(net).params == 65 * 50 + 3 * 2 * 51 * 50 + 51 * 10
    assert net.depth == 5


# Dense connectivity: 1608.06993, equation 2.


def test_dense_unit_appends_its_output_to_its_input():
    torch.manual_seed(0)
    net = small(shortcut="concatenation", order="full_preactivation", branch="dense_bottleneck")
    unit = build(net).eval().units[1]
    x = torch.randn(2, 16, 8, 8)
    with torch.no_grad():
        y = unit(x)
    assert torch.equal(y[:, :16], x)
    assert torch.equal(y[:, 16:], unit.F(x))
    assert [conv.out_channels for conv in convolutions(unit)] == [4 * 8, 8]


def test_channels_grow_by_the_growth_rate_and_are_compressed_between_stages():
    net = small(shortcut={"kind": "concatenation", "compression": 0.5}, order="full_preactivation", branch="single")
    grown = [(unit.in_channels, unit.forked[0], unit.out_channels) for unit in net.blueprint.units]
    assert grown == [(8, 8, 16), (16, 16, 24), (24, 12, 28), (28, 28, 44)]
    assert [unit.out_size for unit in net.blueprint.units] == [(8, 8), (8, 8), (4, 4), (4, 4)]


def test_transition_layer_of_a_densenet_is_normalised_convolved_and_averaged():
    net = small(shortcut="concatenation", order="full_preactivation", branch="single")
    names = [type(part).__name__ for part in build(net).units[2].shared]
    assert names == ["BatchNorm2d", "ReLU", "Conv2d", "AvgPool2d"]


@pytest.mark.parametrize(
    ("depth", "growth", "params"), [(40, 12, 1_019_722), (100, 12, 6_984_202), (100, 24, 27_249_418)]
)
def test_parameters_of_a_densenet_without_bottleneck_are_a_sum_over_its_layers(depth, growth, params):
    units, total, channels = (depth - 4) // 3, 3 * 9 * 16, 16
    for stage in range(3):
        if stage:
            total += 2 * channels + channels * channels
        for _ in range(units):
            total += 2 * channels + 9 * channels * growth
            channels += growth
    total += 2 * channels + 11 * channels - channels + 10
    net = preset("densenet40_k12").assign(
        {f"stages.{i}.{k}": v for i in range(3) for k, v in (("units", units), ("channels", growth))}
    )
    assert sum(weight.numel() for weight in build(net).parameters()) == total
    assert net.depth == depth


@pytest.mark.parametrize(
    "net",
    [
        small(shortcut="concatenation", order="full_preactivation", branch="dense_bottleneck"),
        small(shortcut="concatenation", branch="single"),
        small(shortcut="exclusive_gate"),
        small(shortcut="identity", survival=0.5),
    ],
    ids=["dense", "dense, original", "gated", "stochastic"],
)
def test_recomputing_changes_neither_outputs_nor_gradients_nor_running_statistics(net):
    kept, anew = build(net, seed=0), build(net, seed=0, recompute=True)
    x, y = torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    for model in (kept, anew):
        torch.manual_seed(1)
        functional.cross_entropy(model(x), y).backward()
    for (name, one), other in zip(kept.named_parameters(), anew.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, msg=name)
    for one, other in zip(kept.buffers(), anew.buffers(), strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(kept.eval()(x), anew.eval()(x))


def kept_bytes(net, *, recompute):
    """The bytes that a training step stores for the backward pass, without weights."""
    model = build(net, seed=0, recompute=recompute)
    own = {weight.data_ptr() for weight in model.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = (tensor.untyped_storage().nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(torch.randn(2, 1, 8, 8))
    return sum(size for size, _ in kept.values())


def test_memory_of_a_dense_stage_grows_with_its_square_and_recomputed_with_its_length():
    def net(units):
        return small(shortcut="concatenation", order="full_preactivation", branch="dense_bottleneck").assign(
            {"stages": [{"units": units, "channels": 8}]}
        )

    kept = [kept_bytes(net(units), recompute=False) for units in (10, 20, 40)]
    anew = [kept_bytes(net(units), recompute=True) for units in (10, 20, 40)]
    assert kept[2] / kept[1] > 2.5
    assert anew[2] / anew[1] < 2.2
    assert anew[2] < kept[2] / 5


# Stochastic depth: 1603.09382.


def test_survival_falls_linearly_with_depth():
    survivals = [unit.survival for unit in small(survival=0.5).blueprint.units]
    assert survivals == pytest.approx([1 - 0.5 * number / 4 for number in (1, 2, 3, 4)])


def test_branch_is_scaled_by_its_survival_in_evaluation():
    torch.manual_seed(0)
    unit = build(small(survival=0.5, order="full_preactivation")).eval().units[1]
    x = torch.randn(2, 8, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(unit(x), x + 0.75 * unit.F(x))


def test_branch_is_kept_in_training_with_its_survival_probability():
    torch.manual_seed(0)
    unit = build(small(survival=0.5, order="full_preactivation")).train().units[1]
    x = torch.randn(2, 8, 8, 8)
    with torch.no_grad():
        full = x + unit.F(x)
        outputs = [unit(x) for _ in range(400)]
    skipped = sum(torch.equal(y, x) for y in outputs)
    assert all(torch.equal(y, x) or torch.allclose(y, full) for y in outputs)
    # Three standard deviations of a binomial with p = 1/4.
    assert abs(skipped - 100) < 3 * math.sqrt(400 * 0.25 * 0.75)


@pytest.mark.parametrize("shortcut", ["none", "concatenation"])
def test_survival_is_refused_if_the_unit_passes_only_its_branch(shortcut):
    with pytest.raises(InputError, match=r"unit.survival: .* passes nothing on when the branch is dropped"):
        small(shortcut=shortcut, survival=0.5, order="full_preactivation", branch="single")


# Squeeze-and-excitation: 1709.01507, equations 2 to 4.


def test_squeeze_and_excitation_multiplies_each_channel():
    torch.manual_seed(0)
    unit = build(small(branch={"kind": "basic", "squeeze": 4})).eval().units[1]
    *layers, squeeze = unit.F
    _, down, _, up, _ = squeeze.excitation
    x = torch.randn(2, 8, 8, 8)
    with torch.no_grad():
        f = nn.Sequential(*layers)(x)
        hidden = torch.relu(f.mean((2, 3)) @ down.weight[:, :, 0, 0].T + down.bias)
        scale = torch.sigmoid(hidden @ up.weight[:, :, 0, 0].T + up.bias)
        torch.testing.assert_close(unit.F(x), f * scale[:, :, None, None])
    assert down.out_channels == 2


# Branches that start at zero.


@pytest.mark.parametrize("order", ["original", "bn_after_addition", "relu_before_addition", "full_preactivation"])
@pytest.mark.parametrize("shortcut", ["zero_init", "rezero", "skipinit", "fixup"])
def test_branch_begins_at_zero(shortcut, order):
    torch.manual_seed(0)
    unit = build(small(shortcut=shortcut, order=order)).eval().units[1]
    x = torch.rand(2, 8, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(unit.h(x, unit.F(x)), x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("order", ["original", "full_preactivation"])
@pytest.mark.parametrize("shortcut", ["zero_init", "fixup"])
@pytest.mark.parametrize(
    "branch",
    [
        "inception",
        {"kind": "basic", "squeeze": 2},
        {"kind": "dense_bottleneck", "squeeze": 2},
        {"kind": "written", "layers": "3x3/s c, [3x3 c/2 | 3x3 c/2]"},
        {"kind": "written", "layers": "[3x3/s c/2 | 3x3/s c/2], 1x1 c linear"},
    ],
    ids=str,
)
def test_branch_of_any_shape_begins_at_zero(branch, shortcut, order):
    torch.manual_seed(0)
    unit = build(small(shortcut=shortcut, order=order, branch=branch, normalisation="batch")).units[1]
    with torch.no_grad():
        assert unit.F(torch.rand(2, 8, 8, 8)).abs().max() < 1e-6


def test_fixup_of_one_convolution_has_no_other_convolution_to_scale():
    unit = build(small(shortcut="fixup", branch={"kind": "single", "squeeze": 2}, normalisation="none")).units[1]
    assert unit.F(torch.rand(2, 8, 8, 8)).abs().max() == 0


def test_zero_init_is_refused_if_a_path_through_the_branch_has_no_bn():
    with pytest.raises(InputError, match="not every path through the branch has one"):
        small(shortcut="zero_init", branch={"kind": "written", "layers": "[3x3/s c | max 3x3/s], 1x1 c linear"})


def test_skipinit_begins_at_its_scale_and_at_zero_is_rezero():
    net = small(shortcut={"kind": "skipinit", "scale": 0.5})
    assert build(net).units[0].h.gate.a.item() == 0.5
    assert small(shortcut="skipinit").key == small(shortcut="rezero").key != net.key


def test_fixup_scales_the_first_convolutions_and_zeroes_the_last_ones_and_the_classifier():
    plain = build(small(shortcut="rezero", normalisation="none"), seed=0)
    fixup = build(small(shortcut="fixup", normalisation="none"), seed=0)
    for one, other in zip(plain.units, fixup.units, strict=True):
        first, last = convolutions(other)
        # L = 4 units, m = 2 convolutions per branch.
        torch.testing.assert_close(first.weight, convolutions(one)[0].weight * 4**-0.5)
        assert last.weight.eq(0).all()
        assert other.h.gate.a.item() == 1
    assert fixup.head[-1].weight.eq(0).all()


def test_zero_init_needs_a_normalisation():
    with pytest.raises(
        InputError, match=r"zero_init sets the branch's last BN to 0, but not every path through the branch has one"
    ):
        small(shortcut="zero_init", normalisation="none")


# Without normalisation.


def test_without_normalisation_every_convolution_has_a_bias_and_nothing_is_normalised():
    model = build(small(normalisation="none", shortcut="conv1x1", branch="bottleneck"))
    assert not [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    assert all(part.bias is not None for part in model.modules() if isinstance(part, nn.Conv2d))


def test_orders_that_differ_in_bn_alone_are_one_without_it():
    keys = {order: small(order=order, normalisation="none").key for order in ("original", "bn_after_addition")}
    assert len(set(keys.values())) == 1
    assert small(order="original").key != small(order="bn_after_addition").key


@pytest.mark.parametrize(
    "unit",
    [
        {"shortcut": "concatenation", "branch": "dense_bottleneck", "order": "full_preactivation"},
        {"survival": 0.5},
        {"branch": {"kind": "inception", "squeeze": 4}},
        {"normalisation": "none", "shortcut": {"kind": "exclusive_gate", "gate_kernel": 3}},
        {"branch": {"kind": "written", "layers": "[1x1/s 4 | 3x3/s 4 in 2 groups], 1x1 c linear"}},
        {"shortcut": "fixup"},
    ],
    ids=str,
)
class TestEveryNeighbour:
    def test_comes_back_from_yaml(self, unit):
        net = small(**unit)
        assert Architecture.from_yaml(net.to_yaml()) == net
        assert Architecture.from_yaml(net.to_yaml()).key == net.key

    def test_costs_what_fvcore_counts_on_the_whole_net(self, unit):
        from resnet_space.counter import count

        net = small(**unit)
        whole, parts = count(build(net), net.input_shape), complexity(net)
        assert (parts.params, parts.macs, parts.activations) == (whole.params, whole.macs, whole.activations)
        assert (parts.elementwise, parts.uncounted) == (whole.elementwise, whole.uncounted)

    def test_learns(self, unit):
        """The loss on one batch falls to a fraction, which it does not if a part gets no gradient."""
        net = small(**unit)
        torch.manual_seed(0)
        model = build(net, seed=0)
        x, y = torch.randn(16, 1, 8, 8), torch.arange(16) % 3
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        losses = []
        for _ in range(60):
            loss = functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert min(losses[-10:]) < 0.5 * losses[0]

    def test_can_be_copied(self, unit):
        model = build(small(**unit), seed=0).eval()
        x = torch.randn(2, 1, 8, 8)
        assert torch.equal(copy.deepcopy(model)(x), model(x))
        assert all(isinstance(part, Unit) for part in model.units)
