"""The default strategy: startup, known costs, predictions and expected improvement."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import Space, complexity
from resnet_space.axes import Choices, Range
from search.fronts.dominance import hypervolume
from search.samplers.local_search import LocalSearch, absent, encoded, grow, improvement
from search.samplers.sampler import Outcome, Proposal, Sampler

SPACE = Space.of(
    {
        "base": "resnet20",
        "set": {"input_shape": [1, 8, 8]},
        "axes": {
            "width": [0.25, 0.5, 1],
            "stages.*.units": [1, 2, 3],
            "unit.shortcut.kind": ["identity", "none"],
            "unit.order": ["original", "full_preactivation"],
        },
    }
)


def sampler(objectives: tuple[str, ...] = ("error", "macs"), startup: int = 6, seed: int = 0) -> Sampler:
    return Sampler(SPACE, LocalSearch(SPACE, objectives, complexity, seed, startup), seed=seed)


def asked(of: Sampler) -> Proposal:
    proposal = of.ask()
    assert proposal is not None
    return proposal


def error(proposal: Proposal) -> float:
    """Wider is better, depth makes plain networks worse, and the order has no effect."""
    plain = proposal.assignment["unit.shortcut.kind"] == "none"
    return 0.1 / proposal.assignment["width"] + 0.1 * proposal.assignment["stages.*.units"] * (1 if plain else -1) + 0.3


class TestTheBeginning:
    @pytest.mark.parametrize("seed", range(3))
    def test_is_spread_over_the_costs(self, seed: int) -> None:
        costs = sorted(complexity(net).macs for net in SPACE.enumerate())
        of = sampler(seed=seed)
        ranks = sorted(costs.index(complexity(asked(of).net).macs) / len(costs) for _ in range(6))
        assert ranks[0] < 1 / 3
        assert ranks[-1] > 2 / 3
        assert max(np.diff(ranks)) < 1 / 2

    def test_lasts_until_something_is_complete(self) -> None:
        of = sampler(startup=2)
        for _ in range(8):
            of.tell(asked(of).number, Outcome("diverged"))


class TestTheSearch:
    def test_finds_the_front_of_36_networks_in_18_trials(self) -> None:
        of = sampler()
        points = []
        for _ in range(18):
            proposal = asked(of)
            values = (error(proposal), float(complexity(proposal.net).macs))
            points.append((values[0], math.log(values[1])))
            of.tell(proposal.number, Outcome("complete", values))
        every = [
            (error(Proposal(0, assignment, net)), math.log(complexity(net).macs))
            for assignment in SPACE.assignments()
            for net in [SPACE.architecture(assignment)]
        ]
        corner = np.max(every, axis=0)
        assert hypervolume(points, corner) > 0.97 * hypervolume(every, corner)

    def test_costs_are_known_without_trials(self) -> None:
        of = sampler(("macs",))
        # The reported costs are deliberately wrong: the strategy counts costs and does not learn them.
        begun = []
        for _ in range(8):
            proposal = asked(of)
            begun.append(complexity(proposal.net).macs)
            of.tell(proposal.number, Outcome("complete", (1e9,)))
        assert min(begun) == min(complexity(net).macs for net in SPACE.enumerate())

    def test_networks_that_violate_constraints_on_results_are_avoided(self) -> None:
        of = sampler(("error",), startup=12)
        for number in range(16):
            proposal = asked(of)
            late = 1.0 if proposal.assignment["width"] == 1 else 0.0
            of.tell(proposal.number, Outcome("complete", (error(proposal),), violation=late))
            if number >= 12:
                assert proposal.assignment["width"] < 1


numbers = st.floats(0, 1, width=16)


@pytest.mark.parametrize("objectives", [1, 2, 3])
@given(data=st.data())
def test_an_improvement_is_what_a_point_adds_to_the_hypervolume(objectives: int, data: Any) -> None:
    point = st.tuples(*[numbers] * objectives)
    front = np.array(data.draw(st.lists(point, max_size=6)), dtype=float).reshape(-1, objectives)
    new = np.array(data.draw(st.lists(point, min_size=1, max_size=4)), dtype=float)
    corner = np.array(data.draw(point), dtype=float)
    gains = improvement(front, new[None], corner)
    assert gains.shape == (1, len(new))
    expected = [hypervolume(np.vstack([front, p]), corner) - hypervolume(front, corner) for p in new]
    assert gains[0] == pytest.approx(expected, abs=1e-9)


def test_trees_agree_on_what_they_have_seen_and_differ_elsewhere() -> None:
    features = np.array([[0.0], [0.2], [0.8], [1.0]])
    predicted = grow(features, np.array([[1.0], [2.0], [5.0], [9.0]]), seed=0)(np.array([[0.2], [0.5]]))
    assert predicted[:, 0, 0] == pytest.approx(2.0)
    assert predicted[:, 1, 0].std() > 0.5


@pytest.mark.parametrize(
    ("axis", "value", "expected"),
    [
        (Choices.of([4, 1, 2]), 2, [0.5]),
        (Choices.of(["a", "b", "c"]), "b", [0, 1, 0]),
        (Choices.of([True, False]), True, [1, 0]),
        (Range(low=1, high=8, integer=True, log=True), 2, [1 / 3]),
        (Range(low=1, high=100, log=True), 10.0, [0.5]),
        (Range(low=-6, high=0), -1.5, [0.75]),
        (Range(low=2, high=2), 2.0, [0]),
    ],
)
def test_a_value_is_encoded_by_its_place(axis: Any, value: Any, expected: list[float]) -> None:
    assert encoded(axis, value) == pytest.approx(expected)
    assert len(absent(axis)) == len(expected)
    assert absent(axis) not in [encoded(axis, value) for value in axis.values()]
