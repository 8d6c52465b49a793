"""Factors and designs: which cells there are, what they can tell, and what is refused."""

from itertools import combinations, product
from math import prod
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ablations.designs import (
    DESIGNS,
    AnyDesign,
    Design,
    DesignKind,
    Factorial,
    Ladder,
    LeaveOneOut,
    OneAtATime,
    changes,
)
from ablations.factors import Factor, written
from resnet_space import InputError, preset
from resnet_space.description import Description

ORDER = Factor.of({"path": "unit.order", "levels": ["original", "full_preactivation"]})
SHAPE = Factor.of({"levels": {"narrow": {"width": 0.5}, "wide": {"width": 1, "stages.*.units": 2}}})
SHORTCUT = Factor.of({"path": "unit.shortcut", "levels": ["identity", {"kind": "exclusive_gate", "gate_bias": -6}]})
WIDTH = Factor.of({"path": "width", "levels": [0.5, 1.0, 2]})
TWO = {"order": ORDER, "shape": SHAPE}


class Varied(Description):
    """Stands for a study: its errors name the way to a factor."""

    factors: dict[str, Factor]
    design: AnyDesign = OneAtATime()


@st.composite
def factors(draw: st.DrawFn, levels: int = 4) -> dict[str, Factor]:
    sizes = draw(st.lists(st.integers(2, levels), min_size=2, max_size=5))
    return {f"f{i}": Factor(path=f"p{i}", levels=tuple(range(size))) for i, size in enumerate(sizes)}


@st.composite
def with_baseline(draw: st.DrawFn) -> tuple[dict[str, Factor], dict[str, str]]:
    """Factors, and a baseline that names some of them; never at the last level, which a ladder adds."""
    found = draw(factors())
    named = draw(st.sets(st.sampled_from(sorted(found))))
    return found, {name: draw(st.sampled_from(list(found[name].choices)[:-1])) for name in sorted(named)}


def differing(one: Any, other: Any) -> list[str]:
    return [name for name in one.levels if one.levels[name] != other.levels[name]]


def by_name(design: Design) -> dict[str, Any]:
    return {cell.name: cell for cell in design.cells}


def test_levels_of_a_list_are_named_as_they_are_written() -> None:
    assert SHORTCUT.choices == {
        "identity": {"unit.shortcut": "identity"},
        "exclusive_gate, gate_bias -6": {"unit.shortcut": {"kind": "exclusive_gate", "gate_bias": -6}},
    }
    assert list(WIDTH.choices) == ["0.5", "1", "2"]
    assert [written(value) for value in (True, None, [1, 8], 1e-5)] == ["true", "null", "[1, 8]", "1e-05"]


def test_levels_with_names_set_several_paths_together() -> None:
    assert SHAPE.choices == {"narrow": {"width": 0.5}, "wide": {"width": 1, "stages.*.units": 2}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"path": "unit.order", "levels": ["original"]},
            "factors.order.levels: a factor with one level cannot have an effect; give at least two",
        ),
        (
            {"levels": ["original", "full_preactivation"]},
            "factors.order: a list of levels needs the path where they go; or name the levels in a mapping",
        ),
        (
            {"path": "width", "levels": {"a": {"width": 1}, "b": {"width": 2}}},
            "factors.order: levels with names set paths of their own; leave the path 'width' out, or give a list",
        ),
        ({"path": "width", "levels": [1, 2, 1.0]}, "factors.order.levels: '1' stands twice; levels must differ"),
        (
            {"levels": {"a": {"width": 1}, "b": {"width": 1.0}}},
            "factors.order.levels: 'a' and 'b' are the same; levels must differ",
        ),
        (
            {"levels": {"a": 1, "b": 2}},
            "factors.order.levels: 'a' must map paths to values, as in {unit.order: original}, not 1",
        ),
        (
            {"levels": {1: {"width": 1}, 2: {"width": 2}}},
            "factors.order.levels: a level's name must be text, not 1; write it in quotes",
        ),
        (
            {"path": "width", "levels": 3},
            "factors.order.levels: must be a list of values, or a mapping of names to values by path, not 3",
        ),
    ],
)
def test_a_factor_that_cannot_vary_is_refused_by_name(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        Varied.of({"factors": {"order": data}})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("unit.order", "unit.order", "both set unit.order"),
        ("unit.shortcut", "unit.shortcut.gate_bias", "set unit.shortcut and unit.shortcut.gate_bias, of which one"),
        ("stages.*.units", "stages.0.units", "set stages.*.units and stages.0.units, of which one"),
    ],
)
@pytest.mark.parametrize("kind", DESIGNS)
def test_two_factors_that_set_the_same_are_refused_by_every_design(one: str, other: str, how: str, kind: str) -> None:
    both = {name: Factor(path=path, levels=(1, 2)) for name, path in (("a", one), ("b", other), ("c", "classes"))}
    design = DESIGNS[kind].of({"resolution": 3} if kind == "fractional" else {})
    with pytest.raises(InputError, match="what two factors set must be apart") as error:
        design.compile(both, {})
    assert str(error.value).startswith(f"factors: 'a' and 'b' {how}")


