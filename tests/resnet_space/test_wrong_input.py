"""Wrong input gives one line per mistake: the path, the value, the allowed values, and the nearest name."""

# Each message is one line, written here as the user sees it.

import re

import pytest

from resnet_space import Architecture, InputError, preset
from resnet_space.activations import ACTIVATIONS
from resnet_space.attentions import ATTENTIONS
from resnet_space.branches import BRANCHES
from resnet_space.normalisations import NORMALISATIONS
from resnet_space.orders import ORDERS
from resnet_space.shortcuts import SHORTCUTS

NET = "stages: [{units: 1, channels: 16}]\n"
KINDS = ", ".join(SHORTCUTS)
NAMES = ", ".join(ORDERS)
GATED = ", ".join(kind for kind, cls in SHORTCUTS.items() if "gate_bias" in cls.model_fields)
FIELDS = "input_shape, classes, stem, stages, unit, transition, head"
UNIT = "shortcut, order, normalisation, activation, weight_standardisation, branch, blur, survival"
TRANSITIONS = "A, B, C, D, none, separate"

JARGON = re.compile(r"pydantic|http|type=|input_value|validation error|union|literal|discriminator|tuple|serializ")


def refusal(act):
    with pytest.raises(InputError) as caught:
        act()
    message = str(caught.value)
    assert not JARGON.search(message), message
    return message


def wrong(text):
    return refusal(lambda: Architecture.from_yaml(text))


def shortcut(text):
    return f"{NET}unit: {{shortcut: {text}}}\n"


def stages(text):
    return f"transition: A\nstages: {text}\n"


