"""Search spaces: their networks, their size, and the laws that samplers rely on."""

import math
import pickle
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_space import fields, space
from resnet_space.architecture import Architecture
from resnet_space.axes import Axis, Choices, Range
from resnet_space.errors import InputError
from resnet_space.orders import ORDERS
from resnet_space.shortcuts import SHORTCUTS
from resnet_space.space import Space, SpaceSize

TINY = {
    "input_shape": [1, 8, 8],
    "classes": 2,
    "stem": {"channels": 8},
    "stages": [{"units": 1, "channels": 8}, {"units": 1, "channels": 16, "stride": 2}],
}
KINDS = "unit.shortcut.kind"
BIAS = "unit.shortcut.gate_bias"
BOTTLENECK = {"unit.branch.kind": "bottleneck", "unit.branch.width": 8}

POOL: dict[str, list[Any]] = {
    KINDS: [
        ["identity", "exclusive_gate", "none"],
        ["identity", "dropout", "conv1x1"],
        ["shortcut_only_gate"],
    ],
    BIAS: [{"low": -4, "high": 0, "step": 2}, [-6, 0]],
    "unit.shortcut.p": [[0, 0.5], {"low": 0, "high": 0.3, "step": 0.1}],
    "unit.order": [["original", "full_preactivation"]],
    "unit.branch.kind": ["all"],
    "unit.branch.cardinality": [{"low": 1, "high": 8, "log": True}, [1, 3]],
    "stages.*.units": [[1, 3, 2], {"low": 1, "high": 2}],
    "stages.1.unit.order": [["original", "relu_before_addition"]],
    "transition": ["all"],
    "width": [[0.5, 1]],
}


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    paths = draw(st.lists(st.sampled_from(sorted(POOL)), max_size=4, unique=True))
    axes = {path: draw(st.sampled_from(POOL[path])) for path in paths}
    limits = draw(st.sampled_from([[], ["depth >= 6"], ["unit.branch.width >= 4 * cardinality", "depth < 12"]]))
    return Space.of({"base": TINY, "axes": axes, "constraints": limits})


def tiny(axes: dict[str, Any], **more: Any) -> Space:
    return Space.of({"base": TINY, "axes": axes, **more})


# --- laws


@settings(max_examples=25)
@given(spaces(), st.integers(0, 3))
def test_sampled_net_is_contained_feasible_and_determined_by_the_seed(found: Space, seed: int) -> None:
    net = found.sample(seed)
    assert found.contains(net)
    assert found.feasible(net) is None
    assert found.sample(seed) == net


@settings(max_examples=25)
@given(spaces())
def test_enumeration_has_each_net_once_and_as_many_as_size_says(found: Space) -> None:
    nets = [net.key for net in found.enumerate()]
    assert len(nets) == len(set(nets))
    size = found.size
    assert size is not None
    assert size.distinct == len(nets)
    assert size.active is not None
    assert size.infeasible is not None
    assert size.raw >= size.active >= size.infeasible + len(nets)


@settings(max_examples=15)
@given(spaces(), st.integers(0, 3))
def test_neighbours_are_symmetric(found: Space, seed: int) -> None:
    net = found.sample(seed)
    for near in list(found.neighbours(net))[:6]:
        assert near.key != net.key
        assert found.contains(near)
        assert net.key in {back.key for back in found.neighbours(near)}


@settings(max_examples=25)
@given(spaces())
def test_yaml_round_trip_gives_the_same_space(found: Space) -> None:
    again = Space.from_yaml(found.to_yaml())
    assert again == found
    assert hash(again) == hash(found)
    assert again.sample(0) == found.sample(0)


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3), st.none() | st.floats(0.01, 10), st.booleans(), st.integers(0, 9))
def test_draws_of_a_range_are_members_and_adjacency_is_symmetric(
    low: float, span: float, step: float | None, log: bool, seed: int
) -> None:
    if log:
        low, step = abs(low) + 0.01, None
    axis = Range(low=low, high=low + span, step=step, log=log)
    value = axis.draw(Random(seed))
    assert axis.member(value) == value
    for near in axis.adjacent(value):
        back = [math.isclose(value, own, rel_tol=1e-6, abs_tol=1e-6) for own in axis.adjacent(axis.member(near))]
        assert any(back)


