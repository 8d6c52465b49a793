"""Counts by distinct units are those of fvcore on the whole network."""

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_space import PRESETS, Architecture, build, complexity, counter, preset
from resnet_space.counter import ELEMENTWISE, LEFT_OUT, count
from resnet_space.shortcuts import SHORTCUTS

QUICK = [name for name, row in PRESETS.items() if row.net.depth <= 56 and not name.startswith("resnext29")]


def macs_by_plain_fvcore(net):
    model = build(net).eval()
    analysis = FlopCountAnalysis(model, torch.zeros(1, *net.input_shape))
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


@pytest.mark.parametrize("name", QUICK)
def test_preset_counted_by_units_is_the_whole_net(name):
    net = preset(name)
    assert complexity(net) == count(build(net), net.input_shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet110", "preresnet164"])
def test_deep_preset_counted_by_units_is_the_whole_net(name):
    net = preset(name)
    assert complexity(net) == count(build(net), net.input_shape)


@pytest.mark.slow
@settings(max_examples=50)
@given(net=st.from_type(Architecture))
def test_random_net_counted_by_units_is_the_whole_net(net):
    assert complexity(net) == count(build(net), net.input_shape)


@settings(max_examples=10)
@given(net=st.from_type(Architecture))
def test_macs_of_a_random_net_are_plain_fvcores(net):
    assert complexity(net).macs == macs_by_plain_fvcore(net)


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_macs_are_plain_fvcores_with_every_shortcut(kind):
    net = preset("resnet20", shortcut=kind)
    assert complexity(net).macs == macs_by_plain_fvcore(net)


def test_of_a_net_of_a_thousand_layers_each_distinct_unit_runs_once_and_each_distinct_operation_is_counted_once(
    monkeypatch,
):
    ran, counted = [], []
    gone_through, by_fvcore = counter._ran, counter.count
    monkeypatch.setattr(counter, "_ran", lambda *given: ran.append(given) or gone_through(*given))
    monkeypatch.setattr(counter, "count", lambda *given: counted.append(given) or by_fvcore(*given))
    monkeypatch.setattr(counter, "_COUNTED", {})
    for kept in (counter._like, counter._unit, counter._ends):
        kept.cache_clear()
    net = preset("preresnet1001")
    complexity(net)
    assert len(net.blueprint.units) == 333
    assert len(ran) == 2 + 3 * 2, "stem, head, and in each stage the first unit and the others"
    assert len(counted) < 100
    complexity(net)
    assert len(ran) == 8, "nothing is counted again"


def test_macs_are_the_sum_of_the_operators_that_are_not_elementwise():
    counted = complexity(preset("resnet20", shortcut="exclusive_gate"))
    assert counted.macs == sum(n for name, n in counted.by_operator.items() if name not in ELEMENTWISE)
    assert counted.elementwise == sum(n for name, n in counted.by_operator.items() if name in ELEMENTWISE)


@pytest.mark.parametrize(
    ("shortcut", "per_element"),
    [
        ("none", 0),
        ("identity", 1),
        ("conv1x1", 1),
        ("dropout", 1),
        ("constant_scaling", 3),  # a*x, b*F, +
        ("shortcut_only_gate", 4),  # sigmoid, 1 - g, *x, +
        ("exclusive_gate", 5),  # sigmoid, 1 - g, *x, *F, +
    ],
)
def test_elementwise_work_of_a_shortcut_is_counted(shortcut, per_element):
    net = preset("resnet20", shortcut=shortcut)
    outputs = sum(unit.channels * unit.out_size[0] * unit.out_size[1] for unit in net.blueprint.units)
    assert complexity(net).elementwise == per_element * outputs


def test_gate_and_identity_do_not_look_alike_beyond_the_gates_convolution():
    identity, gate = (complexity(preset("resnet20", shortcut=kind)) for kind in ("identity", "exclusive_gate"))
    assert gate.elementwise > identity.elementwise
    assert gate.macs > identity.macs


def test_what_is_not_counted_is_listed():
    assert complexity(preset("resnet20")).uncounted == ("pad", "relu", "slice")
    assert complexity(preset("resnet18", shortcut="dropout")).uncounted == ("dropout", "max_pool2d", "relu")


@settings(max_examples=10)
@given(net=st.from_type(Architecture))
def test_nothing_runs_that_is_neither_counted_nor_listed(net):
    assert set(complexity(net).uncounted) <= set(LEFT_OUT)


def test_counting_draws_no_random_numbers():
    uncommon = preset("resnet20").assign({"width": 1.0625})  # 17 channels: no other test has counted its units
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    complexity(uncommon)
    assert torch.equal(torch.rand(3), expected)


def test_counting_a_module_leaves_it_in_training_mode():
    net = preset("resnet20")
    model = build(net).train()
    count(model, net.input_shape)
    assert model.training


def test_counts_are_those_of_one_image_in_evaluation_mode_whatever_the_module_was_in():
    net = preset("resnet20", shortcut="dropout")
    assert count(build(net).train(), net.input_shape) == count(build(net).eval(), net.input_shape)
