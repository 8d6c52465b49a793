"""Fractional factorials: published ones, their aliases, and the laws of orthogonal columns."""

from collections import Counter
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablations.designs import Design, Fractional
from ablations.factors import Factor
from ablations.fractional import LETTERS, Fraction, by_generators, by_resolution, word_text
from resnet_space import InputError


def two_level(number: int) -> dict[str, Factor]:
    """Factors named by their letters, so that effects are words."""
    return {LETTERS[i]: Factor.of({"path": f"p{i}", "levels": ["low", "high"]}) for i in range(number)}


def compiled(number: int, baseline: dict[str, str] | None = None, **fields: Any) -> Design:
    return Fractional.of(fields).compile(two_level(number), baseline or {})


def words(design: Design) -> dict[str, set[str]]:
    """The aliases of each effect, as words."""
    return {
        each.name.replace(" x ", ""): {word.replace(" x ", "") for word in each.aliases} for each in design.estimates
    }


def pattern(fraction: Fraction) -> dict[int, int]:
    """The number of words of each length in the defining relation."""
    return dict(Counter(word.bit_count() for word in fraction.relation()))


def test_the_2_to_the_5_minus_2_design_has_resolution_three() -> None:
    design = compiled(5, generators=["D=AB", "E=AC"])
    found = words(design)
    assert len(design.cells) == 8
    assert found["A"] == {"BD", "CE", "ABCDE"}
    assert found["BC"] == {"DE", "ABE", "ACD"}
    assert any(note.startswith("resolution III:") for note in design.notes)


def test_the_2_to_the_4_minus_1_design_with_d_as_abc_has_resolution_four() -> None:
    design = compiled(4, generators=["D=ABC"])
    assert len(design.cells) == 8
    assert words(design) == {
        "A": {"BCD"},
        "B": {"ACD"},
        "C": {"ABD"},
        "D": {"ABC"},
        "AB": {"CD"},
        "AC": {"BD"},
        "AD": {"BC"},
    }
    assert (
        "resolution IV: main effects are clear of two-factor interactions, but these are not clear of each other"
        in (design.notes)
    )


def test_the_2_to_the_7_minus_4_design_is_saturated() -> None:
    design = compiled(7, resolution=3)
    assert len(design.cells) == 8
    assert set(words(design)) == set("ABCDEFG")
    assert words(design)["A"] >= {"BD", "CE", "FG"}


@pytest.mark.parametrize(
    ("number", "resolution", "generators"),
    [
        (3, 3, ["C=AB"]),
        (4, 4, ["D=ABC"]),
        (5, 3, ["D=AB", "E=AC"]),
        (5, 5, ["E=ABCD"]),
        (6, 3, ["D=AB", "E=AC", "F=BC"]),
        (7, 3, ["D=AB", "E=AC", "F=BC", "G=ABC"]),
        (8, 4, ["E=ABC", "F=ABD", "G=ACD", "H=BCD"]),
    ],
)
def test_the_fractions_of_the_textbook_are_found(number: int, resolution: int, generators: list[str]) -> None:
    """Box, Hunter and Hunter, Statistics for Experimenters, table of two-level fractions."""
    assert by_resolution(number, resolution) == by_generators(number, generators, path="")


@pytest.mark.parametrize(
    ("number", "resolution", "runs", "shortest"),
    [
        (6, 4, 16, {4: 3}),
        (7, 4, 16, {4: 7}),
        (9, 3, 16, {3: 4, 4: 14, 5: 8, 7: 4, 8: 1}),
        (9, 4, 32, {4: 6, 5: 8, 8: 1}),
        (10, 4, 32, {4: 10, 5: 16, 8: 5}),
        (11, 5, 128, {5: 6, 6: 6}),
        (16, 4, 32, {4: 140, 6: 448}),
    ],
)
def test_fractions_have_minimum_aberration(number: int, resolution: int, runs: int, shortest: dict[int, int]) -> None:
    """Chen, Sun and Wu 1993, A catalogue of two-level and three-level fractional factorial designs with small runs."""
    fraction = by_resolution(number, resolution)
    assert fraction is not None
    assert fraction.runs == runs
    assert pattern(fraction).items() >= shortest.items()


def test_a_baseline_of_first_levels_makes_words_of_odd_length_negative() -> None:
    design = compiled(5, generators=["D=AB", "E=AC"])
    assert design.notes == (
        "A = A, B = B, C = C, D = D, E = E; + is the second level",
        "8 of 32 cells, a 2^(5-2) fraction: D = -AB, E = -AC",
        "defining relation: I = -ABD = -ACE = BCDE",
        "resolution III: main effects are clear of each other, but not of two-factor interactions",
    )
    high = dict.fromkeys("ABCDE", "high")
    assert "defining relation: I = ABD = ACE = BCDE" in compiled(5, high, generators=["D=AB", "E=AC"]).notes


def test_long_relations_are_reported_by_generators_and_aliases_of_two_factors() -> None:
    design = compiled(12, resolution=3)
    assert len(design.cells) == 16
    assert "and all products of these" in design.notes[2]
    assert design.notes[-1] == "aliases of more than two factors are left out"
    assert max(len(alias) for aliases in words(design).values() for alias in aliases) == 2