MESSAGES = {
    NET + "unit: {normalisation: instance}\nhead: normalised\n": (
        "head.normalisation: instance has one value to normalise in a map of 16 channels of 1x1, and would return 0 "
        "for all; use batch"
    ),
    # Unknown names.
    shortcut(
        "projecton"
    ): f"unit.shortcut.kind: unknown shortcut 'projecton'; did you mean 'conv1x1'? allowed: {KINDS}",
    shortcut(
        "{kind: dropot}"
    ): f"unit.shortcut.kind: unknown shortcut 'dropot'; did you mean 'dropout'? allowed: {KINDS}",
    shortcut("no"): f"unit.shortcut.kind: unknown shortcut 'no'; did you mean 'none'? allowed: {KINDS}",
    NET + "unit: {order: full_preactivaton}\n": "unit.order: unknown order 'full_preactivaton'; "
    f"did you mean 'full_preactivation'? allowed: {NAMES}",
    NET + "unit: {order: no}\n": f"unit.order: unknown order 'no'; allowed: {NAMES}",
    NET + "unit: {branch: bottle}\n": "unit.branch.kind: unknown branch 'bottle'; did you mean 'bottleneck'? "
    f"allowed: {', '.join(BRANCHES)}",
    NET + "unit: {branch: {kind: bottleneck, stride_on: 5x5}}\n": "unit.branch.stride_on: unknown stride_on '5x5'; "
    "allowed: 3x3, 1x1",
    NET + "transition: E\n": f"transition: unknown transition 'E'; allowed: {TRANSITIONS}",
    NET + "stem: {kernel: 4}\n": "stem.kernel: unknown kernel 4; allowed: 1, 3, 5, 7, full",
    # Unknown fields.
    NET + "clases: 10\n": f"clases: unknown field 'clases'; did you mean 'classes'? allowed: {FIELDS}",
    NET + "1: 2\n": "text: the key 1 must be text; put it in quotes",
    NET + "unit: {ordr: original}\n": f"unit.ordr: unknown field 'ordr'; did you mean 'order'? allowed: {UNIT}",
    shortcut("{kind: identity, gate_bias: -6}"): "unit.shortcut.gate_bias: identity has no 'gate_bias'; "
    f"it belongs to: {GATED}",
    shortcut("{kind: dropout, q: 0.5}"): "unit.shortcut.q: unknown field 'q'; allowed: kind, p",
    NET + "unit: {branch: {kind: basic, cardinality: 2}}\n": "unit.branch.cardinality: basic has no 'cardinality'; "
    "it belongs to: bottleneck",
    NET + "unit: {activation: rellu}\n": "unit.activation: unknown activation 'rellu'; did you mean 'relu'? "
    f"allowed: {', '.join(ACTIVATIONS)}",
    NET + "unit: {normalisation: grup}\n": "unit.normalisation.kind: unknown normalisation 'grup'; "
    f"did you mean 'group'? allowed: {', '.join(NORMALISATIONS)}",
    NET + "unit: {normalisation: {kind: batch, groups: 4}}\n": "unit.normalisation.groups: batch has no 'groups'; "
    "it belongs to: group",
    NET + "unit: {branch: {kind: basic, attention: sqeeze}}\n": "unit.branch.attention.kind: unknown attention "
    f"'sqeeze'; did you mean 'squeeze_excitation'? allowed: {', '.join(ATTENTIONS)}",
    # Numbers.
    NET + "classes: 0\n": "classes: must be at least 1, not 0",
    NET + "classes: -3\n": "classes: must be at least 1, not -3",
    NET + "classes: true\n": "classes: must be a whole number, not True",
    NET + "classes: 3.0\n": "classes: must be a whole number, not 3.0",
    NET + "classes: 3.5\n": "classes: must be a whole number, not 3.5",
    NET + "classes: .nan\n": "classes: must be a whole number, not nan",
    NET + "classes: '3'\n": "classes: must be a whole number, not '3'",
    NET + "classes:\n": "classes: must be a whole number, not None",
    NET + "stem: {channels: 0}\n": "stem.channels: must be at least 1, not 0",
    NET + "stem: {max_pool: 1}\n": "stem.max_pool: must be true or false, not 1",
    NET + "stem: {kernel: true}\n": "stem.kernel: unknown kernel True; allowed: 1, 3, 5, 7, full",
    NET + "stem: {kernel: 3.0}\n": "stem.kernel: unknown kernel 3.0; did you mean '3'? allowed: 1, 3, 5, 7, full",
    NET + "unit: {branch: {kind: bottleneck, width: 0}}\n": "unit.branch.width: must be at least 1, not 0",
    shortcut("{kind: exclusive_gate, gate_bias: .nan}"): "unit.shortcut.gate_bias: must be a finite number, not nan",
    shortcut("{kind: exclusive_gate, gate_bias: -.inf}"): "unit.shortcut.gate_bias: must be a finite number, not -inf",
    shortcut("{kind: exclusive_gate, gate_bias: true}"): "unit.shortcut.gate_bias: must be a number, not True",
    shortcut("{kind: exclusive_gate, gate_bias: '-6'}"): "unit.shortcut.gate_bias: must be a number, not '-6'",
    shortcut("{kind: dropout, p: 1.5}"): "unit.shortcut.p: must be less than 1, not 1.5",
    shortcut("{kind: dropout, p: -0.5}"): "unit.shortcut.p: must be at least 0, not -0.5",
    # Shapes of the document.
    "{}": "stages: required, and not given",
    "": "must be a mapping of fields, not None",
    "nonsense": "must be a mapping of fields, not 'nonsense'",
    "clases: 10": f"clases: unknown field 'clases'; did you mean 'classes'? allowed: {FIELDS}",
    '{"stages": [{"units": 1, "channels": 16}], "classes": 0}': "classes: must be at least 1, not 0",
    stages("3"): "stages: must be a list, not 3",
    stages("[]"): "stages: needs at least 1 of them, not 0",
    stages("[3]"): "stages.0: must be a mapping of fields, not 3",
    stages("[{units: 0, channels: 16}]"): "stages.0.units: must be at least 1, not 0",
    stages("[{channels: 16}]"): "stages.0.units: required, and not given",
    stages("[{units: 1, channels: 16, unit: {ordr: original}}]"): "stages.0.unit.ordr: unknown field 'ordr'; "
    f"did you mean 'order'? allowed: {UNIT}",
    NET + "input_shape: [3, 32]\n": "input_shape: must be [channels, height, width], not [3, 32]",
    NET + "input_shape: [3, 0, 32]\n": "input_shape.1: must be at least 1, not 0",
    shortcut("3"): "unit.shortcut: must be a mapping of fields, not 3",
    shortcut("{gate_bias: -6}"): f"unit.shortcut: needs a 'kind', not {{'gate_bias': -6}}; allowed: {KINDS}",
    # Parts that do not fit their channels or maps.
    NET + "unit: {normalisation: {kind: group, groups: 12}}\n": (
        "unit.normalisation.groups: 12 does not divide 16 channels; nearest that does: 8"
    ),
    stages("[{units: 1, channels: 16, unit: {normalisation: {kind: group, groups: 5}}}]"): (
        "stages.0.unit.normalisation.groups: 5 does not divide 16 channels; nearest that does: 4"
    ),
    NET + "head: {kind: normalised, normalisation: {kind: group, groups: 3}}\n": (
        "head.normalisation.groups: 3 does not divide 16 channels; nearest that does: 2"
    ),
    NET + "unit: {branch: {kind: basic, kernel: 4}}\n": (
        "unit.branch.kernel: must be odd, to keep the map's size, not 4; nearest: 3 and 5"
    ),
    NET + "input_shape: [3, 4, 4]\nunit: {branch: {kind: basic, kernel: 9}}\n": (
        "unit.branch.kernel: 9 is too large for a map of 4x4, since the outer weights would only meet padding; "
        "at most 7"
    ),
    NET + "input_shape: [3, 4, 4]\nunit: {branch: {kind: basic, dilation: 5}}\n": (
        "unit.branch.dilation: 5 is too large for a map of 4x4, since the outer weights would only meet padding; "
        "at most 3"
    ),
    NET + "unit: {branch: {kind: basic, attention: {kind: squeeze_excitation, reduction: 17}}}\n": (
        "unit.branch.attention.reduction: 17 is larger than the 16 channels; allowed: 1 to 16"
    ),
    NET + "unit: {branch: {kind: basic, squeeze: 4, attention: eca}}\n": (
        "unit.branch.squeeze: is short for an attention; give only one of them"
    ),
    NET + "unit: {branch: {kind: x_block, group_width: 5}}\n": (
        "unit.branch.group_width: 5 does not divide the width 16; nearest that does: 4"
    ),
    NET + "unit: {branch: {kind: x_block, ratio: 0.3}}\n": (
        "unit.branch.ratio: 0.3 of 16 channels is not a whole number; use channels that are a multiple of 10, "
        "or another ratio"
    ),
    NET + "unit: {branch: {kind: basic, activation_at: [3]}}\n": (
        "unit.branch.activation_at: 3 is not a convolution of this branch; allowed: 1 to 2"
    ),
    NET + "unit: {branch: {kind: single, dropout: 0.3}}\n": (
        "unit.branch.dropout: needs a branch of at least two convolutions one after the other"
    ),
    NET + "stem: {channels: 1}\nunit: {branch: {kind: single, kernel: 1}, weight_standardisation: true}\n": (
        "unit.weight_standardisation: 1x1 16 has one weight per output channel, which would always be 0; use more "
        "channels or a larger kernel"
    ),
    NET + "stem: {kind: patchify, patch: 64}\n": "stem.patch: 64 is larger than the image, 32x32",
    NET + "stem: {kind: space_to_depth, block: 5}\n": "stem.block: 5 does not divide the sides of the image, 32x32",
    NET + "stem: {blur: true}\n": "stem.blur: is that of the max pooling; set max_pool: true too",
    NET + "head: {kind: convolution}\n": "head.channels: required, and not given",
    "stages: {kind: quantized_linear, depth: 4, w0: 20, wa: 4, wm: 2}\n": (
        "stages.w0: must be a multiple of 8, not 20; nearest: 16"
    ),
    "stages: {kind: quantized_linear, depth: 4, w0: 16, wa: 4, wm: 1}\n": "stages.wm: must be greater than 1, not 1",
    # Networks that cannot be built.
    NET
    + "unit: {branch: {kind: bottleneck, width: 8, cardinality: 3}}\n": "unit.branch.cardinality: 3 does not divide "
    "the width 8; nearest that does: 2",
    NET + "unit: {branch: {kind: bottleneck, width: 64, cardinality: 30}}\n": "unit.branch.cardinality: 30 does not "
    "divide the width 64; nearest that does: 32",
    stages(
        "[{units: 1, channels: 18}]\nunit: {branch: bottleneck}"
    ): "unit.branch.width: a quarter of 18 channels is not a whole number; give the width",
    stages("[{units: 1, channels: 16}, {units: 1, channels: 24}]\nunit: {branch: {kind: bottleneck, width: 3}}"): (
        "unit.branch.width: 4.5 channels in a stage of 24 is not a whole number; use a multiple of 6"
    ),
    stages("[{units: 1, channels: 16, unit: {branch: {kind: bottleneck, width: 8, cardinality: 3}}}]"): (
        "stages.0.unit.branch.cardinality: 3 does not divide the width 8; nearest that does: 2"
    ),
    stages(
        "[{units: 1, channels: 16}, {units: 1, channels: 8}]"
    ): "stages.1.channels: transition A pads channels and cannot reduce them from 16 to 8; use transition B",
    stages("[{units: 1, channels: 16, stride: 64}]"): "stages.0.stride: 64 would shrink a map of 32x32 to nothing",
    stages(
        "[{units: 1, channels: 16}]\ninput_shape: [3, 1, 9]\nstem: {stride: 2}"
    ): "stem.stride: 2 would shrink a map of 1x9 to nothing",
    stages(
        "[{units: 1, channels: 16}]\ninput_shape: [3, 1, 1]\nstem: {max_pool: true}"
    ): "stem.max_pool: 2 would shrink a map of 1x1 to nothing",
}


