"""Surveys of a space before training: small spaces are enumerated, large ones sampled, and empty ones refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import Space, complexity
from resnet_space.errors import InputError
from search.samplers import survey as module
from search.samplers.survey import survey, wilson

SMALL: dict[str, Any] = {
    "base": "resnet20",
    "set": {"input_shape": [1, 8, 8], "width": 0.25},
    "axes": {"unit.shortcut.kind": ["identity", "none", "conv1x1"], "stages.*.units": [1, 2]},
}


def space(**changes: Any) -> Space:
    return Space.of(SMALL | changes)


def test_a_small_space_is_enumerated() -> None:
    found = survey(space())
    nets = list(space().enumerate())
    macs = [complexity(net).macs for net in nets]
    assert (found.raw, found.exact, found.seen, found.networks) == (6, True, 6, len(nets))
    assert (found.feasible, found.feasible_low, found.feasible_high) == (1, 1, 1)
    assert (found.least["macs"], found.most["macs"]) == (min(macs), max(macs))
    assert [complexity(net).macs for net in found.examples] == sorted(complexity(net).macs for net in found.examples)


def test_constraints_reduce_the_feasible_share() -> None:
    limit = sorted(complexity(net).macs for net in space().enumerate())[2]
    found = survey(space(constraints=[f"macs <= {limit}"]))
    assert found.networks == 3
    assert found.feasible == pytest.approx(3 / 6)
    assert found.most["macs"] == limit


def test_a_large_space_is_sampled_and_its_share_has_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", 4)
    found = survey(space())
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
        survey(space(constraints=["macs <= 10"]))


def test_constraints_that_exclude_each_other_are_both_named() -> None:
    with pytest.raises(InputError, match=r"each can be met, but .*depth <= 8.*depth >= 14"):
        survey(space(constraints=["depth <= 8", "depth >= 14"]))


def test_a_space_with_a_continuous_range_is_sampled() -> None:
    axes = {"unit.shortcut.kind": ["exclusive_gate"], "unit.shortcut.gate_bias": {"low": -6.0, "high": 0.0}}
    found = survey(space(axes=axes))
    assert found.raw is None
    assert not found.exact


@pytest.mark.parametrize("transitions", [["A", "B"], ["B", "A"]], ids=str)
def test_a_constraint_is_checked_for_every_assignment_of_a_network(transitions: list[str]) -> None:
    # Without a shortcut the transition has no effect: two assignments give the same network, and one is refused.
    axes = {"unit.shortcut.kind": ["none", "identity"], "transition": transitions, "stages.*.units": [1, 2]}
    found = survey(space(axes=axes, constraints=["transition == A"]))
    assert (found.feasible, found.networks) == (0.5, 4)


def stages(most: int, **others: Any) -> dict[str, Any]:
    """Return separate axes for the number of units of each stage."""
    return {f"stages.{stage}.units": {"low": 1, "high": most} for stage in range(3)} | others


def test_the_interval_of_a_large_space_contains_the_true_share() -> None:
    truth = sum(net.depth <= 20 for net in space(axes=stages(7)).enumerate()) / 7**3
    found = survey(space(axes=stages(7), constraints=["depth <= 20"]), seed=3)
    assert (found.exact, found.raw) == (False, 7**3)
    assert 0 < found.feasible_low <= truth <= found.feasible_high < 1


def test_costs_include_the_ends_of_the_axes_that_draws_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", 4)
    found = survey(space(axes=stages(9)))
    assert all(8 < net.depth < 2 + 2 * 27 for net in found.examples)
    assert (found.least["depth"], found.most["depth"]) == (8, 2 + 2 * 27)


def test_networks_that_draws_miss_are_found_by_moves() -> None:
    axes = stages(9, width=[*range(1, 10)])
    found = survey(space(axes=axes, constraints=["depth <= 8", "stem.channels <= 4"]))
    assert (found.feasible, found.networks, found.least["depth"]) == (0, 1, 8)
    assert found.feasible_low == 0
    assert 1 / 9**4 < found.feasible_high < 0.02


def test_every_constraint_that_nothing_meets_is_named() -> None:
    with pytest.raises(InputError) as error:
        survey(space(constraints=["macs <= 1e3", "depth >= 100", "depth <= 1000"]))
    first, second = str(error.value).splitlines()
    assert "meets macs <= 1e3; " in first
    assert "meets depth >= 100; the nearest has depth = 14 (among all 6 networks)" in second


def test_a_constraint_that_conflicts_with_no_other_is_not_named() -> None:
    with pytest.raises(InputError) as error:
        survey(space(constraints=["depth <= 8", "shortcut != none", "depth >= 14"]))
    assert str(error.value) == (
        "constraints: each can be met, but nothing in the space meets all of depth <= 8, depth >= 14; "
        "the nearest has depth = 8 (among all 6 networks)"
    )


def test_three_constraints_of_which_any_two_can_be_met_are_all_named() -> None:
    axes = {"stages.*.units": [1, 2, 3]}
    with pytest.raises(InputError, match=r"meets all of depth != 8, depth != 14, depth != 20; "):
        survey(space(axes=axes, constraints=["depth != 8", "depth != 14", "depth != 20"]))


def test_a_field_that_the_nearest_network_lacks_is_shown_as_none() -> None:
    with pytest.raises(InputError, match=r"the nearest has gate_bias = none, macs = [\d,]+ "):
        survey(space(constraints=["gate_bias <= -1 and macs <= 10"]))


def test_the_error_for_a_space_that_cannot_be_built_says_why() -> None:
    axes = {"unit.branch.kind": ["bottleneck"], "unit.branch.width": [5], "unit.branch.cardinality": [2, 3]}
    with pytest.raises(InputError, match=r"^space: nothing in it can be built: \d x "):
        survey(space(axes=axes))
