"""Fronts of networks: which networks count, which are on the front, how certain that is, and the best in a budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_space import preset
from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from resnet_space.fields import Lookup, lookup_of
from search.fronts.filtering import filtered, lookups
from search.fronts.front import Point, best, front
from search.fronts.networks import networks
from search.fronts.objectives import NAMES_OF_RESULTS
from search.store.store import RESULTS


def trial(
    network: str,
    error: float | None,
    macs: float = 1e6,
    *,
    seed: int = 0,
    depth: int = 20,
    latency_ms: float | None = None,
    seconds: float | None = None,
    test_error: float | None = None,
) -> dict[str, Any]:
    return {
        "architecture": network,
        "seed": seed,
        "validation_error": error,
        "test_error": test_error,
        "depth": depth,
        "params": macs / 100,
        "macs": macs,
        "activations": macs / 10,
        "latency_ms": latency_ms,
        "seconds": seconds,
    }


def results(*trials: dict[str, Any]) -> pd.DataFrame:
    """Rows as the store returns them: sorted, with all numbers as floats."""
    frame = pd.DataFrame(list(trials), columns=list(RESULTS))
    frame = frame.sort_values(["architecture", "seed", "validation_error"], kind="stable", ignore_index=True)
    return frame.astype(dict.fromkeys(RESULTS[1:], float) | {"architecture": "str"})


def where(text: str) -> Expression:
    return Expression(text, NAMES_OF_RESULTS)


def keys(points: Iterable[Point]) -> list[str]:
    return [point.key for point in points]


quick = settings(max_examples=40, deadline=None)
"""Creating a frame takes tens of milliseconds."""


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Up to 12 networks of up to 4 trials; few values, so that ties are frequent."""
    rows = []
    for number in range(draw(st.integers(0, 12))):
        macs, depth = draw(st.integers(1, 5)) * 1e6, draw(st.integers(1, 4))
        latency = draw(st.sampled_from([None, 1.0, 2.0]))
        for seed in range(draw(st.integers(1, 4))):
            error = draw(st.integers(1, 9)) / 16
            rows.append(trial(f"n{number:02}", error, macs, seed=seed, depth=depth, latency_ms=latency))
    return results(*rows)


CHOICES = st.lists(st.sampled_from(["error", "macs", "latency_ms"]), min_size=1, max_size=3, unique=True)
FILTERS = st.sampled_from([None, "macs <= 3e6", "depth >= 2 and n >= 2", "not (error < 0.3) or latency_ms < 1.5"])


def dominates(a: Point, b: Point) -> bool:
    pairs = [(a.values[name], b.values[name]) for name in a.values]
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


@quick
@given(frames(), CHOICES)
def test_members_of_a_front_never_dominate_each_other(frame: pd.DataFrame, names: list[str]) -> None:
    points = front(frame, names, bootstrap=0)
    assert not any(dominates(a, b) for a in points for b in points)


@quick
@given(frames(), CHOICES, FILTERS)
def test_a_network_off_the_front_lacks_an_objective_fails_the_filter_or_is_dominated(
    frame: pd.DataFrame, names: list[str], text: str | None
) -> None:
    expression = where(text) if text else None
    members = front(frame, names, where=expression, bootstrap=0)
    table = networks(frame)
    candidates = {
        row["architecture"]: [row[name] for name in names]
        for i, row in enumerate(table.to_dict("records"))
        if not any(np.isnan(row[name]) for name in names)
        and (expression is None or expression.evaluate(lookups(table, expression, None)(i)))
    }
    assert set(keys(members)) <= set(candidates)
    on = [list(member.values.values()) for member in members]
    for key in set(candidates) - set(keys(members)):
        assert any(m != candidates[key] and np.less_equal(m, candidates[key]).all() for m in on)


