"""A description is a frozen value: written and read again, it is equal."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from resnet_space import PRESETS, Architecture, preset
from resnet_space.branches import BRANCHES
from resnet_space.orders import ORDERS
from resnet_space.shortcuts import SHORTCUTS

SCHEMA = Architecture.model_json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("name", PRESETS)
class TestPreset:
    def test_comes_back_from_yaml(self, name):
        assert Architecture.from_yaml(preset(name).to_yaml()) == preset(name)

    def test_comes_back_from_json(self, name):
        assert Architecture.from_json(preset(name).to_json()) == preset(name)

    def test_comes_back_from_plain_data_without_defaults(self, name):
        assert Architecture.of(preset(name).to_dict()) == preset(name)

    def test_is_valid_by_the_json_schema(self, name):
        VALIDATOR.validate(json.loads(preset(name).to_json()))


@given(net=st.from_type(Architecture))
def test_any_net_comes_back_from_yaml(net):
    assert Architecture.from_yaml(net.to_yaml()) == net


@given(net=st.from_type(Architecture))
def test_any_net_comes_back_from_json(net):
    again = Architecture.from_json(net.to_json())
    assert again == net
    assert (hash(again), again.key) == (hash(net), net.key)


@given(net=st.from_type(Architecture))
def test_any_net_comes_back_from_plain_data_without_defaults(net):
    assert Architecture.of(net.to_dict()) == net


@given(net=st.from_type(Architecture))
def test_any_net_is_valid_by_the_json_schema(net):
    VALIDATOR.validate(json.loads(net.to_json()))


@given(bias=st.floats(-1e6, 1e6))
def test_any_number_comes_back_to_the_last_bit(bias):
    net = preset("resnet20", shortcut={"kind": "exclusive_gate", "gate_bias": bias})
    assert Architecture.from_yaml(net.to_yaml()).unit.shortcut.gate_bias == bias
    assert Architecture.from_json(net.to_json()).unit.shortcut.gate_bias == bias


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_net_comes_back_from_a_file(tmp_path, suffix):
    net, path = preset("resnet20"), tmp_path / f"net{suffix}"
    path.write_text(net.to_json() if suffix == ".json" else net.to_yaml(), encoding="utf-8")
    assert Architecture.from_yaml(path) == Architecture.from_yaml(str(path)) == net


def test_json_without_spaces_is_read_too():
    text = json.dumps(json.loads(preset("resnet20").to_json()), separators=(",", ":"))
    assert Architecture.from_json(text) == preset("resnet20")


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_shortcut_can_be_given_by_its_name(kind):
    bare = {"stages": [{"units": 1, "channels": 16}], "unit": {"shortcut": kind}}
    assert Architecture.of(bare) == Architecture.of(bare | {"unit": {"shortcut": {"kind": kind}}})
    VALIDATOR.validate(bare)


@pytest.mark.parametrize("kind", [kind for kind in BRANCHES if kind != "written"])
def test_branch_can_be_given_by_its_name(kind):
    bare = {"stages": [{"units": 1, "channels": 16, "unit": {"branch": kind}}]}
    written = {"stages": [{"units": 1, "channels": 16, "unit": {"branch": {"kind": kind}}}]}
    assert Architecture.of(bare) == Architecture.of(written)
    VALIDATOR.validate(bare)


@pytest.mark.parametrize("order", ORDERS)
def test_json_schema_accepts_every_order(order):
    VALIDATOR.validate({"stages": [{"units": 1, "channels": 16}], "unit": {"order": order}})


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"stages": []},
        {"stages": [{"units": 0, "channels": 16}]},
        {"stages": [{"units": 1, "channels": 16}], "unit": {"shortcut": "projecton"}},
        {
            "stages": [{"units": 1, "channels": 16}],
            "unit": {"shortcut": {"kind": "identity", "gate_bias": 1}},
        },
        {"stages": [{"units": 1, "channels": 16}], "unit": {"order": "preactivation"}},
        {"stages": [{"units": 1, "channels": 16}], "depth": 20},
        {"stages": [{"units": 1, "channels": 16}], "input_shape": [3, 32]},
    ],
)
def test_json_schema_refuses_wrong_values(wrong):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert not VALIDATOR.is_valid(wrong)


@given(net=st.from_type(Architecture), other=st.from_type(Architecture))
def test_equal_nets_have_equal_hashes_and_keys(net, other):
    again = Architecture.of(net.model_dump())
    assert len({net, again}) == 1
    assert net != other or net.key == other.key


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (lambda net: net, "classes"),
        (lambda net: net.stem, "kernel"),
        (lambda net: net.stages[0], "units"),
        (lambda net: net.unit, "order"),
        (lambda net: net.unit.shortcut, "kind"),
        (lambda net: net.unit.branch, "kind"),
    ],
)
def test_nothing_in_a_description_can_be_assigned(part, field):
    with pytest.raises(ValidationError, match="frozen"):
        setattr(part(preset("resnet20")), field, getattr(part(preset("resnet20")), field))


@given(net=st.from_type(Architecture))
def test_assigning_nothing_changes_nothing(net):
    assert net.assign({}) == net == net.replace()


@given(net=st.from_type(Architecture), classes=st.integers(1, 1000))
def test_assigning_changes_that_field_and_no_other(net, classes):
    changed = net.assign({"classes": classes})
    assert changed.classes == classes
    assert changed.assign({"classes": net.classes}) == net
