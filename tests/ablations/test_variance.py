"""Analysis of variance: a published analysis, effects computed by hand, and tables with too little data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from ablations.effects import difference
from ablations.variance import Term, analyse_variance, describe_imbalance
from resnet_space import InputError

# `npk` of R: yields of peas by nitrogen, phosphate and potassium, in six blocks of four plots; rows as in R.
# Venables and Ripley 2002, Modern Applied Statistics with S, § 6.7.
YIELDS = """49.5 62.8 46.8 57.0 59.8 58.5 55.5 56.0 62.8 55.8 69.5 55.0
62.0 48.8 45.5 44.2 52.0 51.5 49.8 48.8 57.2 59.0 53.2 56.0"""
PLOTS = "PK NP . NK N NPK K P P NPK N K N NPK K P NP . NK PK NK NP PK ."


def every(factors: Sequence[str]) -> list[tuple[str, ...]]:
    return [term for size in range(1, len(factors) + 1) for term in combinations(factors, size)]


def crossed(levels: dict[str, str], seeds: int, error: Callable[..., float]) -> pd.DataFrame:
    """All combinations of one-letter levels, with all seeds; `error` is a function of level indices and seed."""
    rows = []
    for places in product(*(range(len(each)) for each in levels.values())):
        named = {name: each[place] for (name, each), place in zip(levels.items(), places, strict=True)}
        rows += [{**named, "seed": seed, "error": error(*places, seed)} for seed in range(seeds)]
    return pd.DataFrame(rows)


def noise(seed: int = 0) -> Callable[..., float]:
    rng = np.random.default_rng(seed)
    return lambda *_: float(rng.normal(0.06, 0.004))


# The published analysis


@pytest.fixture(scope="module")
def npk() -> pd.DataFrame:
    table = pd.DataFrame({"block": np.repeat(range(1, 7), 4), "yield": list(map(float, YIELDS.split()))})
    for nutrient in "NPK":
        with_it = [int(nutrient in plot) for plot in PLOTS.split()]
        table[nutrient] = pd.Categorical(with_it, categories=[0, 1])
    return table


@pytest.mark.parametrize(
    ("term", "f", "p"),
    [
        ("N", 12.259, 0.004372),
        ("P", 0.544, 0.474904),
        ("K", 6.166, 0.028795),
        ("NP", 1.378, 0.263165),
        ("NK", 2.147, 0.168648),
        ("PK", 0.031, 0.862752),
    ],
)
def test_peas_have_the_published_f_and_p(npk: pd.DataFrame, term: str, f: float, p: float) -> None:
    found = {each.factors: each for each in analyse_variance(npk, "NPK", every("NPK"), value="yield", block="block")}
    assert found[tuple(term)].df == 1
    assert found[tuple(term)].f == pytest.approx(f, abs=2e-3)
    assert found[tuple(term)].p == pytest.approx(p, abs=2e-6)


def test_nitrogen_adds_the_published_pounds_of_peas(npk: pd.DataFrame) -> None:
    (nitrogen,) = analyse_variance(npk, "NPK", [("N",)], value="yield", block="block")
    assert nitrogen.effect == pytest.approx(5.616667, abs=5e-7)


def test_an_effect_confounded_with_blocks_has_no_degree_of_freedom(npk: pd.DataFrame) -> None:
    *_, all_three = analyse_variance(npk, "NPK", every("NPK"), value="yield", block="block")
    assert all_three == Term(("N", "P", "K"), 0, None, None, 0.0, None, None, None)


# Effects by hand


def test_effects_are_differences_of_means_and_interactions_half_differences_of_differences() -> None:
    table = crossed({"a": "xy", "b": "pq"}, 2, lambda a, b, seed: [[0.10, 0.14], [0.20, 0.32]][a][b] + 0.01 * seed)
    table["error"] += [0.001, -0.001] * 2 + [-0.001, 0.001] * 2  # a residual that is in no effect
    found = {each.factors: each.effect for each in analyse_variance(table, "ab", every("ab"))}
    assert found == {
        ("a",): pytest.approx((0.20 + 0.32) / 2 - (0.10 + 0.14) / 2),
        ("b",): pytest.approx((0.14 + 0.32) / 2 - (0.10 + 0.20) / 2),
        ("a", "b"): pytest.approx(((0.32 - 0.20) - (0.14 - 0.10)) / 2),
    }


def test_one_factor_of_two_levels_with_seeds_as_blocks_is_the_paired_t_test() -> None:
    table = crossed({"a": "xy"}, 6, noise())
    (term,) = analyse_variance(table, "a", [("a",)])
    first, second = (table[table["a"] == level].set_index("seed")["error"].to_dict() for level in "xy")
    paired = difference(second, first, planned=range(6))
    assert (term.effect, term.low, term.high, term.p) == pytest.approx(
        (paired.delta, paired.low, paired.high, paired.p)
    )


def test_the_effect_of_a_seed_on_all_cells_is_not_in_the_residual() -> None:
    calm = crossed({"a": "xy", "b": "pq"}, 4, noise(1))
    stormy = calm.assign(error=calm["error"] + 0.1 * calm["seed"])
    for one, other in zip(
        analyse_variance(calm, "ab", every("ab")), analyse_variance(stormy, "ab", every("ab")), strict=True
    ):
        assert (one.effect, one.f, one.low) == pytest.approx((other.effect, other.f, other.low))
        assert other.share < one.share / 100


def test_categories_say_which_level_is_the_second() -> None:
    table = crossed({"a": "xy", "b": "pq"}, 3, lambda a, b, seed: 0.1 + 0.05 * a + 0.001 * b * seed)
    table = table.iloc[::-1]
    assert analyse_variance(table, "ab", [("a",)])[0].effect == pytest.approx(-0.05)
    table["a"] = pd.Categorical(table["a"], categories=["x", "y", "never"])
    assert analyse_variance(table, "ab", [("a",)])[0].effect == pytest.approx(0.05)


def test_names_can_be_any_text() -> None:
    plain = crossed({"a": "xy", "b": "pq"}, 3, noise())
    odd = plain.rename(columns={"a": "unit.order (new)", "b": 'C("b"):x + 1', "seed": "the seed", "error": "top-1 %"})
    names = ["unit.order (new)", 'C("b"):x + 1']
    found = analyse_variance(odd, names, every(names), value="top-1 %", block="the seed")
    assert [term.factors for term in found] == every(names)
    assert [term.f for term in found] == [term.f for term in analyse_variance(plain, "ab", every("ab"))]


def test_more_than_two_levels_have_an_f_and_no_single_effect() -> None:
    main, other, both = analyse_variance(crossed({"a": "xyz", "b": "pq"}, 3, noise()), "ab", every("ab"))
    assert (main.df, other.df, both.df) == (2, 1, 2)
    assert None not in (main.f, main.p, other.effect, both.f)
    assert main.effect is main.low is main.high is both.effect is None


def test_a_factor_that_is_only_partly_confounded_has_no_single_effect() -> None:
    table = crossed({"a": "xyz"}, 4, noise()).assign(b=lambda t: (t["a"] == "z").astype(int))
    some, none = analyse_variance(table, "ab", [("a",), ("b",)])
    assert (some.df, none.df) == (1, 0)
    assert some.f is not None
    assert some.effect is some.low is none.effect is None


# Comparison with statsmodels, in tables that lack rows


@settings(deadline=None, max_examples=20)
@given(st.sets(st.integers(0, 35), max_size=9), st.integers(0, 100))
def test_f_and_p_are_those_of_type_two_in_statsmodels_with_any_seeds_missing(lost: set[int], seed: int) -> None:
    levels = {"a": "xy", "b": "pq", "c": "uvw"}
    table = crossed(levels, 3, noise(seed)).drop(index=sorted(lost))
    assume(len(table.groupby(list(levels))) == 12)
    expected = anova_lm(ols("error ~ C(seed) + C(a) * C(b) * C(c)", table).fit(), typ=2)
    for term in analyse_variance(table, "abc", every("abc")):
        row = expected.loc[":".join(f"C({name})" for name in term.factors)]
        assert (term.df, term.f, term.p) == pytest.approx((row["df"], row["F"], row["PR(>F)"]), rel=1e-6, abs=1e-9)


def test_an_interval_excludes_zero_exactly_if_p_is_small_also_with_missing_seeds() -> None:
    seen = set()
    for seed in range(30):
        table = crossed({"a": "xy", "b": "pq"}, 3, noise(seed)).drop(index=[0, 5])
        for term in analyse_variance(table, "ab", every("ab")):
            assert term.p is not None
            assert term.low is not None
            assert term.high is not None
            assert (term.p < 0.05) == (term.low > 0 or term.high < 0)
            seen.add(term.p < 0.05)
    assert seen == {True, False}


def test_the_order_of_rows_and_terms_changes_nothing() -> None:
    table = crossed({"a": "xy", "b": "pqr"}, 4, noise()).drop(index=[3, 11])
    first = {term.factors: term.f for term in analyse_variance(table, "ab", every("ab"))}
    second = {
        term.factors: term.f for term in analyse_variance(table.sample(frac=1, random_state=0), "ba", every("ab")[::-1])
    }
    assert first == pytest.approx(second)


def test_shares_are_fractions_of_the_total_variation() -> None:
    table = crossed({"a": "xy", "b": "pq"}, 3, lambda a, b, seed: 0.1 + 0.03 * a + 0.01 * a * b + 0.02 * seed)
    shares = [term.share for term in analyse_variance(table, "ab", every("ab"))]
    # By hand: effects 0.035, 0.005 and 0.005, and seeds with a variance of 2/3 * 0.02².
    parts = np.array([0.035, 0.005, 0.005]) ** 2 / 4
    assert shares == pytest.approx(parts / (parts.sum() + 2 / 3 * 0.02**2))


# A fraction


def test_the_effects_of_a_fraction_include_those_of_their_aliases() -> None:
    # D = -ABC, whose first row is -, -, -, +; AB is an alias of CD.
    rows = [(a, b, c, 1 ^ a ^ b ^ c) for a, b, c in product((0, 1), repeat=3)]
    table = pd.DataFrame(
        [
            {"A": a, "B": b, "C": c, "D": d, "seed": seed, "error": 0.1 + 0.02 * d + 0.01 * a * b + 0.001 * seed * c}
            for a, b, c, d in rows
            for seed in range(3)
        ]
    )
    for name in "ABCD":
        table[name] = pd.Categorical(table[name], categories=[0, 1])
    terms = [*[(name,) for name in "ABCD"], ("A", "B"), ("A", "C"), ("A", "D")]
    found = {"".join(term.factors): term for term in analyse_variance(table, "ABCD", terms)}
    assert {name: term.effect for name, term in found.items()} == {
        "A": pytest.approx(0.005),
        "B": pytest.approx(0.005),
        "C": pytest.approx(0.001),
        "D": pytest.approx(0.02),
        "AB": pytest.approx(0.005),
        "AC": pytest.approx(0, abs=1e-12),
        "AD": pytest.approx(0, abs=1e-12),
    }
    assert {term.df for term in found.values()} == {1}
    *_, alias = analyse_variance(table, "ABCD", [*terms, ("C", "D")])
    assert alias.df == 0


def test_an_interaction_can_be_in_the_model_without_its_factors() -> None:
    (both,) = analyse_variance(crossed({"a": "xy", "b": "pq"}, 3, noise()), "ab", [("a", "b")])
    assert both.df == 1
    assert both.f is not None


# Effects that cannot be estimated


def test_one_seed_per_cell_leaves_no_degree_of_freedom_for_the_residual() -> None:
    terms = analyse_variance(crossed({"a": "xy", "b": "pq"}, 1, noise()), "ab", every("ab"))
    for term in terms:
        assert term.df == 1
        assert term.f is term.p is term.low is term.high is None
        assert term.effect is not None
    assert sum(term.share for term in terms) == pytest.approx(1)


def test_without_a_residual_there_is_no_f() -> None:
    table = crossed({"a": "xy", "b": "pq"}, 3, lambda a, b, seed: 0.1 + 0.03 * a + 0.02 * seed)
    main, other, both = analyse_variance(table, "ab", every("ab"))
    assert main.effect == pytest.approx(0.03)
    assert main.share > 0.1
    assert {main.f, main.p, main.low, other.f, both.f} == {None}


def test_a_table_with_equal_values_has_shares_of_0() -> None:
    terms = analyse_variance(crossed({"a": "xy", "b": "pq"}, 3, lambda *_: 0.1), "ab", every("ab"))
    assert [(term.f, term.share) for term in terms] == [(None, 0)] * 3
    assert [term.effect for term in terms] == pytest.approx([0] * 3)


def test_a_level_without_rows_and_an_empty_table_give_no_effects() -> None:
    table = crossed({"a": "xy", "b": "pq"}, 3, noise())
    half = table[table["a"] == "x"]
    main, other, both = analyse_variance(half, "ab", every("ab"))
    assert (main.df, other.df, both.df) == (0, 1, 0)
    assert main.effect is both.effect is None
    assert [term.df for term in analyse_variance(table.iloc[:0], "ab", every("ab"))] == [0, 0, 0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda t: analyse_variance(t, "ac", [("a",)]), "table: unknown column 'c'"),
        (lambda t: analyse_variance(t, "ab", [("a",)], value="eror"), "unknown column 'eror'; did you mean 'error'?"),
        (lambda t: analyse_variance(t, ["a"], [("a", "b")]), "terms: unknown factor 'b'; allowed: a"),
        (lambda t: analyse_variance(t, "ab", [("a", "b"), ("b", "a")]), "terms: ('a', 'b') is given twice"),
        (lambda t: analyse_variance(t, "ab", [()]), "terms: () is given twice, names a factor twice, or names none"),
        (lambda t: analyse_variance(t, ["a", "seed"], [("a",)]), "table: column 'seed' is given twice"),
        (lambda t: analyse_variance(t.assign(error=np.nan), "ab", [("a",)]), "error: nan in row 0; leave rows without"),
        (lambda t: analyse_variance(t.assign(a=None), "ab", [("a",)]), "table: a row has no a; leave it out"),
        (lambda t: describe_imbalance(t, "ab", "sed"), "table: unknown column 'sed'; did you mean 'seed'?"),
    ],
)
def test_wrong_tables_are_refused_in_words(wrong: Callable[[pd.DataFrame], object], message: str) -> None:
    with pytest.raises(InputError) as error:
        wrong(crossed({"a": "xy", "b": "pq"}, 2, noise()))
    assert message in str(error.value)


# Which cells are missing, in words


def lacking(*lost: tuple[str, int], levels: dict[str, str] | None = None) -> str:
    """The text for all cells of two or more factors with three seeds each, without the given (levels, seed)."""
    levels = levels or {"order": "xy", "width": "pq"}
    table = crossed(levels, 3, noise())
    cells = table[list(levels)].agg("".join, axis=1)
    gone = [any((cell, seed) == each for each in lost) for cell, seed in zip(cells, table["seed"], strict=True)]
    return describe_imbalance(table[~np.array(gone)], list(levels), "seed")


def test_a_complete_table_is_balanced() -> None:
    assert lacking() == ""
    assert lacking(levels={"a": "xyz", "b": "pq", "c": "uv"}) == ""


def test_cells_that_lack_a_seed_are_named() -> None:
    assert lacking(("xq", 1)) == "1 of 4 cells lacks seed 1: order=x, width=q"
    assert lacking(("xq", 1), ("yp", 1)) == "2 of 4 cells lack seed 1: order=x, width=q; order=y, width=p"


def test_seeds_that_the_same_cells_lack_are_reported_together() -> None:
    assert lacking(("xq", 0), ("xq", 2)) == "1 of 4 cells lacks seed 0, 2: order=x, width=q"
    assert lacking(("xq", 0), ("yq", 2)) == (
        "1 of 4 cells lacks seed 0: order=x, width=q. 1 of 4 cells lacks seed 2: order=y, width=q"
    )


def test_many_cells_are_not_all_named() -> None:
    levels = {"a": "wxyz", "b": "pq"}
    text = lacking(*((a + "p", 0) for a in "wxyz"), ("wq", 0), levels=levels)
    assert text == "5 of 8 cells lack seed 0: a=w, b=p; a=w, b=q; a=x, b=p; a=y, b=p; and 1 more"


def test_a_cell_without_rows_is_reported() -> None:
    assert lacking(("xq", 0), ("xq", 1), ("xq", 2)) == "1 of 4 cells has no row: order=x, width=q"


def test_a_fraction_is_balanced_and_lacks_only_its_own_cells() -> None:
    levels = {"A": "-+", "B": "-+", "C": "-+"}
    table = crossed(levels, 2, noise())
    minus = table[list(levels)].agg("".join, axis=1).str.count("-")
    half = table[minus % 2 == 0]
    assert describe_imbalance(half, list(levels), "seed") == ""
    assert describe_imbalance(half.iloc[1:], list(levels), "seed") == "1 of 4 cells lacks seed 0: A=-, B=-, C=+"
    assert describe_imbalance(half.iloc[2:], list(levels), "seed").startswith(
        "levels of A are not in equally many cells: - in 1, + in 2."
    )