@quick
@given(frames(), CHOICES, FILTERS, st.sampled_from([(), (0, 1), (2,)]), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(
    frame: pd.DataFrame, names: list[str], text: str | None, seeds: tuple[int, ...], random: Any
) -> None:
    order = list(range(len(frame)))
    random.shuffle(order)
    expression = where(text) if text else None
    one, other = (front(f, names, seeds=seeds, where=expression, bootstrap=20) for f in (frame, frame.iloc[order]))
    assert one == other


@quick
@given(frames())
def test_one_more_dominated_network_changes_no_member(frame: pd.DataFrame) -> None:
    before = front(frame, "error,macs", bootstrap=0)
    if before:
        more = pd.concat([frame, results(trial("worse", before[0].error, before[0].values["macs"] + 1))])
        assert front(more, "error,macs", bootstrap=0) == before


@quick
@given(frames(), CHOICES, FILTERS)
def test_probabilities_are_between_0_and_1_and_the_same_for_the_same_seed(
    frame: pd.DataFrame, names: list[str], text: str | None
) -> None:
    expression = where(text) if text else None
    points = front(frame, names, where=expression, bootstrap=30, seed=4)
    assert all(p.p_nondominated is None or 0 <= p.p_nondominated <= 1 for p in points)
    assert points == front(frame, names, where=expression, bootstrap=30, seed=4)


def test_a_front_is_sorted_from_cheap_to_accurate() -> None:
    frame = results(trial("b", 0.05, 9e6), trial("a", 0.10, 2e6), trial("c", 0.07, 5e6), trial("d", 0.08, 6e6))
    points = front(frame, "error,macs")
    assert keys(points) == ["a", "c", "b"]
    assert points[0] == Point(
        key="a",
        values={"error": 0.10, "macs": 2e6},
        error=0.10,
        error_std=None,
        n=1,
        test_error=None,
        test_error_std=None,
        depth=20,
        params=20_000,
        macs=2_000_000,
        activations=200_000,
        latency_ms=None,
        seconds=None,
        confirmed=False,
        p_nondominated=None,
    )


def test_training_time_is_the_mean_over_seeds_and_can_be_an_objective() -> None:
    seeds = (trial("a", 0.10, seed=seed, seconds=seconds) for seed, seconds in enumerate((10.0, 14.0)))
    frame = results(*seeds, trial("b", 0.05, seconds=20.0), trial("c", 0.20, seconds=13.0))
    points = front(frame, "error,seconds")
    assert [(point.key, point.values["seconds"]) for point in points] == [("a", 12.0), ("b", 20.0)]
    assert keys(front(frame, "error", where=where("seconds < 15"))) == ["a"]


def test_networks_with_the_same_values_are_all_on_the_front() -> None:
    frame = results(trial("b", 0.05, 2e6), trial("a", 0.05, 2e6), trial("c", 0.05, 3e6))
    assert keys(front(frame, "error,macs")) == ["a", "b"]


def test_with_one_objective_the_front_is_the_minimum() -> None:
    assert keys(front(results(trial("a", 0.05), trial("b", 0.04), trial("c", 0.04)), ["error"])) == ["b", "c"]


def test_a_front_of_no_trials_is_empty() -> None:
    assert front(results(), "error,macs", seeds=[1], where=where("depth > 3")) == []


def test_a_network_without_a_value_is_on_no_front_for_it() -> None:
    frame = results(trial("a", 0.10, latency_ms=3.0), trial("b", 0.05))
    assert keys(front(frame, "error,latency_ms")) == ["a"]
    assert keys(front(frame, "error,macs")) == ["b"]


def test_errors_are_means_and_sample_deviations_over_seeds() -> None:
    frame = results(
        trial("a", 0.10, seed=0, test_error=0.11), trial("a", 0.12, seed=1, test_error=0.15), trial("b", 0.2)
    )
    table = networks(frame).set_index("architecture")
    assert table.loc["a", "error"] == pytest.approx(0.11)
    assert table.loc["a", "error_std"] == pytest.approx(0.02 / 2**0.5)
    assert table.loc["a", "test_error"] == pytest.approx(0.13)
    assert table.loc["a", "test_error_std"] == pytest.approx(0.04 / 2**0.5)
    assert table["n"].to_dict() == {"a": 2, "b": 1}
    assert table[["error_std", "test_error"]].loc["b"].isna().all()


LUCKY = [trial("a", 0.02, seed=0), trial("a", 0.08, seed=1), trial("a", 0.10, seed=2)]
"""The network was chosen by seed 0; 1 and 2 are fresh."""


def test_the_numbers_of_a_confirmed_network_are_over_its_fresh_seeds_alone() -> None:
    (point,) = front(results(*LUCKY), "error,macs", seeds=range(1, 3))
    assert (point.confirmed, point.n, point.error) == (True, 2, pytest.approx(0.09))
    assert point.error_std == pytest.approx(0.02 / 2**0.5)


def test_a_network_is_provisional_until_all_fresh_seeds_are_complete() -> None:
    (point,) = front(results(*LUCKY[:2]), "error,macs", seeds=[1, 2])
    assert (point.confirmed, point.n, point.error) == (False, 2, pytest.approx(0.05))


def test_without_fresh_seeds_nothing_is_confirmed() -> None:
    (point,) = front(results(*LUCKY), "error,macs")
    assert (point.confirmed, point.n) == (False, 3)


def test_a_network_dominated_only_by_filtered_ones_is_on_the_front() -> None:
    frame = results(trial("a", 0.05, 2e6, depth=20), trial("b", 0.06, 3e6, depth=32), trial("c", 0.04, 9e6, depth=56))
    assert keys(front(frame, "error,macs", where=where("depth >= 32"))) == ["b", "c"]
    assert keys(front(frame, "error,macs", where=where("macs < 5e6 and error_std < 1"))) == []
    assert keys(front(frame, "error,macs", where=where("n >= 1 and macs / 1e6 < 9"))) == ["a"]


def test_a_filter_can_test_whether_a_network_is_confirmed() -> None:
    frame = results(*LUCKY, trial("b", 0.01))
    assert keys(front(frame, "error,macs", seeds=[1, 2], where=where("confirmed == true"))) == ["a"]
    assert keys(front(frame, "error,macs", seeds=[1, 2], where=where("confirmed != true"))) == ["b"]


ORDERS = ("original", "full_preactivation")


def test_few_networks_are_described_for_a_filter_over_fields() -> None:
    asked = []

    def describe(key: str) -> Lookup:
        asked.append(key)
        return lookup_of(preset("resnet20").replace(order=ORDERS[int(key) % 2]))

    frame = results(*(trial(f"{i:04}", 0.05 + 0.001 * i, 1e6 + i) for i in range(1000)))
    points = front(
        frame, "error,macs", where=where("order == full_preactivation and macs >= 1000100"), describe=describe
    )
    assert keys(points) == ["0101"]
    assert asked == ["0100", "0101"]


def test_columns_are_evaluated_before_the_architecture() -> None:
    def describe(key: str) -> Lookup:
        raise AssertionError(key)

    frame = results(trial("a", 0.05, depth=20), trial("b", 0.06, depth=32))
    assert keys(front(frame, "error,macs", where=where("depth > 20 or macs < 1"), describe=describe)) == ["b"]
    assert front(frame, "error,macs", where=where("depth > 50 and order == original"), describe=describe) == []


def test_a_field_that_cannot_be_looked_up_does_not_count_as_false() -> None:
    with pytest.raises(ValueError, match=r"order == original: no column has order; give describe"):
        front(results(trial("a", 0.05)), "error", where=where("order == original"))


ATOMS = [
    *("macs <= 3e6", "macs / (depth - 2) > 1e6", "latency_ms != 1", "-depth < -2", "n * 2 == 4", "depth in [1, 3]"),
    *("confirmed == true", "confirmed < 1", "confirmed + 1 > 1", "1e300 * 1e300 > macs"),
    *("order == original", "unit.branch.cardinality >= 1", "gate_bias < 0 or depth == 2"),
]
TEXTS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.tuples(inner, inner).map(lambda pair: "({}) and ({})".format(*pair)),
        st.tuples(inner, inner).map(lambda pair: "({}) or ({})".format(*pair)),
    ),
    max_leaves=5,
)

