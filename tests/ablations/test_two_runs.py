"""Comparison of two runs: networks of equal complexity are paired, each at most once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablations.two_runs import MACS_TOLERANCE, pair_by_macs

COSTS = st.lists(st.floats(1e4, 1e7), max_size=12)


@settings(deadline=None)
@given(COSTS, COSTS)
def test_pairs_have_equal_complexity_and_each_network_is_in_one_pair(first: list[float], second: list[float]) -> None:
    pairs = pair_by_macs(first, second)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(
        max(first[i], second[j]) <= min(first[i], second[j]) * (1 + MACS_TOLERANCE) * (1 + 1e-12) for i, j in pairs
    )


@settings(deadline=None)
@given(COSTS, COSTS)
def test_no_network_stays_unpaired_if_a_partner_is_free(first: list[float], second: list[float]) -> None:
    pairs = pair_by_macs(first, second)
    alone_here = [cost for i, cost in enumerate(first) if i not in {i for i, _ in pairs}]
    alone_there = [cost for j, cost in enumerate(second) if j not in {j for _, j in pairs}]
    assert not any(max(a, b) <= min(a, b) * (1 + MACS_TOLERANCE) * (1 - 1e-12) for a in alone_here for b in alone_there)


@settings(deadline=None)
@given(st.lists(st.integers(10_000, 10_000_000).map(float), unique=True, max_size=12))
def test_the_same_networks_are_paired_with_themselves(costs: list[float]) -> None:
    assert sorted(pair_by_macs(costs, costs[::-1])) == [(i, len(costs) - 1 - i) for i in range(len(costs))]


@pytest.mark.parametrize(("first", "second"), [([], []), ([1e6], []), ([1e6], [2e6])])
def test_without_networks_of_equal_complexity_there_are_no_pairs(first: list[float], second: list[float]) -> None:
    assert pair_by_macs(first, second) == []