def test_json_schema_accepts_every_form_of_axes() -> None:
    data = {
        "base": TINY,
        "axes": {"unit.order": "all", BIAS: {"low": -2, "high": 0, "step": 1}, KINDS: ["exclusive_gate"]},
        "when": {BIAS: {KINDS: "exclusive_gate"}, "unit.order": {KINDS: ["exclusive_gate"]}},
        "constraints": ["depth > 3"],
    }
    jsonschema.validate(data, Space.model_json_schema())
    # In a net of one-unit stages, the order with only a ReLU first is equivalent to the original one.
    whole, distinct = 3 * len(ORDERS), 3 * (len(ORDERS) - 1)
    assert Space.of(data).size == SpaceSize(raw=whole, active=whole, distinct=distinct, infeasible=0)


def test_space_can_be_pickled() -> None:
    found = tiny({KINDS: "all"}, constraints=["depth > 3"])
    assert found.size == pickle.loads(pickle.dumps(found)).size


# --- size


def test_inactive_axes_are_counted_in_the_raw_size_only() -> None:
    found = tiny({KINDS: ["identity", "exclusive_gate", "none"], BIAS: {"low": -8, "high": 0, "step": 2}})
    assert found.size == SpaceSize(raw=15, active=7, distinct=7, infeasible=0)


def test_equivalent_nets_are_counted_once_and_failures_are_counted() -> None:
    found = tiny(
        {"unit.branch.cardinality": [1, 3, 8], "transition": ["A", "B", "C"]}, set=BOTTLENECK | {KINDS: "none"}
    )
    assert found.size == SpaceSize(raw=9, active=9, distinct=2, infeasible=3)


def test_when_makes_an_axis_inactive() -> None:
    axes = {"unit.order": ["original", "full_preactivation"], "transition": ["A", "B"]}
    found = tiny(axes, when={"unit.order": {"transition": "B"}})
    assert found.size == SpaceSize(raw=4, active=3, distinct=3, infeasible=0)
    assert [net.transition for net in found.enumerate()] == ["A", "B", "B"]


def test_space_without_axes_is_its_base() -> None:
    assert [net.key for net in tiny({}).enumerate()] == [Architecture.of(TINY).key]


def test_space_with_a_continuous_range_has_no_size_and_no_enumeration_but_can_be_sampled() -> None:
    found = tiny({KINDS: ["exclusive_gate"], BIAS: {"low": -8, "high": 0}})
    assert found.size is None
    with pytest.raises(
        InputError, match=r"axes.unit.shortcut.gate_bias: a continuous range cannot be enumerated; give it"
    ):
        found.enumerate()
    net = found.sample(3)
    assert -8 <= net.unit.shortcut.model_dump()["gate_bias"] <= 0
    assert found.contains(net)
    assert len(list(found.neighbours(net))) == 2


def test_very_large_space_is_not_counted_but_can_be_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "MAX_COUNTED", 5)
    found = tiny({"classes": {"low": 1, "high": 10}})
    assert found.size == SpaceSize(raw=10, active=None, distinct=None, infeasible=None)
    assert found.contains(found.sample(0))
    assert not found.contains(Architecture.of(TINY | {"classes": 11}))


# --- constraints


def test_constraints_hold_for_every_net() -> None:
    found = tiny({"stages.*.units": [1, 2, 3], "width": [1, 2]}, constraints=["depth >= 10", "params < 2e4"])
    assert {(net.depth, net.stem.channels) for net in found.enumerate()} == {(10, 8), (14, 8)}


def test_broken_constraint_is_named_with_its_values() -> None:
    found = tiny({}, constraints=["depth >= 20 or classes > 5"])
    reason = found.feasible(Architecture.of(TINY))
    assert reason == "depth >= 20 or classes > 5 is false: depth = 6, classes = 2"


def test_a_broken_constraint_can_name_a_field_that_the_net_lacks() -> None:
    found = tiny({KINDS: ["identity"]}, constraints=["gate_bias <= -1 and depth > 1000"])
    assert found.feasible(found.start) == f"gate_bias <= -1 and depth > 1000 is false: depth = {found.start.depth}"


def test_cheap_constraints_come_before_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "complexity", lambda net: pytest.fail("counted"))
    found = tiny({}, constraints=["macs < 1", "depth > 20"])
    assert str(found.feasible(Architecture.of(TINY))).startswith("depth > 20 is false")


def test_constraint_on_a_missing_field_does_not_refuse() -> None:
    found = tiny({KINDS: ["identity", "exclusive_gate"], BIAS: [-6, 0]}, constraints=["gate_bias < -3"])
    assert [net.unit.shortcut.kind for net in found.enumerate()] == ["identity", "exclusive_gate"]


