"""Searches on small spaces whose trials finish immediately, used to check strategies."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from resnet_space import Space, complexity
from search.samplers.sampler import AnySpace, Outcome, Proposal, Sampler, Strategy
from search.trials.joint_space import JointSpace

Make = Callable[[AnySpace, tuple[str, ...], int], Strategy]
"""Makes a strategy without history from a space, the objectives' names and a seed."""

History = list[tuple[Proposal, Outcome | None]]

OBJECTIVES = ("error", "macs")

SET = {"width": 0.25, "input_shape": [1, 8, 8], "stages.*.units": 1}

SPACES: dict[str, dict[str, Any]] = {
    # 12 networks; the bias is active only with the gate.
    "small": {
        "axes": {
            "unit.shortcut.kind": ["identity", "exclusive_gate", "none"],
            "unit.shortcut.gate_bias": [-6, 0],
            "unit.order": ["original", "full_preactivation", "bn_after_addition"],
        }
    },
    # 14 networks: the number of units is chosen for two of the three orders only.
    "conditions": {
        "axes": {
            "unit.order": ["original", "full_preactivation", "bn_after_addition"],
            "stages.*.units": [1, 2, 3],
            "unit.shortcut.kind": ["identity", "none"],
        },
        "when": {"stages.*.units": {"unit.order": ["original", "full_preactivation"]}},
    },
    # 24 networks; others are too deep, or have bottlenecks too narrow for a cardinality of 4.
    "constraints": {
        "axes": {
            "stages.*.units": [1, 2, 3],
            "unit.shortcut.kind": ["identity", "constant_scaling", "conv1x1", "none"],
            "unit.order": ["original", "full_preactivation"],
            "unit.branch.kind": ["basic", "bottleneck"],
            "unit.branch.cardinality": [1, 4],
        },
        "constraints": ["depth <= 14"],
    },
    "continuum": {
        "axes": {
            "unit.shortcut.gate_bias": {"low": -6, "high": 0},
            "unit.order": ["original", "full_preactivation"],
        },
        "set": SET | {"unit.shortcut.kind": "exclusive_gate"},
    },
}


RECIPES: dict[str, Any] = {
    "base": "resnet20",
    "set": SET,
    "recipe": {"epochs": 2},
    "data": "digits",
    "axes": {
        "recipe.lr": {"low": 0.01, "high": 1, "log": True},
        "recipe.schedule.kind": ["constant", "steps"],
        # Active with one of the two kinds only.
        "recipe.schedule.decay": [0.1, 0.2],
        "unit.shortcut.kind": ["identity", "exclusive_gate"],
    },
    "constraints": ["recipe.lr <= 0.5"],
}
"""A space of recipes for two networks."""


def recipes() -> JointSpace:
    return JointSpace.of(RECIPES)


def space(name: str) -> Space:
    return Space.of({"base": "resnet20", "set": SET, **SPACES[name]})


def sampler(make: Make, where: AnySpace, seed: int = 0, **settings: Any) -> Sampler:
    return Sampler(where, make(where, OBJECTIVES, seed), seed=seed, **settings)


def trained(proposal: Proposal) -> Outcome:
    """Return a complete outcome whose error depends on the network and seed only, as if it had been trained."""
    cost = complexity(proposal.net)
    luck = Random(f"{proposal.key} {proposal.seed}").random()
    return Outcome("complete", ((1 / (1 + proposal.net.depth) + luck) / 2, float(cost.macs)))


def every_outcome_in_turn(proposal: Proposal) -> Outcome:
    """Return one of all possible final outcomes, depending on the proposal's number."""
    kinds = (trained(proposal), Outcome("pruned"), Outcome("diverged"), Outcome("failed"))
    late = Outcome("complete", trained(proposal).values, violation=0.5)
    return (*kinds, late)[proposal.number % 5]


def drive(
    of: Sampler, asks: int, become: Callable[[Proposal], Outcome] = trained, at_once: int = 1
) -> tuple[list[Proposal], History]:
    """Ask a sampler `asks` times, with up to `at_once` trials running, and return the proposals and the history.

    The trial that started last finishes first.
    """
    asked, history, running = list[Proposal](), dict[int, tuple[Proposal, Outcome | None]](), list[Proposal]()
    while len(asked) < asks:
        proposal = of.ask()
        history.update({refused.number: (refused, outcome) for refused, outcome in of.refused()})
        if proposal is None:
            break
        asked.append(proposal)
        running.append(proposal)
        history[proposal.number] = (proposal, None)
        if len(running) == at_once:
            ended = running.pop()
            history[ended.number] = (ended, become(ended))
            of.tell(ended.number, become(ended))
    return asked, list(history.values())


def keys(proposals: list[Proposal]) -> list[str]:
    return [proposal.key for proposal in proposals]