NET = lookup_of(preset("resnet20"))


@quick
@given(frames(), TEXTS)
def test_a_filter_over_columns_equals_the_filter_row_by_row(frame: pd.DataFrame, text: str) -> None:
    table, expression = networks(frame, seeds=[0]), where(text)
    among, passes = filtered(table, expression, lambda key: NET)
    lookup = lookups(table, expression, lambda key: NET)
    expected = [expression.evaluate(lookup(i)) for i in range(len(table))]
    assert [passes(i) for i in range(len(table))] == expected
    assert set(np.flatnonzero(expected)) <= set(among.tolist())


def seeds_of(network: str, errors: Iterable[float], macs: float = 1e6) -> list[dict[str, Any]]:
    return [trial(network, error, macs, seed=seed) for seed, error in enumerate(errors)]


def test_without_two_seeds_of_any_network_probabilities_are_unknown() -> None:
    assert [p.p_nondominated for p in front(results(trial("a", 0.1), trial("b", 0.2, 1e5)), "error,macs")] == [None] * 2


def test_costs_are_exact_so_a_front_of_costs_is_certain() -> None:
    assert [p.p_nondominated for p in front(results(trial("a", 0.1), trial("b", 0.1, 2e6)), "macs")] == [1.0]


def test_a_network_far_better_than_all_others_is_certain_to_stay() -> None:
    frame = results(*seeds_of("a", [0.050, 0.051, 0.052]), *seeds_of("b", [0.20, 0.21, 0.22], 2e6))
    assert [p.p_nondominated for p in front(frame, "error,macs")] == [1.0]