def test_error_of_an_infeasible_space_counts_the_broken_constraints() -> None:
    found = tiny({"unit.branch.cardinality": [3]}, set=BOTTLENECK)
    reason = "unit.branch.cardinality: 3 does not divide the width 8; nearest that does: 2"
    with pytest.raises(InputError, match=f"no feasible network in 1000 draws: 1000 x {reason}"):
        found.sample(0)
    with pytest.raises(InputError, match=f"no feasible network among all 1 assignments: 1 x {reason}"):
        list(found.enumerate())


# --- assignments


def test_suggest_asks_only_for_active_axes_after_those_they_depend_on() -> None:
    found = tiny({BIAS: [-6, 0], "stages.0.units": [2], KINDS: "all", "stages.*.units": [1]})
    asked: list[str] = []

    def choose(path: str, axis: Axis) -> Any:
        asked.append(path)
        return "dropout" if path == KINDS else axis.at(0)

    assignment = found.suggest(choose)
    assert asked == [KINDS, "stages.*.units", "stages.0.units"]
    assert [stage.units for stage in found.architecture(assignment).stages] == [2, 1]


def test_suggested_number_is_snapped_to_the_grid() -> None:
    found = tiny({"unit.shortcut.p": {"low": 0, "high": 0.9, "step": 0.1}}, set={KINDS: "dropout"})
    assert found.suggest(lambda path, axis: 0.1 + 0.2) == {"unit.shortcut.p": 0.3}


def test_assignment_can_have_inactive_axes_and_must_have_all_active_ones() -> None:
    found = tiny({KINDS: ["identity", "exclusive_gate"], BIAS: [-6, 0]})
    assert found.architecture({KINDS: "identity", BIAS: 0}).key == Architecture.of(TINY).key
    with pytest.raises(InputError, match=f"{BIAS}: no value; this axis is active here and needs one"):
        found.architecture({KINDS: "exclusive_gate"})
    with pytest.raises(InputError, match=r"unknown axis 'unit\.order'"):
        found.architecture({"unit.order": "original"})
    with pytest.raises(InputError, match=f"{KINDS}: unknown value 'none'"):
        found.architecture({KINDS: "none"})


def test_equivalent_net_is_contained_for_every_description() -> None:
    found = tiny({KINDS: ["identity", "conv1x1"]})
    scaled = {"kind": "constant_scaling", "shortcut_scale": 1.0, "branch_scale": 1.0}
    assert found.contains(Architecture.of(TINY | {"unit": {"shortcut": scaled}}))
    assert found.contains(Architecture.of(TINY | {"transition": "C"}))
    assert not found.contains(Architecture.of(TINY | {"transition": "B"}))


def test_complete_shortcuts_are_values_too() -> None:
    found = tiny({"unit.shortcut": ["identity", {"kind": "exclusive_gate", "gate_bias": -6}], BIAS: [-6, -1]})
    assert found.size == SpaceSize(raw=4, active=3, distinct=3, infeasible=0)


def test_neighbours_take_one_step_along_numbers_and_any_other_word() -> None:
    found = tiny({"stages.*.units": [1, 5, 2, 9], "transition": ["A", "B", "C"]})
    net = Architecture.of(TINY).assign({"stages.*.units": 2})
    near = [(net.stages[0].units, net.transition) for net in found.neighbours(net)]
    assert near == [(1, "A"), (5, "A"), (2, "B"), (2, "C")]


def test_neighbour_with_a_new_gate_takes_each_of_its_biases() -> None:
    found = tiny({KINDS: ["identity", "exclusive_gate"], BIAS: [-6, -3, 0]})
    assert len(list(found.neighbours(Architecture.of(TINY)))) == 3


def test_net_outside_has_no_neighbours() -> None:
    with pytest.raises(InputError, match="is not in this space"):
        list(tiny({"transition": "all"}).neighbours(Architecture.of(TINY | {"classes": 3})))


# --- axes


def test_all_is_the_fields_catalogue() -> None:
    assert tuple(tiny({KINDS: "all"}).axes[KINDS].values()) == tuple(SHORTCUTS)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ({"low": -8, "high": 0, "step": 4}, [-8, -4, 0]),
        ({"low": 0, "high": 0.5, "step": 0.2}, [0, 0.2, 0.4]),
        ({"low": 1, "high": 40, "log": True, "integer": True}, [1, 2, 4, 8, 16, 32]),
        ({"low": 3, "high": 5, "integer": True}, [3, 4, 5]),
        ({"low": 0.3, "high": 0.9, "step": 0.3}, [0.3, 0.6, 0.9]),
    ],
)
def test_values_of_a_range(data: dict[str, Any], values: list[float]) -> None:
    assert list(Range.of(data).values()) == values