def test_paths_that_begin_alike_are_apart() -> None:
    assert len(Factorial().compile({"a": Factor(path="unit.order", levels=(1, 2)), "b": SHORTCUT}, {}).cells) == 4


@pytest.mark.parametrize("kind", DESIGNS)
def test_every_design_is_known_by_its_name_alone_if_it_has_no_fields(kind: str) -> None:
    adapter: TypeAdapter[DesignKind] = TypeAdapter(AnyDesign)
    if kind == "fractional":
        with pytest.raises(ValueError, match="needs either a resolution"):
            adapter.validate_python(kind)
    else:
        assert adapter.validate_python(kind) == DESIGNS[kind]()


def test_an_unknown_design_is_told_the_nearest() -> None:
    with pytest.raises(InputError) as error:
        Varied.of({"factors": {"order": ORDER}, "design": "factorail"})
    assert str(error.value) == (
        f"design.kind: unknown design 'factorail'; did you mean 'factorial'? allowed: {', '.join(DESIGNS)}"
    )


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (
            {"order": "orginal"},
            "baseline.order: unknown level 'orginal'; did you mean 'original'? allowed: original, full_preactivation",
        ),
        ({"ordr": "original"}, "baseline: unknown factor 'ordr'; did you mean 'order'? allowed: order, shape"),
    ],
)
def test_a_baseline_outside_the_factors_is_told_the_nearest(baseline: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as error:
        Factorial().compile(TWO, baseline)
    assert str(error.value) == message


def test_a_baseline_takes_a_number_as_the_file_has_it() -> None:
    assert OneAtATime().compile({"width": WIDTH}, {"width": 1}).cells[0].levels == {"width": "1"}


def test_one_at_a_time_has_the_baseline_and_every_other_level() -> None:
    design = OneAtATime().compile({"order": ORDER, "width": WIDTH}, {"width": "1"})
    assert list(by_name(design)) == ["baseline", "order=full_preactivation", "width=0.5", "width=2"]
    assert [(each.name, each.arm, each.versus) for each in design.estimates] == [
        ("order: full_preactivation - original", "order=full_preactivation", "baseline"),
        ("width: 0.5 - 1", "width=0.5", "baseline"),
        ("width: 2 - 1", "width=2", "baseline"),
    ]


def test_leave_one_out_starts_from_all_on() -> None:
    design = LeaveOneOut().compile(TWO, {})
    assert {cell.name: tuple(cell.levels.values()) for cell in design.cells} == {
        "baseline": ("full_preactivation", "wide"),
        "without order": ("original", "wide"),
        "without shape": ("full_preactivation", "narrow"),
    }
    assert design.estimates[1].name == "shape: narrow - wide"


def test_leave_one_out_takes_no_other_baseline_and_no_third_level() -> None:
    with pytest.raises(InputError) as error:
        LeaveOneOut().compile(TWO, {"shape": "narrow"})
    assert str(error.value) == "baseline.shape: leave_one_out starts from all on, 'wide', not 'narrow'"
    with pytest.raises(InputError) as error:
        LeaveOneOut().compile({"width": WIDTH}, {})
    assert str(error.value) == "factors.width.levels: leave_one_out takes factors of two levels, not 3"
    assert LeaveOneOut().compile(TWO, {"shape": "wide"}) == LeaveOneOut().compile(TWO, {})


def test_a_ladder_adds_one_factor_after_the_other() -> None:
    design = Ladder().compile({**TWO, "shortcut": SHORTCUT}, {})
    assert [cell.name for cell in design.cells] == ["baseline", "+ order", "+ shape", "+ shortcut"]
    assert tuple(design.cells[2].levels.values()) == ("full_preactivation", "wide", "identity")
    assert [(each.arm, each.versus) for each in design.estimates] == [
        ("+ order", "baseline"),
        ("+ shape", "+ order"),
        ("+ shortcut", "+ shape"),
    ]


def test_a_ladder_cannot_add_what_is_there() -> None:
    with pytest.raises(InputError) as error:
        Ladder().compile(TWO, {"shape": "wide"})
    assert str(error.value) == "baseline.shape: 'wide' is what the ladder adds; start lower; allowed: narrow"


def test_a_factorial_names_cells_by_their_levels() -> None:
    design = Factorial().compile({**TWO, "width": Factor(path="classes", levels=(10, 20))}, {"shape": "wide"})
    assert design.cells[0].name == "original, narrow, width=10"
    assert design.baseline == "original, wide, width=10"
    assert [each.name for each in design.estimates] == [
        "order",
        "shape",
        "width",
        "order x shape",
        "order x width",
        "shape x width",
        "order x shape x width",
    ]


def test_levels_that_two_factors_share_are_named_with_their_factor() -> None:
    both = {name: Factor(path=name, levels=("on", "off")) for name in "ab"}
    assert Factorial().compile(both, {}).cells[1].name == "a=on, b=off"


def test_cells_that_would_be_called_alike_are_refused() -> None:
    factors = {
        "a": Factor.of({"path": "a", "levels": ["x", "x, y"]}),
        "b": Factor.of({"path": "b", "levels": ["y, z", "z"]}),
    }
    with pytest.raises(InputError, match="two cells would be called 'x, y, z'; name factors and levels without ', '"):
        Factorial().compile(factors, {})


def test_a_factorial_takes_two_factors_and_at_most_4096_cells() -> None:
    with pytest.raises(InputError) as error:
        Factorial().compile({"order": ORDER}, {})
    assert str(error.value) == (
        "factors: a factorial needs at least 2 of them, not 1; one_at_a_time compares the levels of one"
    )
    many = {f"f{i}": Factor(path=f"p{i}", levels=(1, 2)) for i in range(13)}
    with pytest.raises(InputError) as error:
        Factorial().compile(many, {})
    assert str(error.value) == "factors: 8192 cells; at most 4096 are allowed; see design: fractional"


def test_a_cell_s_changes_are_those_of_all_its_levels_and_make_a_network() -> None:
    factors = {**TWO, "shortcut": SHORTCUT}
    cell = by_name(Ladder().compile(factors, {}))["+ shortcut"]
    assert changes(cell, factors) == {
        "unit.order": "full_preactivation",
        "width": 1,
        "stages.*.units": 2,
        "unit.shortcut": {"kind": "exclusive_gate", "gate_bias": -6},
    }
    net = preset("resnet20").assign(changes(cell, factors))
    assert (net.unit.order, net.unit.shortcut.gate, [stage.units for stage in net.stages]) == (
        "full_preactivation",
        -6,
        [2, 2, 2],
    )


@given(with_baseline())
def test_every_design_has_its_baseline_among_cells_that_all_differ(given_: Any) -> None:
    factors, baseline = given_
    for design in (OneAtATime(), Ladder(), Factorial()):
        found = design.compile(factors, baseline)
        start = by_name(found)[found.baseline]
        assert len({tuple(cell.levels.values()) for cell in found.cells}) == len(found.cells) == len(by_name(found))
        assert all(start.levels[name] == baseline.get(name, "0") for name in factors)


@given(factors())
def test_a_factorial_has_all_combinations_and_is_balanced(factors: dict[str, Factor]) -> None:
    found = Factorial().compile(factors, {})
    assert len(found.cells) == prod(len(factor.choices) for factor in factors.values())
    for one, other in combinations(factors, 2):
        pairs = [(cell.levels[one], cell.levels[other]) for cell in found.cells]
        counts = {pairs.count(pair) for pair in product(factors[one].choices, factors[other].choices)}
        assert len(counts) == 1
    assert len(found.estimates) == 2 ** len(factors) - 1


@given(with_baseline())
def test_one_at_a_time_changes_one_factor_and_covers_every_level(given_: Any) -> None:
    factors, baseline = given_
    found = OneAtATime().compile(factors, baseline)
    assert [len(differing(cell, found.cells[0])) for cell in found.cells] == [0] + [1] * (len(found.cells) - 1)
    levels = {(name, cell.levels[name]) for cell in found.cells for name in factors}
    assert levels == {(name, level) for name, factor in factors.items() for level in factor.choices}


@given(factors(levels=2))
def test_leave_one_out_turns_each_factor_off_once(factors: dict[str, Factor]) -> None:
    found = LeaveOneOut().compile(factors, {})
    assert [differing(cell, found.cells[0]) for cell in found.cells] == [[], *([name] for name in factors)]


@given(with_baseline())
def test_the_steps_of_a_ladder_differ_in_one_factor_and_end_at_the_last_levels(given_: Any) -> None:
    factors, baseline = given_
    found = Ladder().compile(factors, baseline)
    steps = [differing(one, other) for one, other in zip(found.cells, found.cells[1:], strict=False)]
    assert steps == [[name] for name in factors]
    assert found.cells[-1].levels == {name: list(factor.choices)[-1] for name, factor in factors.items()}


@given(with_baseline())
def test_simple_effects_are_differences_of_cells_that_differ_in_their_factor_alone(given_: Any) -> None:
    factors, baseline = given_
    for design in (OneAtATime(), Ladder()):
        found = design.compile(factors, baseline)
        cells = by_name(found)
        for each in found.estimates:
            assert each.arm is not None
            assert each.versus is not None
            assert tuple(differing(cells[each.arm], cells[each.versus])) == each.factors
