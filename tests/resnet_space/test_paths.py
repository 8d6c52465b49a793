"""Fields are read and set by path, and `width` multiplies all channels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import Architecture, InputError, complexity, preset
from resnet_space.paths import assign, lookup, split


def test_assigning_does_not_change_the_original_data():
    data = {"unit": {"order": "original"}}
    assert assign(data, {"unit.order": "full_preactivation"}) == {"unit": {"order": "full_preactivation"}}
    assert data == {"unit": {"order": "original"}}


@pytest.mark.parametrize(
    "changes",
    [
        {"unit.shortcut.kind": "exclusive_gate", "unit.shortcut.gate_bias": -6},
        {"unit.shortcut.gate_bias": -6, "unit.shortcut.kind": "exclusive_gate"},
        {"unit.shortcut.gate_bias": -6, "unit.shortcut": "exclusive_gate"},
        {"unit": {"shortcut": {"kind": "exclusive_gate", "gate_bias": -6}}},
    ],
    ids=str,
)
def test_kind_is_set_before_its_fields_in_every_order(changes):
    net = preset("resnet20").assign(changes)
    assert net == preset("resnet20", shortcut={"kind": "exclusive_gate", "gate_bias": -6})


def test_new_kind_removes_the_fields_of_the_previous_kind():
    gated = preset("resnet20", shortcut={"kind": "exclusive_gate", "gate_bias": -6})
    assert gated.assign({"unit.shortcut.kind": "dropout"}) == preset("resnet20", shortcut="dropout")


def test_same_kind_keeps_its_fields():
    gated = preset("resnet20", shortcut={"kind": "exclusive_gate", "gate_bias": -6})
    assert gated.assign({"unit.shortcut.kind": "exclusive_gate"}) == gated


@given(net=st.from_type(Architecture))
def test_star_stands_for_every_stage(net):
    assert [stage.units for stage in net.assign({"stages.*.units": 2}).stages] == [2] * len(net.stages)


def test_path_reaches_into_one_stage():
    net = preset("resnet20").assign({"stages.1.unit.shortcut.kind": "dropout", "stages.1.unit.shortcut.p": 0.1})
    assert net.stages[1].unit.shortcut.p == 0.1
    assert net.stages[0] == preset("resnet20").stages[0]


def test_path_reaches_one_element_of_a_shape():
    assert preset("resnet20").assign({"input_shape.0": 1}).input_shape == (1, 32, 32)


def test_replace_reaches_into_the_unit_by_bare_name():
    net = preset("resnet20").replace(order="full_preactivation", shortcut="dropout", classes=3)
    assert (net.unit.order, net.unit.shortcut.kind, net.classes) == ("full_preactivation", "dropout", 3)


@pytest.mark.parametrize(
    ("path", "value"),
    [("unit.order", "original"), ("stages.2.channels", 64), ("stages.*.units", 3), ("stem.kernel", 3)],
)
def test_lookup_returns_the_value_at_a_path(path, value):
    assert lookup(preset("resnet20").model_dump(), path) == value


@pytest.mark.parametrize("path", ["nothing", "unit.nothing", "classes.x", "stages.units", "stages.9", "stages.9.units"])
def test_lookup_of_a_missing_path_is_a_key_error(path):
    with pytest.raises(KeyError):
        lookup(preset("resnet20").model_dump(), path)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("unit.shortcut.gate_bias=-6", ("unit.shortcut.gate_bias", -6)),
        ("unit.shortcut.p=1e-3", ("unit.shortcut.p", 1e-3)),
        ("unit.shortcut=no", ("unit.shortcut", "no")),
        ("unit.shortcut={kind: dropout, p: 0.5}", ("unit.shortcut", {"kind": "dropout", "p": 0.5})),
        (" transition = B ", ("transition", "B")),
        ("stem.max_pool=true", ("stem.max_pool", True)),
        ("unit.branch.stride_on=1x1", ("unit.branch.stride_on", "1x1")),
    ],
)
def test_assignment_of_the_command_line_is_read_as_yaml(text, pair):
    assert split(text) == pair


@pytest.mark.parametrize("text", ["", "unit.order", "=original", " =original", "unit.shortcut={kind", "a=b: c: d"])
def test_wrong_assignment_is_refused_in_one_line(text):
    with pytest.raises(InputError) as caught:
        split(text)
    assert len(str(caught.value).splitlines()) == 1


class TestWidth:
    def test_multiplies_the_channels_of_stem_and_stages(self):
        net = preset("resnet20").assign({"width": 2})
        assert [net.stem.channels, *(stage.channels for stage in net.stages)] == [32, 32, 64, 128]

    def test_multiplies_the_width_of_a_bottleneck(self):
        net = preset("resnext50_32x4d").assign({"width": 2})
        assert (net.unit.branch.width, net.unit.branch.cardinality) == (256, 32)

    def test_multiplies_the_width_of_a_bottleneck_of_one_stage(self):
        branch = {"kind": "bottleneck", "width": 8}
        net = preset("resnet20").assign({"stages.0.unit.branch": branch}).assign({"width": 2})
        assert net.stages[0].unit.branch.width == 16

    def test_is_applied_after_the_other_changes(self):
        net = preset("resnet20").assign({"width": 2, "stem.channels": 8, "stages.0.channels": 8})
        assert (net.stem.channels, net.stages[0].channels) == (16, 16)

    def test_rounds_and_leaves_at_least_one_channel(self):
        assert [stage.channels for stage in preset("resnet20").assign({"width": 0.4}).stages] == [6, 13, 26]
        assert [stage.channels for stage in preset("resnet20").assign({"width": 1e-9}).stages] == [1, 1, 1]

    def test_of_one_changes_nothing(self):
        assert preset("resnext50_32x4d").assign({"width": 1}) == preset("resnext50_32x4d")

    def test_of_two_multiplies_the_macs_of_convolutions_by_four_except_the_stem(self):
        narrow, wide = complexity(preset("resnet20")), complexity(preset("resnet20").assign({"width": 2}))
        stem = 27 * 16 * 32 * 32
        assert wide.by_operator["conv"] - 2 * stem == 4 * (narrow.by_operator["conv"] - stem)