def test_range_on_an_integer_field_has_integers_only() -> None:
    assert list(tiny({"stages.*.units": {"low": 1, "high": 3}}).axes["stages.*.units"].values()) == [1, 2, 3]


def test_value_can_be_a_description() -> None:
    kind = SHORTCUTS["dropout"]()
    assert Choices.of([kind, "identity"]).member(kind) == {"kind": "dropout", "p": 0.5}


# --- errors


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (
            {"unit.shortcut.knd": ["a"]},
            "axes: unit.shortcut.knd: unknown field 'unit.shortcut.knd'; did you mean",
        ),
        (
            {KINDS: ["projecton"]},
            "axes: unit.shortcut.kind: unknown shortcut 'projecton'; did you mean 'conv1x1'? allowed: identity",
        ),
        ({KINDS: []}, "axes: unit.shortcut.kind: no values; give at least one"),
        ({KINDS: ["none", "none"]}, "unit.shortcut.kind: 'none' is given twice; give each value once"),
        ({BIAS: {"low": 3, "high": 1}}, "unit.shortcut.gate_bias: low 3 is above high 1; exchange them"),
        ({BIAS: {"low": 0, "high": 1, "log": True}}, "log needs low greater than 0, not 0"),
        ({BIAS: {"low": 0, "high": 1, "step": 0}}, "step 0 must be greater than 0"),
        ({BIAS: {"low": 1, "high": 2, "log": True, "step": 1}}, "log and step exclude each other"),
        (
            {BIAS: {"lo": 0, "high": 1}},
            "unit.shortcut.gate_bias: lo: unknown field 'lo'; did you mean 'low'?",
        ),
        ({BIAS: "all"}, "unit.shortcut.gate_bias: all needs a field with a catalogue"),
        ({BIAS: 5}, "must be a list of values, a range {low, high, step}, or all; not 5"),
        ({BIAS: [math.nan]}, "nan is neither text, a finite number"),
        ({"unit.shortcut.p": [0.5, 1.0]}, "unit.shortcut.p: must be less than 1, not 1.0"),
        ({"stages.*.units": [0]}, "stages.*.units: must be at least 1, not 0"),
        (
            {"stages.*.units": {"low": 1, "high": 2.5}},
            "high 2.5 must be a whole number, since integer is true",
        ),
        ({"stages.7.units": [1]}, "'7' is not an index of a list of 2; allowed: 0 to 1, or *"),
        (
            {"unit.shortcut": [{"kind": "exclusive_gate", "gate_bis": 1}]},
            "unit.shortcut: gate_bis: unknown field",
        ),
        (
            {"width": {"low": 1, "high": 2}},
            "width: must not be a continuous range, since channels are rounded",
        ),
    ],
)
def test_axis_error_has_path_value_and_remedy(axes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        tiny(axes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"base": "resnet21"}, "base: unknown preset 'resnet21'"),
        ({"set": {"unit.ordr": "original"}}, "set: unit.ordr: unknown field 'ordr'; did you mean 'order'?"),
        (
            {"when": {"width": {"transition": "A"}}},
            "when: unknown axis 'width'; allowed: unit.order, transition",
        ),
        (
            {"when": {"unit.order": {"transitio": "A"}}},
            "when.unit.order: unknown axis 'transitio'; did you mean",
        ),
        (
            {"when": {"unit.order": {"transition": "D"}}},
            "when.unit.order.transition: unknown value 'D'; allowed",
        ),
        (
            {"when": {"unit.order": {"transition": "A"}, "transition": {"unit.order": "original"}}},
            "when: unit.order, transition depend on each other in a circle",
        ),
        ({"when": {"unit.order": {"unit.order": "original"}}}, "depend on each other in a circle"),
        ({"constraints": ["macs <"]}, "constraints: macs <: column 7: a value was expected"),
        ({"constrains": []}, "unknown field 'constrains'; did you mean 'constraints'?"),
    ],
)
def test_space_error_has_a_path(more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        tiny({"unit.order": "all", "transition": ["A", "B"]}, **more) if "base" not in more else Space.of(
            {"axes": {}, **more}
        )
    assert message in str(caught.value)