def test_the_cheapest_network_of_all_is_certain_to_stay() -> None:
    frame = results(*seeds_of("a", [0.06, 0.05, 0.04]), *seeds_of("b", [0.055, 0.045, 0.044], 2e6))
    cheap, dear = front(frame, "error,macs", bootstrap=500)
    assert cheap.p_nondominated == 1.0
    assert dear.p_nondominated is not None
    assert 0.4 < dear.p_nondominated < 0.9


@pytest.mark.parametrize("names", [["error"], ["error", "macs"], ["macs", "error", "params"]])
def test_the_probability_for_two_networks_equals_that_of_all_resamples(names: list[str]) -> None:
    """Three seeds each, 0 or 3 / 16: a mean is (number of ones) / 16, over all 27 x 27 resamples."""
    one, other = [0.0, 0.0, 3 / 16], [0.0, 3 / 16, 3 / 16]
    of_one, of_other = (np.array([[a + b + c for a in e for b in e for c in e]]) / 3 for e in (one, other))
    expected = float((of_one <= of_other.T + 1e-12).mean())
    (point,) = front(results(*seeds_of("a", one), *seeds_of("b", other)), names, bootstrap=20_000)
    assert point.p_nondominated == pytest.approx(expected, abs=0.015)


def test_one_seed_has_the_spread_of_the_others() -> None:
    """Residuals of c, (+-0.01) sqrt 2, make a - b one of -d, 0, d, each side of the true gap 0.02 < d = 0.0283."""
    frame = results(trial("a", 0.10), trial("b", 0.12), *seeds_of("c", [0.50, 0.52], 2e6))
    (point,) = front(frame, ["error"], bootstrap=20_000)
    assert point.p_nondominated == pytest.approx(0.75, abs=0.015)


def test_a_network_that_fails_the_filter_is_not_a_rival() -> None:
    frame = results(*seeds_of("a", [0.05, 0.06, 0.07]), *(t | {"depth": 99} for t in seeds_of("b", [0.05, 0.06, 0.09])))
    assert [p.p_nondominated for p in front(frame, "error,macs", where=where("depth < 99"))] == [1.0]
    (against_b,) = front(frame, "error,macs")
    assert against_b.p_nondominated is not None
    assert against_b.p_nondominated < 1


def test_best_is_the_lowest_error_within_a_budget_and_of_equals_the_cheapest() -> None:
    frame = results(trial("a", 0.05, 4e6), trial("b", 0.05, 3e6), trial("c", 0.01, 9e6), trial("d", 0.2, 1e6))
    assert best(frame, where("macs <= 5e6")).key == "b"


def test_best_reports_the_network_nearest_to_a_budget_that_none_satisfies() -> None:
    frame = results(trial("a", 0.05, 6.1e7), trial("b", 0.01, 9e7))
    with pytest.raises(InputError) as error:
        best(frame, where("macs <= 5e7"))
    assert str(error.value) == "no network meets macs <= 5e7; the nearest has macs = 61,000,000"
    with pytest.raises(InputError, match=r"the nearest has error = 0\.01, latency_ms = unknown$"):
        best(frame, where("error < 0.005 and latency_ms < 3"))


def test_best_reports_that_no_trial_is_complete() -> None:
    with pytest.raises(InputError, match="no network has a complete trial yet"):
        best(results(), where("macs <= 5e7"))
    with pytest.raises(InputError, match="no network meets latency_ms < 3; values that it needs are missing for all 1"):
        best(results(trial("a", 0.05)), where("latency_ms < 3"))
