"""Equivalent descriptions, whose outputs are equal, have one key; others have different keys."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import PRESETS, Architecture, build, preset
from resnet_space.activations import ACTIVATIONS
from resnet_space.blueprint import make_blueprint
from resnet_space.shortcuts import SHORTCUTS

ROOT = Path(__file__).parent.parent.parent

SMALL = {
    "input_shape": [3, 8, 8],
    "stem": {"channels": 8},
    "stages": [{"units": 3, "channels": 8}, {"units": 2, "channels": 16, "stride": 2}],
}
BOTTLENECKS = SMALL | {"stages": [{"units": 2, "channels": 16}], "transition": "B"}
ONE_SHAPE = SMALL | {"stages": [{"units": 3, "channels": 8}]}


def unit(**fields):
    return {"unit": fields}


def scaled(shortcut, branch):
    return unit(shortcut={"kind": "constant_scaling", "shortcut_scale": shortcut, "branch_scale": branch})


def split(description):
    first, *others = description["stages"]
    parts = [first | {"units": 1}, first | {"units": first["units"] - 1, "stride": 1}]
    return description | {"stages": parts + others}


def overridden(description, **fields):
    return description | {"stages": [stage | {"unit": fields} for stage in description["stages"]]}


GATE = {"kind": "exclusive_gate", "gate_bias": -6}

STEM = {"channels": 8, "activation": "gelu"}

SHORT = SMALL | {"stages": [{"units": 1, "channels": 8}, {"units": 1, "channels": 16, "stride": 2}]}
EQUIVALENT = {
    "a ReLU without a shortcut around it can belong to the previous unit": (
        SHORT | unit(order="relu_only_preactivation"),
        SHORT | unit(order="original"),
    ),
    "and so it may with gates": (
        SHORT | unit(order="relu_only_preactivation", shortcut="exclusive_gate"),
        SHORT | unit(order="original", shortcut="exclusive_gate"),
    ),
    "scaling by 1 and 1 is the identity": (SMALL | scaled(1, 1), SMALL),
    "scaling by 0 and 1 is a plain net": (SMALL | scaled(0, 1), SMALL | unit(shortcut="none")),
    "dropout of nothing is the identity": (SMALL | unit(shortcut={"kind": "dropout", "p": 0}), SMALL),
    "a bottleneck is a quarter wide by default": (
        BOTTLENECKS | unit(branch={"kind": "bottleneck", "width": 4}),
        BOTTLENECKS | unit(branch="bottleneck"),
    ),
    "one group is no groups": (
        BOTTLENECKS | unit(branch={"kind": "bottleneck", "cardinality": 1}),
        BOTTLENECKS | unit(branch="bottleneck"),
    ),
    "an identity that is projected everywhere is conv1x1": (
        SMALL | {"transition": "C"},
        SMALL | unit(shortcut="conv1x1"),
    ),
    "scaling by 1 and 1 that is projected everywhere is conv1x1": (
        SMALL | scaled(1, 1) | {"transition": "C"},
        SMALL | unit(shortcut="conv1x1"),
    ),
    "a plain net has no transition (A, B)": (
        SMALL | unit(shortcut="none") | {"transition": "A"},
        SMALL | unit(shortcut="none") | {"transition": "B"},
    ),
    "a plain net has no transition (A, C)": (
        SMALL | unit(shortcut="none") | {"transition": "A"},
        SMALL | unit(shortcut="none") | {"transition": "C"},
    ),
    "conv1x1 projects whatever the transition": (
        SMALL | unit(shortcut="conv1x1") | {"transition": "A"},
        SMALL | unit(shortcut="conv1x1") | {"transition": "C"},
    ),
    "without a change of shape A is B": (ONE_SHAPE | {"transition": "A"}, ONE_SHAPE | {"transition": "B"}),
    "without a stride its place does not matter": (
        BOTTLENECKS | unit(branch={"kind": "bottleneck", "stride_on": "1x1"}),
        BOTTLENECKS | unit(branch={"kind": "bottleneck", "stride_on": "3x3"}),
    ),
    "a stage in two parts is the stage": (split(SMALL), SMALL),
    "a pre-activated stage in two parts is the stage": (
        split(SMALL) | unit(order="full_preactivation"),
        SMALL | unit(order="full_preactivation"),
    ),
    "an override that says the same says nothing": (
        overridden(SMALL, shortcut="identity", order="original", branch="basic"),
        SMALL,
    ),
    "an override in every stage is the net's unit": (
        overridden(SMALL, shortcut=GATE),
        SMALL | unit(shortcut=GATE),
    ),
    "an override with nothing in it says nothing": (overridden(SMALL), SMALL),
    "minus zero is zero": (
        SMALL | unit(shortcut={"kind": "exclusive_gate", "gate_bias": -0.0}),
        SMALL | unit(shortcut={"kind": "exclusive_gate", "gate_bias": 0.0}),
    ),
    "scaling that is learned from 0 on has two names": (
        SMALL | unit(shortcut={"kind": "skipinit", "scale": 0}),
        SMALL | unit(shortcut="rezero"),
    ),
    "a basic branch may be written": (
        SMALL | unit(branch={"kind": "written", "layers": "3x3/s c, 3x3 c"}),
        SMALL | unit(branch="basic"),
    ),
    "a stem may be written": (
        SMALL | {"stem": {"kind": "written", "layers": "3x3 8"}},
        SMALL,
    ),
    "without BN its place does not matter": (
        SMALL | unit(order="bn_after_addition", normalisation="none"),
        SMALL | unit(order="original", normalisation="none"),
    ),
    "compression without a change of shape is none": (
        ONE_SHAPE | unit(shortcut={"kind": "concatenation", "compression": 0.5}),
        ONE_SHAPE | unit(shortcut="concatenation"),
    ),
    "attention by squeeze-and-excitation has a short form": (
        SMALL | unit(branch={"kind": "basic", "attention": {"kind": "squeeze_excitation", "reduction": 2}}),
        SMALL | unit(branch={"kind": "basic", "squeeze": 2}),
    ),
    "and so it has as text": (
        SMALL | unit(branch={"kind": "written", "layers": "3x3/s c, 3x3 c, se c/2"}),
        SMALL | unit(branch={"kind": "basic", "squeeze": 2}),
    ),
    "a normalisation without fields can be just its name": (
        SMALL | unit(normalisation={"kind": "batch"}),
        SMALL | unit(normalisation="batch"),
    ),
    "no activation may be removed where the order has none": (
        SMALL | unit(branch={"kind": "basic", "activation_at": [1]}),
        SMALL,
    ),
    "activations that are used nowhere are the same": (
        SMALL | unit(branch="single", order="linear_bottleneck", activation="gelu") | {"stem": STEM},
        SMALL | unit(branch="single", order="linear_bottleneck", activation="silu") | {"stem": STEM},
    ),
    "without activation its place does not matter": (
        SMALL | unit(order="relu_before_addition", activation="none"),
        SMALL | unit(order="linear_bottleneck", activation="none"),
    ),
    "a 1x1 kernel has no dilation": (
        SMALL | unit(branch={"kind": "basic", "kernel": 1, "dilation": 2}),
        SMALL | unit(branch={"kind": "basic", "kernel": 1}),
    ),
    "depthwise means a group for each channel": (
        SMALL | unit(branch={"kind": "written", "layers": "3x3 16, 3x3/s 16 depthwise, 1x1 c"}),
        SMALL | unit(branch={"kind": "written", "layers": "3x3 16, 3x3/s 16 in 16 groups, 1x1 c"}),
    ),
    "dropout of nothing on the branch is none": (SMALL | unit(branch={"kind": "basic", "dropout": 0.0}), SMALL),
    "blur without a stride is none": (ONE_SHAPE | unit(blur=True), ONE_SHAPE),
    "without a change of shape D is B": (ONE_SHAPE | {"transition": "D"}, ONE_SHAPE | {"transition": "B"}),
    "without a change of shape nothing is separate": (
        ONE_SHAPE | {"transition": "separate"},
        ONE_SHAPE | {"transition": "none"},
    ),
    "a stem's words are those of the unit": (
        SMALL | {"stem": STEM} | unit(activation="gelu"),
        SMALL | unit(activation="gelu"),
    ),
    "few numbers can be written as a list": (
        SMALL | {"stages": {"kind": "quantized_linear", "depth": 5, "w0": 8, "wa": 3.0, "wm": 2.0, "stride": 1}},
        SMALL
        | {
            "stages": [
                {"units": 2, "channels": 8},
                {"units": 3, "channels": 16, "stride": 2},
            ]
        },
    ),
    "a branch that always survives is not dropped": (SMALL | unit(survival=1.0), SMALL),
    "defaults may be left out": (SMALL | {"classes": 10} | unit(order="original"), SMALL),
}

ONE_CHANGE = [
    {"classes": 11},
    {"input_shape": [3, 8, 9]},
    {"input_shape": [1, 8, 8]},
    {"stem": {"channels": 8, "kernel": 5}},
    {"stem": {"channels": 8, "stride": 2}},
    {"stem": {"channels": 8, "max_pool": True}},
    {"transition": "B"},
    *({"transition": transition} for transition in ("C", "D", "none", "separate")),
    *(unit(activation=name) for name in ACTIVATIONS if name != "relu"),
    *(unit(normalisation=kind) for kind in ("group", "layer", "instance")),
    unit(normalisation={"kind": "group", "groups": 4}),
    unit(normalisation={"kind": "batch", "eps": 1e-3}),
    unit(weight_standardisation=True),
    unit(blur=True),
    unit(branch={"kind": "basic", "kernel": 5}),
    unit(branch={"kind": "basic", "dilation": 2}),
    unit(branch={"kind": "basic", "dropout": 0.3}),
    unit(branch={"kind": "basic", "activation_at": []}),
    unit(branch={"kind": "basic", "normalisation_at": [2]}),
    *(unit(branch=kind) for kind in ("inverted_bottleneck", "x_block", "convnext")),
    *(
        unit(branch={"kind": "basic", "attention": attention})
        for attention in (
            "eca",
            {"kind": "cbam", "reduction": 2},
            {"kind": "squeeze_excitation", "reduction": 2, "activation": "silu"},
            {"kind": "squeeze_excitation", "reduction": 2, "place": "middle"},
        )
    ),
    {"stem": {"kind": "deep", "channels": 8}},
    {"stem": {"kind": "patchify", "patch": 2, "channels": 8}},
    {"stem": {"kind": "space_to_depth", "block": 2, "channels": 8}},
    {"stem": {"channels": 8, "activation": "none"}},
    {"stem": {"channels": 8, "normalisation": "layer"}},
    {"head": "normalised"},
    {"head": {"kind": "convolution", "channels": 8}},
    {"stages": [{"units": 2, "channels": 8}, {"units": 2, "channels": 16, "stride": 2}]},
    {"stages": [{"units": 3, "channels": 8}, {"units": 2, "channels": 24, "stride": 2}]},
    {"stages": [{"units": 3, "channels": 8}, {"units": 2, "channels": 16, "stride": 1}]},
    {
        "stages": [
            {"units": 3, "channels": 8},
            {"units": 2, "channels": 16, "stride": 2, "unit": {"shortcut": "none"}},
        ]
    },
    *(unit(shortcut=kind) for kind in SHORTCUTS if kind not in ("identity", "conv1x1", "skipinit")),
    unit(shortcut={"kind": "skipinit", "scale": 0.5}),
    unit(shortcut={"kind": "concatenation", "compression": 0.5}),
    unit(shortcut={"kind": "exclusive_gate", "gate_kernel": 3}),
    unit(normalisation="none"),
    unit(survival=0.5),
    unit(branch="single"),
    unit(branch={"kind": "single", "kernel": 1}),
    unit(branch="dense_bottleneck"),
    unit(branch="inception"),
    unit(branch={"kind": "basic", "squeeze": 2}),
    unit(branch={"kind": "written", "layers": "3x3/s c, 3x3 c linear"}),
    unit(branch={"kind": "written", "layers": "3x3/s c, max 3x3, 3x3 c"}),
    {"stem": {"kernel": "full", "channels": 8}, "stages": [{"units": 3, "channels": 8}]},
    unit(shortcut={"kind": "exclusive_gate", "gate_bias": -1}),
    unit(shortcut={"kind": "shortcut_only_gate", "gate_bias": -1}),
    scaled(0.5, 1),
    scaled(1, 0.5),
    scaled(0, 0.5),
    unit(shortcut={"kind": "dropout", "p": 0.1}),
    *(unit(order=order) for order in ("bn_after_addition", "relu_before_addition", "full_preactivation")),
    unit(order="relu_only_preactivation"),
    unit(branch="bottleneck"),
    unit(branch={"kind": "bottleneck", "width": 4}),
    unit(branch={"kind": "bottleneck", "width": 4, "cardinality": 2}),
    unit(branch={"kind": "bottleneck", "stride_on": "1x1"}),
]


def outputs(net):
    """The output in training mode, so that dropout has an effect; one seed for weights, batch and dropout."""
    torch.manual_seed(0)
    model = build(net)
    return model(torch.randn(2, *net.input_shape))


@pytest.mark.parametrize("pair", EQUIVALENT.values(), ids=EQUIVALENT)
def test_equivalent_descriptions_have_one_key(pair):
    one, other = map(Architecture.of, pair)
    assert one.key == other.key


@pytest.mark.parametrize("pair", EQUIVALENT.values(), ids=EQUIVALENT)
def test_equivalent_descriptions_have_one_output(pair):
    one, other = map(Architecture.of, pair)
    assert torch.equal(outputs(one), outputs(other))


def test_networks_that_differ_in_one_thing_differ_in_their_keys():
    keys = {Architecture.of(SMALL | change).key: change for change in ({}, *ONE_CHANGE)}
    assert len(keys) == len(ONE_CHANGE) + 1


def test_presets_have_different_keys():
    assert len({row.net.key for row in PRESETS.values()}) == len(PRESETS)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        # Results are stored under these keys. If keys must change, increase SCHEMA in blueprint.py as well.
        ("plain20", "1296f0fae1cd8914"),
        ("resnet20", "d8bc4f47d2174355"),
        ("resnet50", "298b338610b01212"),
        ("preresnet1001", "b09d692a5bf56ee0"),
        ("resnext50_32x4d", "9ce28d6b903a002d"),
    ],
)
def test_key_is_unchanged(name, key):
    assert preset(name).key == key


def test_key_of_a_gated_net_is_unchanged():
    assert preset("resnet110", shortcut=GATE).key == "5c9b7e57c204b832"


def key_in_another_process(shortcut, *, hash_seed="0"):
    code = f"from resnet_space import preset; print(preset('resnet20', shortcut={shortcut!r}).key)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("seed", ["0", "1"])
def test_key_is_the_same_in_every_process(seed):
    assert key_in_another_process(GATE, hash_seed=seed) == preset("resnet20", shortcut=GATE).key


def test_key_does_not_depend_on_what_was_described_before():
    # -0.0 equals 0.0, so a cache could return one for the other: each runs in its own process here.
    keys = {key_in_another_process(GATE | {"gate_bias": bias}) for bias in (0.0, -0.0)}
    assert len(keys) == 1


@given(net=st.from_type(Architecture))
def test_key_is_16_hex_digits_of_the_blueprint(net):
    assert len(net.key) == 16
    assert int(net.key, 16) >= 0
    assert net.key == make_blueprint(net).key


def test_copy_with_a_change_has_the_key_of_the_change():
    net = preset("resnet20")
    assert net.key  # a blueprint drawn before the copy must not stay with it
    assert net.model_copy(update={"classes": 100}).key == net.replace(classes=100).key


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_equal_and_have_the_same_key(copied):
    net = preset("resnet20", shortcut=GATE)
    assert copied(net) == net
    assert hash(copied(net)) == hash(net)
    assert copied(net).key == net.key