@pytest.mark.parametrize("text", MESSAGES, ids=lambda text: MESSAGES[text][:60])
def test_message_names_path_value_and_what_is_allowed(text):
    assert wrong(text) == MESSAGES[text]


def test_every_mistake_has_its_own_line():
    lines = wrong(NET + "classes: 0\ntransition: E\nstem: {channels: '3'}\n").splitlines()
    assert lines == [
        "classes: must be at least 1, not 0",
        "stem.channels: must be a whole number, not '3'",
        f"transition: unknown transition 'E'; allowed: {TRANSITIONS}",
    ]


def test_long_values_are_shortened():
    assert len(wrong(NET + f"classes: {'x' * 500}\n")) < 120


def test_message_about_a_file_starts_with_its_name(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(NET + "classes: 0\n", encoding="utf-8")
    assert refusal(lambda: Architecture.from_yaml(path)) == f"{path}: classes: must be at least 1, not 0"


@pytest.mark.parametrize("written", ["1e-3", "1.0e-3", "0.001", "+0.001"])
def test_number_can_have_an_exponent(written):
    net = Architecture.from_yaml(shortcut(f"{{kind: exclusive_gate, gate_bias: {written}}}"))
    assert net.unit.shortcut.gate_bias == 1e-3


def test_integer_is_accepted_as_a_float():
    net = Architecture.from_yaml(shortcut("{kind: exclusive_gate, gate_bias: -6}"))
    assert net == Architecture.from_yaml(shortcut("{kind: exclusive_gate, gate_bias: -6.0}"))
    assert isinstance(net.unit.shortcut.gate_bias, float)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda: preset("resnet111"),
            "unknown preset 'resnet111'; did you mean 'resnet110'? allowed: plain20, ",
        ),
        (lambda: preset(20), "unknown preset 20; allowed: plain20, "),
        (lambda: preset("resnet20", depht=3), "depht: unknown field 'depht'; allowed: "),
        (lambda: preset("resnet20", units=3), "units: unknown field 'units'; did you mean 'unit'? allowed: "),
        (
            lambda: preset("resnet20", shortcut="gate"),
            "unit.shortcut.kind: unknown shortcut 'gate'; allowed: ",
        ),
        (lambda: preset("resnet20", order=None), "unit.order: unknown order None; allowed: "),
        (lambda: preset("resnet20", classes="10"), "classes: must be a whole number, not '10'"),
    ],
)
def test_wrong_preset_or_change_is_refused(act, message):
    assert refusal(act).startswith(message)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("unit.ordr", "original", f"unit.ordr: unknown field 'ordr'; did you mean 'order'? allowed: {UNIT}"),
        ("unit.kind", "basic", f"unit.kind: unknown field 'kind'; allowed: {UNIT}"),
        ("unitt.order", "original", f"unitt: unknown field 'unitt'; did you mean 'unit'? allowed: {FIELDS}"),
        ("unit.shortcut.gate_bias", -6, MESSAGES[shortcut("{kind: identity, gate_bias: -6}")]),
        ("stages.9.units", 1, "stages.9.units: '9' is not an index of a list of 3; allowed: 0 to 2, or *"),
        ("stages.-1.units", 1, "stages.-1.units: '-1' is not an index of a list of 3; allowed: 0 to 2, or *"),
        ("stages.units", 1, "stages.units: 'units' is not an index of a list of 3; allowed: 0 to 2, or *"),
        ("stages.0.units", 0, "stages.0.units: must be at least 1, not 0"),
        ("stages.1.channels", 8, "stages.1.channels: transition A pads channels and cannot reduce them from 16 to 8; "
        "use transition B"),
        ("stages.0.units.x", 1, "stages.0.units.x: 3 has no parts"),
        ("classes.x", 1, "classes.x: 10 has no parts"),
    ],
)  # fmt: skip
def test_wrong_path_is_refused(path, value, message):
    assert refusal(lambda: preset("resnet20").assign({path: value})) == message


@pytest.mark.parametrize("factor", [0, -1, -0.5, float("nan"), float("inf"), True, "2", None, [2]], ids=repr)
def test_width_must_be_a_positive_number(factor):
    message = refusal(lambda: preset("resnet20").assign({"width": factor}))
    assert message == f"width: must be a positive number, a factor on all channels, not {factor!r}"


def test_width_that_breaks_a_bottleneck_is_refused():
    message = refusal(lambda: preset("resnext50_32x4d").assign({"width": 0.3}))
    assert message.startswith("unit.branch.")
