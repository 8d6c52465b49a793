"""What a space holds, before training: counted whole where it is small, drawn where it is not, refused where empty."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import Space, complexity
from resnet_space.errors import InputError
from search import reach as module
from search.reach import reach, wilson

SMALL: dict[str, Any] = {
    "base": "resnet20",
    "set": {"input_shape": [1, 8, 8], "width": 0.25},
    "axes": {"unit.shortcut.kind": ["identity", "none", "conv1x1"], "stages.*.units": [1, 2]},
}


def space(**changes: Any) -> Space:
    return Space.of(SMALL | changes)


def test_a_small_space_is_counted_whole() -> None:
    found = reach(space())
    nets = list(space().enumerate())
    macs = [complexity(net).macs for net in nets]
    assert (found.raw, found.exact, found.seen, found.networks) == (6, True, 6, len(nets))
    assert (found.feasible, found.feasible_low, found.feasible_high) == (1, 1, 1)
    assert (found.least["macs"], found.most["macs"]) == (min(macs), max(macs))
    assert [complexity(net).macs for net in found.examples] == sorted(complexity(net).macs for net in found.examples)


def test_constraints_take_their_share() -> None:
    limit = sorted(complexity(net).macs for net in space().enumerate())[2]
    found = reach(space(constraints=[f"macs <= {limit}"]))
    assert found.networks == 3
    assert found.feasible == pytest.approx(3 / 6)
    assert found.most["macs"] == limit


def test_of_a_large_space_a_share_is_drawn_with_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", 4)
    found = reach(space())
    assert not found.exact
    assert found.seen == 4
    assert 0 <= found.feasible_low <= found.feasible <= found.feasible_high <= 1
    assert found.networks <= 6


@given(share=st.floats(0, 1), n=st.integers(1, 10_000))
def test_the_interval_is_around_the_share_and_within_0_and_1(share: float, n: int) -> None:
    low, high = wilson(share, n)
    assert 0 <= low <= share <= high <= 1


def test_the_interval_of_a_published_example() -> None:
    """Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, Wilson without continuity correction."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize("listed", [300, 4])
def test_a_constraint_that_nothing_meets_names_the_nearest_value(listed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", listed)
    least = min(complexity(net).macs for net in space().enumerate())
    with pytest.raises(InputError, match=rf"macs <= 10; the nearest has macs = {least:,}"):
        reach(space(constraints=["macs <= 10"]))


def test_constraints_that_exclude_each_other_are_both_named() -> None:
    with pytest.raises(InputError, match=r"each can be met, but .*depth <= 8.*depth >= 14"):
        reach(space(constraints=["depth <= 8", "depth >= 14"]))


def test_a_continuous_range_is_drawn_from() -> None:
    axes = {"unit.shortcut.kind": ["exclusive_gate"], "unit.shortcut.gate_bias": {"low": -6.0, "high": 0.0}}
    found = reach(space(axes=axes))
    assert found.raw is None
    assert not found.exact
