"""Asking for networks: a strategy proposes, and the sampler sees to it that each is new, possible and allowed."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from resnet_space import Architecture, Space
from resnet_space.axes import Axis, Choices
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from search.trials.events import Status

UNLUCKY = 10
"""Proposals in one `ask` that come to nothing, and then a network is drawn instead."""
DRAWS = 1000
"""Draws for one that was not there yet, in a space too large to list."""


@dataclass(frozen=True)
class Proposal:
    """A network asked for, as which number, with which seed to train. `reason`: the constraint that it breaks."""

    number: int
    assignment: Assignment
    net: Architecture
    seed: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a proposal: `values` of the objectives, in their order, where it is complete and only there.

    `violation` is how far it is from keeping the constraints, 0 where it keeps them.

    Raises:
        ValueError: a complete one without values, another one with, or a value that is not finite.
    """

    status: Status
    values: tuple[float, ...] | None = None
    violation: float = 0.0

    def __post_init__(self) -> None:
        if (self.values is not None) != (self.status == "complete"):
            raise ValueError(f"values are those of a complete trial: {self.status} with {self.values}")
        if not all(map(math.isfinite, (*(self.values or ()), self.violation))):
            raise ValueError(f"values must be finite, not {self.values} with violation {self.violation}")


class Strategy(Protocol):
    """Where to look next: a pure function of its seed, the number asked for, and what it has learned.

    Pure, so that a search that was stopped goes on from its store as it would have gone on. Each `propose` makes its
    random generator anew, and the order in which things were learned does not count.
    """

    def propose(self, number: int) -> Assignment | None:
        """An assignment, perhaps one known already, impossible or forbidden; None if there is nothing more."""

    def learn(self, proposal: Proposal, outcome: Outcome) -> None:
        """What became of a proposal, its own or not. First that it is running, later how it ended."""


class Experience:
    """What a strategy has learned, by number, so that it does not matter in which order."""

    def __init__(self) -> None:
        self._by_number: dict[int, tuple[Proposal, Outcome]] = {}

    def learn(self, proposal: Proposal, outcome: Outcome) -> None:
        self._by_number[proposal.number] = (proposal, outcome)

    @property
    def learned(self) -> list[tuple[Proposal, Outcome]]:
        """The latest about each proposal, in the order of their numbers."""
        return [self._by_number[number] for number in sorted(self._by_number)]


def ordered(axis: Axis) -> bool:
    """Whether an axis is of numbers, so that a strategy may go by which are near each other."""
    return not isinstance(axis, Choices) or all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in axis.options
    )


def row(axis: Axis) -> Callable[[int], Any]:
    """The values of a finite and ordered axis, the least first: from a place 0, 1, ... to the value there."""
    return sorted(axis.options).__getitem__ if isinstance(axis, Choices) else axis.at


def place(axis: Axis, value: Any) -> int:
    """Where a member stands in the `row` of its axis."""
    return bisect_left(range(axis.count or 0), value, key=row(axis))


class Sampler:
    """Asks a strategy for networks of the space, each once, or with `replicates` seeds 0, 1, ... one after the other.

    A proposal that breaks a constraint is told to the strategy and kept for `refused`. One that cannot be built, or
    that was there before, only costs its number: the store has no place for it, and what the store cannot hold must
    not decide how the search goes on. After `UNLUCKY` such proposals, or the same one again, the sampler draws from
    what is left.
    """

    def __init__(self, space: Space, strategy: Strategy, *, seed: int = 0, replicates: int = 1) -> None:
        self._space, self._strategy, self._seed, self._replicates = space, strategy, seed, replicates
        self._number = 0
        self._proposals: dict[int, Proposal] = {}
        self._asked: dict[str, list[Proposal]] = {}
        self._forbidden: set[str] = set()
        self._refused: list[tuple[Proposal, Outcome]] = []

    def ask(self) -> Proposal | None:
        """The next network to train; None if the space has no other."""
        found = self._owed() or self._sought() or self._drawn()
        if found is not None:
            self._learn(found, Outcome("running"))
        return found

    def tell(self, number: int, outcome: Outcome) -> None:
        """What became of the proposal with this number.

        Raises:
            KeyError: there is none.
        """
        self._strategy.learn(self._proposals[number], outcome)

    def refused(self) -> list[tuple[Proposal, Outcome]]:
        """What `ask` has turned down since the last call, for the store to hold as infeasible."""
        found, self._refused = self._refused, []
        return found

    def restore(self, history: Iterable[tuple[Proposal, Outcome | None]]) -> None:
        """Know what was asked for before, and what became of it; None: it is still running."""
        for proposal, outcome in sorted(history, key=lambda pair: pair[0].number):
            self._learn(proposal, outcome or Outcome("running"))

    def _learn(self, proposal: Proposal, outcome: Outcome) -> None:
        self._proposals[proposal.number] = proposal
        self._number = max(self._number, proposal.number + 1)
        if outcome.status == "infeasible":
            self._forbidden.add(proposal.net.key)
        else:
            self._asked.setdefault(proposal.net.key, []).append(proposal)
        self._strategy.learn(proposal, outcome)

    def _owed(self) -> Proposal | None:
        """A network that has not had all of its seeds."""
        if self._replicates == 1:
            return None
        for asked in self._asked.values():
            seeds = set(range(self._replicates)) - {proposal.seed for proposal in asked}
            if seeds and len(asked) < self._replicates:
                return Proposal(self._number, asked[0].assignment, asked[0].net, min(seeds))
        return None

    def _sought(self) -> Proposal | None:
        """The first proposal of the strategy that comes to something."""
        before: list[Assignment] = []
        for _ in range(UNLUCKY):
            assignment = self._strategy.propose(self._number)
            if assignment is None or assignment in before:
                return None
            before.append(assignment)
            found = self._new(assignment)
            if found is not None:
                reason = self._space.feasible(found.net)
                if reason is None:
                    return found
                refused = Proposal(found.number, found.assignment, found.net, reason=reason)
                outcome = Outcome("infeasible", violation=self._space.violation(found.net))
                self._refused.append((refused, outcome))
                self._learn(refused, outcome)
            else:
                self._number += 1
        return None

    def _drawn(self) -> Proposal | None:
        """One of the networks that are left, each as likely as the next."""
        rng = Random(f"{self._seed} {self._number}")
        networks = self._space.networks
        if networks is not None:
            left = [assignment for key, assignment in networks.items() if key not in self._asked]
            return self._new(rng.choice(left)) if left else None
        for _ in range(DRAWS):
            found = self._new(self._space.draw(rng))
            if found is not None and self._space.feasible(found.net) is None:
                return found
        return None

    def _new(self, assignment: Assignment) -> Proposal | None:
        """The proposal of an assignment, if it is a network, and one that was not there before."""
        try:
            net = self._space.architecture(assignment)
        except InputError:
            return None
        if net.key in self._asked or net.key in self._forbidden:
            return None
        # Without the axes that do not count.
        active = self._space.suggest(lambda path, _: assignment[path])
        return Proposal(self._number, active, net)
