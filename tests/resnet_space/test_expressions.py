"""The language of constraints and filters: its meaning, its errors, and that any text is either parsed or refused."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resnet_space import fields
from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from resnet_space.fields import NAMES, lookup_of
from resnet_space.parsing import MAX_DEPTH, MAX_LENGTH
from resnet_space.presets import preset

WORDS = [
    "macs",
    "depth",
    "stages.0.units",
    "shortcut",
    "identity",
    "'none'",
    "1e8",
    "3",
    "[",
    "]",
    "(",
    ")",
    ",",
]
SIGNS = ["<", "<=", "==", "!=", "and", "or", "not", "in", "+", "-", "*", "/", "=", ".", "*.", "\x00", "²"]


def holds(text: str, name: str = "resnet20", **changes: Any) -> bool:
    return Expression(text, NAMES).evaluate(lookup_of(preset(name, **changes)))


@pytest.mark.parametrize(
    "text",
    [
        "depth == 20",
        "depth >= 20 and not depth > 20",
        "depth < 10 or depth > 10",
        "depth < 10 or depth > 30 or depth == 20",
        "(depth + 2) * 2 - 4 == 40",
        "depth / 2 == 1e1",
        "-depth < -3",
        "2 - -depth == 22",
        "stages.0.units == 3",
        "stages.2.channels > stages.0.channels",
        "shortcut == identity",
        "identity == shortcut",
        'shortcut == "identity"',
        "shortcut in [identity, none]",
        "shortcut not in [none, 'conv1x1']",
        "not shortcut in [none]",
        "unit.shortcut == identity",
        "branch == basic and order == original and transition != B",
        "stem.max_pool == false",
        "depth in [10 + 10, 3]",
        "params < 3e5",
    ],
)
def test_holds_for_resnet20(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    ["depth < 20", "shortcut == none", "order > 3", "depth / 0 > 1", "1e999 - 1e999 < 1", "order + 1 == 1"],
)
def test_does_not_hold_for_resnet20(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    "text",
    ["gate_bias > -3", "gate_bias != 1", "not gate_bias > -3", "stages.9.units > 0", "cardinality in [1]"],
)
def test_missing_field_is_neither_true_nor_false(text: str) -> None:
    value = lookup_of(preset("resnet20"))
    assert not Expression(text, NAMES).evaluate(value)
    assert not Expression(text, NAMES).refuted(value)


def test_missing_field_does_not_change_a_result_that_does_not_need_it() -> None:
    assert holds("gate_bias > 0 or depth == 20")
    assert Expression("gate_bias > 0 and depth > 20", NAMES).refuted(lookup_of(preset("resnet20")))


def test_nan_is_missing() -> None:
    error = Expression("not error > 0.1", {"error": ()})
    assert not error.evaluate({"error": float("nan")}.__getitem__)
    assert error.evaluate({"error": 0.05}.__getitem__)


def test_width_of_a_bottleneck_is_the_effective_one() -> None:
    assert holds("unit.branch.width == 16", "resnet164")
    assert holds("unit.branch.width == 4 * cardinality", "resnext50_32x4d")


def test_names_are_those_that_the_expression_uses() -> None:
    assert Expression("macs < 1e8 and (order == original or macs > 3)", NAMES).names == ("macs", "order")


def test_network_is_not_counted_unless_a_cost_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "complexity", lambda net: pytest.fail("counted"))
    assert holds("depth == 20 or macs > 3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("macs <", "macs <: column 7: a value was expected, but the text ends"),
        ("depth = 3", "column 7: an operator or the end was expected, not '='; write == to compare"),
        ("depth > 3 && macs < 1", "column 11: an operator or the end was expected, not '&'; write and"),
        ("depth", "column 1: a comparison was expected, as in depth >= 20"),
        ("depth > 3 and macs", "column 15: a comparison was expected"),
        ("1 < depth < 3", "column 3: a value was expected, not a comparison; join comparisons by and"),
        ("(depth > 3", "column 11: ')' was expected, but the text ends"),
        ("order in original", "column 10: '[' was expected, not 'original'"),
        ("mac < 3", "column 1: unknown name 'mac'; did you mean 'macs'?"),
        ("width > 3", "unknown name 'width'; did you mean stages.0.unit.branch.width or unit.branch.width?"),
        (
            "stages.0.unit > stages.0.unitz",
            "column 17: unknown name 'stages.0.unitz'; did you mean 'stages.0.",
        ),
        (
            "shortcut == identiy",
            "column 13: unknown shortcut 'identiy'; did you mean 'identity'? allowed: ident",
        ),
        ("stages.*.units > 2", "column 1: write an index in place of *, as in stages.0.units"),
        ("depth > '" + "x" * MAX_LENGTH + "'", f"an expression has at most {MAX_LENGTH}"),
        ("(" * 200 + "depth", f"nested more than {MAX_DEPTH} deep"),
        ("", "column 1: a value was expected, but the text ends"),
    ],
)
def test_error_has_the_column(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Expression(text, NAMES)
    assert message in str(caught.value)


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS + SIGNS), max_size=14).map(" ".join)))
@example("1" + "+1" * 240 + "< depth")
@example("depth == " + "9" * 480)
@example("'a' * 99999999 == depth")
def test_any_text_is_an_expression_or_an_input_error(text: str) -> None:
    try:
        parsed = Expression(text, {name: words for name, words in NAMES.items() if name != "macs"})
    except InputError:
        return
    value = {"depth": 20, "shortcut": "identity"}
    assert not (parsed.evaluate(value.__getitem__) and parsed.refuted(value.__getitem__))
