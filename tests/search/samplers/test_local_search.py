"""The default strategy: startup, known costs, predictions and expected improvement."""

from __future__ import annotations

import math

import numpy as np
import pytest

from resnet_space import Space, complexity
from search.fronts.dominance import hypervolume
from search.samplers.local_search import LocalSearch
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
        of, widths = sampler(("error",), startup=12), []
        for _ in range(20):
            proposal = asked(of)
            widths.append(proposal.assignment["width"])
            late = 1.0 if widths[-1] == 1 else 0.0
            of.tell(proposal.number, Outcome("complete", (error(proposal),), violation=late))
        # The widest are the best, so one is tried now and then: if no other can be better.
        assert widths[12:].count(1) <= 2