@pytest.mark.parametrize(
    ("number", "fields", "message"),
    [
        (
            4,
            {"resolution": 5},
            "design.resolution: 5 is more than a fraction of 4 factors can have; allowed: 3 to 4, or design: factorial",
        ),
        (
            16,
            {"resolution": 12},
            "design.resolution: 12 takes more than 4096 cells of 16 factors; allowed: 3 to 8",
        ),
        (
            5,
            {"generators": ["D=AB", "E=AB"]},
            "design.generators: would make D = E, main effects that cannot be distinguished; "
            "give each generated factor a different word of two or more letters",
        ),
        (
            3,
            {"generators": ["C=A"]},
            "design.generators: would make A = C, main effects that cannot be distinguished; "
            "give each generated factor a different word of two or more letters",
        ),
        (3, {"generators": ["D=AB"]}, "design.generators: D=AB: unknown letter 'D'; allowed: A, B, C"),
        (
            3,
            {"generators": ["AB"]},
            "design.generators: 'AB' must be a letter and the word that it equals, as in 'D=ABC'",
        ),
        (3, {"generators": ["C=ABA"]}, "design.generators: 'C=ABA' has a letter twice; give each letter once"),
        (5, {"generators": ["D=AB", "D=AC"]}, "design.generators: D is generated twice; generate each factor once"),
        (
            5,
            {"generators": ["D=AB", "E=AD"]},
            "design.generators: 'E=AD' is made of D, which is generated; allowed: A, B, C",
        ),
        (
            14,
            {"generators": ["O=ABC"]},
            "design.generators: 8192 cells remain; at most 4096 are allowed; give more generators",
        ),
        (1, {"resolution": 3}, "factors: a fraction needs at least 3 of them, not 1; design: factorial takes two"),
        (4, {}, "fractional needs either a resolution (3 or more) or generators, as in [D=ABC]"),
        (
            4,
            {"resolution": 4, "generators": ["D=ABC"]},
            "fractional needs either a resolution (3 or more) or generators, as in [D=ABC]",
        ),
        (4, {"resolution": 2}, "resolution: must be at least 3, not 2"),
    ],
)
def test_impossible_fractions_are_refused_with_what_is_allowed(
    number: int, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        compiled(number, **fields)
    assert str(error.value) == message


def test_more_than_sixteen_factors_and_three_levels_are_refused() -> None:
    many = {f"f{i}": Factor(path=f"p{i}", levels=(1, 2)) for i in range(17)}
    with pytest.raises(InputError, match="factors: a fraction takes at most 16, not 17"):
        Fractional(resolution=3).compile(many, {})
    three = {**two_level(3), "width": Factor(path="width", levels=(1, 2, 3))}
    with pytest.raises(InputError, match=r"factors\.width\.levels: fractional takes factors of two levels, not 3"):
        Fractional(resolution=3).compile(three, {})


@st.composite
def fractions(draw: st.DrawFn) -> tuple[int, int, dict[str, str]]:
    number = draw(st.integers(3, 9))
    levels = draw(st.lists(st.sampled_from(["low", "high"]), min_size=number, max_size=number))
    return number, draw(st.integers(3, min(number, 6))), dict(zip(LETTERS, levels, strict=False))


@given(fractions())
def test_columns_are_balanced_and_orthogonal(given_: Any) -> None:
    number, resolution, baseline = given_
    design = compiled(number, baseline, resolution=resolution)
    signs = {name: [1 if cell.levels[name] == "high" else -1 for cell in design.cells] for name in baseline}
    assert all(sum(column) == 0 for column in signs.values())
    for one, other in combinations(signs.values(), 2):
        assert sum(a * b for a, b in zip(one, other, strict=True)) == 0


@given(fractions())
def test_a_fraction_has_distinct_cells_and_its_baseline_once(given_: Any) -> None:
    number, resolution, baseline = given_
    design = compiled(number, baseline, resolution=resolution)
    assert [cell.name for cell in design.cells if cell.levels == baseline] == [design.baseline]
    assert len({tuple(cell.levels.values()) for cell in design.cells}) == len(design.cells)


@given(fractions())
def test_aliases_are_effects_with_equal_columns_up_to_the_sign(given_: Any) -> None:
    number, resolution, baseline = given_
    design = compiled(number, baseline, resolution=resolution)

    def column(word: str) -> list[int]:
        return [(-1) ** sum(cell.levels[letter] == "low" for letter in word) for cell in design.cells]

    found = words(design)
    assert len(found) == len(design.cells) - 1
    for effect, aliases in found.items():
        own = column(effect)
        assert all(column(alias) in (own, [-sign for sign in own]) for alias in aliases)


@given(fractions())
def test_no_effect_has_an_alias_that_the_resolution_rules_out(given_: Any) -> None:
    number, resolution, baseline = given_
    for effect, aliases in words(compiled(number, baseline, resolution=resolution)).items():
        assert all(len(effect) + len(alias) >= resolution for alias in aliases)


@given(fractions())
def test_signs_in_the_notes_hold_on_every_cell(given_: Any) -> None:
    number, resolution, baseline = given_
    design = compiled(number, baseline, resolution=resolution)
    relation = design.notes[2].removeprefix("defining relation: I = ").removesuffix(", and all products of these")
    for signed in relation.split(" = "):
        word, sign = signed.removeprefix("-"), -1 if signed.startswith("-") else 1
        assert {(-1) ** sum(cell.levels[letter] == "low" for letter in word) for cell in design.cells} == {sign}


@given(st.integers(3, 10), st.integers(3, 6))
def test_a_fraction_has_at_least_the_resolution_that_was_asked_for(number: int, resolution: int) -> None:
    fraction = by_resolution(number, min(number, resolution))
    assert fraction is not None
    assert fraction.resolution >= min(number, resolution)
    assert fraction.resolution == min(pattern(fraction))


def test_letters_of_factors_skip_the_letter_of_the_identity() -> None:
    assert (word_text(0), word_text(0b101), word_text(1 << 8)) == ("I", "AC", "J")
