"""Asking for networks: a strategy proposes, and the sampler ensures that each is new, buildable and allowed."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from resnet_space import Architecture
from resnet_space.axes import Axis, Choices
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from resnet_space.space import SpaceOf
from search.trials.events import Status
from search.trials.setup import Setup

MAX_REJECTED = 10
"""Unusable proposals in one `ask` before a network is drawn at random instead."""
DRAWS = 1000
"""Maximum number of draws to find a new network in a space too large to list."""


AnySpace = SpaceOf[Any]
"""A space of networks, or of networks with their recipes and data (`JointSpace`)."""


@dataclass(frozen=True)
class Proposal:
    """A proposed point of the space with its number and training seed. `reason`: the constraint it violates, if any."""

    number: int
    assignment: Assignment
    point: Architecture | Setup
    seed: int = 0
    reason: str = ""

    @property
    def net(self) -> Architecture:
        """The proposed network."""
        return net_of(self.point)

    @property
    def key(self) -> str:
        """Equal for proposals that are trained in the same way, except for the seed."""
        return self.point.key


def net_of(point: Architecture | Setup) -> Architecture:
    """Return the network of a point of a space."""
    return point.net if isinstance(point, Setup) else point


@dataclass(frozen=True)
class Outcome:
    """The outcome of a proposal: its status and, only if it is complete, the `values` of the objectives in their order.

    `violation` is the amount by which it violates the constraints, or 0.

    Raises:
        ValueError: a complete outcome without values, another one with values, or a value that is not finite.
    """

    status: Status
    values: tuple[float, ...] | None = None
    violation: float = 0.0

    def __post_init__(self) -> None:
        if (self.values is not None) != (self.status == "complete"):
            raise ValueError(f"only complete trials have values: got {self.status} with {self.values}")
        if not all(map(math.isfinite, (*(self.values or ()), self.violation))):
            raise ValueError(f"values must be finite, not {self.values} with violation {self.violation}")


class Strategy(Protocol):
    """Chooses the next network: a pure function of its seed, the proposal's number, and the outcomes it has learned.

    It is pure so that a stopped search resumes from its store with the same proposals. Make a new random generator in
    each `propose`, and do not depend on the order in which outcomes were learned:

        class Draws(Experience):
            def propose(self, number: int) -> Assignment | None:
                return self.space.draw(Random(f"{self.seed} {number}"))

    `search.testing.check_strategy` checks this.
    """

    def propose(self, number: int) -> Assignment | None:
        """Return an assignment, or None if nothing is left. It can be already known, impossible or forbidden."""

    def learn(self, proposal: Proposal, outcome: Outcome) -> None:
        """Learn the outcome of any proposal: first that it is running, later how it finished."""


class Experience:
    """Everything a strategy has learned, by proposal number, independent of the order of learning."""

    def __init__(self) -> None:
        self._by_number: dict[int, tuple[Proposal, Outcome]] = {}

    def learn(self, proposal: Proposal, outcome: Outcome) -> None:
        self._by_number[proposal.number] = (proposal, outcome)

    @property
    def learned(self) -> list[tuple[Proposal, Outcome]]:
        """The latest outcome of each proposal, in the order of their numbers."""
        return [self._by_number[number] for number in sorted(self._by_number)]


def ordered(axis: Axis) -> bool:
    """Whether all values of an axis are numbers, so that a strategy can use their order."""
    return not isinstance(axis, Choices) or all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in axis.options
    )


def row(axis: Axis) -> Callable[[int], Any]:
    """Return a function from a place 0, 1, ... to the value there, for a finite ordered axis in ascending order."""
    return sorted(axis.options).__getitem__ if isinstance(axis, Choices) else axis.at


def place(axis: Axis, value: Any) -> int:
    """Return the place of a value in the `row` of its axis."""
    return bisect_left(range(axis.count or 0), value, key=row(axis))


class Sampler:
    """Asks a strategy for points of the space: each once, or with seeds 0, 1, ... up to `replicates`.

    A proposal that violates a constraint is reported to the strategy and returned by `refused`. One that cannot be
    built, or that is not new, only uses up a number: the store does not record it, and a search must not depend on
    anything that is not in the store. After `MAX_REJECTED` such proposals, or if the strategy repeats one, the sampler
    draws from the remaining networks.
    """

    def __init__(self, space: AnySpace, strategy: Strategy, *, seed: int = 0, replicates: int = 1) -> None:
        self._space, self._strategy, self._seed, self._replicates = space, strategy, seed, replicates
        self._number = 0
        self._proposals: dict[int, Proposal] = {}
        self._asked: dict[str, list[Proposal]] = {}
        self._forbidden: set[str] = set()
        self._refused: list[tuple[Proposal, Outcome]] = []

    def ask(self) -> Proposal | None:
        """Return the next network to train, or None if the space has no more."""
        found = self._missing_seed() or self._proposed() or self._drawn()
        if found is not None:
            self._learn(found, Outcome("running"))
        return found

    def tell(self, number: int, outcome: Outcome) -> None:
        """Report the outcome of the proposal with this number.

        Raises:
            KeyError: there is no such proposal.
        """
        self._strategy.learn(self._proposals[number], outcome)

    def refused(self) -> list[tuple[Proposal, Outcome]]:
        """Return the proposals that `ask` has refused since the last call, for the store to record as infeasible."""
        found, self._refused = self._refused, []
        return found

    def restore(self, history: Iterable[tuple[Proposal, Outcome | None]]) -> None:
        """Restore earlier proposals and their outcomes; None means still running."""
        for proposal, outcome in sorted(history, key=lambda pair: pair[0].number):
            self._learn(proposal, outcome or Outcome("running"))

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        self._proposals[proposal.number] = proposal
        self._number = max(self._number, proposal.number + 1)
        if outcome.status == "infeasible":
            self._forbidden.add(proposal.key)
        else:
            self._asked.setdefault(proposal.key, []).append(proposal)
        self._strategy.learn(proposal, outcome)

    def _missing_seed(self) -> Proposal | None:
        """Return the next seed of a network that does not have all its seeds yet."""
        if self._replicates == 1:
            return None
        for asked in self._asked.values():
            seeds = set(range(self._replicates)) - {proposal.seed for proposal in asked}
            if seeds and len(asked) < self._replicates:
                return Proposal(self._number, asked[0].assignment, asked[0].point, min(seeds))
        return None

    def _proposed(self) -> Proposal | None:
        """Return the strategy's first usable proposal, or None."""
        before: list[Assignment] = []
        for _ in range(MAX_REJECTED):
            assignment = self._strategy.propose(self._number)
            if assignment is None or assignment in before:
                return None
            before.append(assignment)
            found = self._new(assignment)
            if found is not None:
                reason = self._space.feasible(found.point)
                if reason is None:
                    return found
                refused = Proposal(found.number, found.assignment, found.point, reason=reason)
                outcome = Outcome("infeasible", violation=self._space.violation(found.point))
                self._refused.append((refused, outcome))
                self._learn(refused, outcome)
            else:
                self._number += 1
        return None

    def _drawn(self) -> Proposal | None:
        """Return one of the remaining networks, all with the same probability if the space can be listed."""
        rng = Random(f"{self._seed} {self._number}")
        networks = self._space.networks
        if networks is not None:
            left = [assignment for key, assignment in networks.items() if key not in self._asked]
            return self._new(rng.choice(left)) if left else None
        for _ in range(DRAWS):
            found = self._new(self._space.draw(rng))
            if found is not None and self._space.feasible(found.point) is None:
                return found
        return None

    def _new(self, assignment: Assignment) -> Proposal | None:
        """Return the proposal for an assignment, or None if it cannot be built or is not new."""
        try:
            point = self._space.point(assignment)
        except InputError:
            return None
        if point.key in self._asked or point.key in self._forbidden:
            return None
        # Without inactive axes.
        active = self._space.suggest(lambda path, _: assignment[path])
        return Proposal(self._number, active, point)
