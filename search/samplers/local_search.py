"""Local search: moves from networks on the front, chosen by expected improvement, with costs known before training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from random import Random

import numpy as np

from resnet_space import Architecture, Complexity
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from search.fronts.dominance import Flags, Floats, crowding, nondominated, ranks
from search.fronts.objectives import OBJECTIVES
from search.samplers.improvement import improvements
from search.samplers.sampler import AnySpace, Experience, Outcome, Proposal, net_of
from search.samplers.surrogate import MAX_TREE_SAMPLES, TREES, Forest, absent, censored, encoded, grow, logit, spread

STARTUP_DRAWS = 4
"""Networks drawn for each startup network, to choose from by cost."""
MOVED, DRAWN = 64, 32
"""Candidates per proposal: moves from the front, and random draws."""
TRIES = 10
"""Attempts for each wanted candidate, before fewer are accepted."""
SECOND_MOVE = 0.3
"""Probability that a move is followed by a second one."""
MIN_ERROR = 1e-3
"""Smaller errors are rounded up to this before taking logarithms."""
BLOCK = 16
"""Asks per block: after hundreds of trials the last few change little."""
NEAR = 64
"""Trials from which each tree takes its front: those with the lowest non-dominated ranks."""
SCALES = ((False, True), (True, True), (False, False))
"""Whether errors, and whether costs, count by their logarithm in the improvement: one row per proposal in turn."""


@dataclass(frozen=True)
class Candidate:
    """A network that could be proposed, with its costs and its features for the surrogate."""

    key: str
    assignment: Assignment
    cost: Complexity
    counted: tuple[float, ...]
    """One value per objective: the logarithm of a cost, NaN if it is not known before training."""
    features: tuple[float, ...]


@dataclass(frozen=True)
class Known:
    """All proposals so far that were not refused, in the order of their numbers, with their outcomes."""

    tried: list[Candidate]
    outcomes: list[Outcome]

    @property
    def finished(self) -> Known:
        """The finished trials; if more than `MAX_TREE_SAMPLES`, the first ones, rounded down to a multiple of `BLOCK`.

        The rounding keeps the result the same for a block of asks.
        """
        ended = np.flatnonzero(~self.where("running"))
        ended = ended[: len(ended) - len(ended) % BLOCK] if len(ended) > MAX_TREE_SAMPLES else ended
        return Known([self.tried[i] for i in ended], [self.outcomes[i] for i in ended])

    def where(self, *statuses: str) -> Flags:
        return np.array([outcome.status in statuses for outcome in self.outcomes], dtype=np.bool_)

    @cached_property
    def keys(self) -> set[str]:
        return {candidate.key for candidate in self.tried}

    @cached_property
    def complete(self) -> Flags:
        return self.where("complete")

    @cached_property
    def kept(self) -> Flags:
        """Which trials satisfy the constraints on results."""
        return np.array([outcome.violation <= 0 for outcome in self.outcomes], dtype=np.bool_)

    @cached_property
    def running(self) -> list[int]:
        return np.flatnonzero(self.where("running")).tolist()


@dataclass(frozen=True)
class Surrogate:
    """The expensive part of a proposal: trees fitted to finished trials, and candidates."""

    finished: Known
    forest: Forest | None
    """Predicts the objectives that are unknown before training; None if there are none."""
    keeping: Forest | None
    """Predicts whether the constraints on results are satisfied; None if all trials satisfy them."""
    pool: list[Candidate]


class LocalSearch(Experience):
    """A strategy for few and expensive trials: costs are known exactly; only the other objectives are predicted.

    1. The first `startup` networks are spread evenly over the MACs (over the ranks of many random draws).
    2. After that, most candidates are one or two moves away from networks on the front, more often from isolated ones;
       the others are random. Extremely randomised trees (Geurts et al. 2006), each fitted to a bootstrap sample,
       predict the unknown objectives. The candidate with the largest hypervolume improvement, averaged over the trees,
       is proposed: E[HV(F + x) - HV(F)]; with one objective E[max(0, least - x)].

    The front F is that of each tree's predictions for the trained networks, not of their results: a lucky seed would
    hide all that is a little better than its network, as in the noisy expected improvement of Letham et al. 2019,
    1706.07094, and Daulton et al. 2021, 2105.08195. Where costs count as they are, predictions for new networks are
    spread by the trees' disagreement, as no tree predicts a value that it has not seen.

    The trees predict the logit of the error and the logarithm of the latency. The improvement counts errors and costs
    in turn as `SCALES` says. With errors as they are, going from 2 % to 1 % would never justify an expensive network;
    with costs as they are, a few cheap networks have nearly all of the volume; with their logarithm alone, the least
    errors would hardly count. The reference point is the worst value seen. A trial that diverged or failed gets the
    worst value seen, a stopped one the upper quartile of the trees' predictions, and a running one its prediction, so
    that concurrent proposals differ. With constraints on results, the improvement is multiplied by the predicted
    probability that they are satisfied.

    From `MAX_TREE_SAMPLES` finished trials on, trees and candidates are made once per block of `BLOCK` asks, from the
    trials that were finished at its start. Everything else is updated at every ask.
    """

    def __init__(
        self,
        space: AnySpace,
        objectives: tuple[str, ...],
        costs: Callable[[Architecture], Complexity],
        seed: int,
        startup: int = 10,
    ) -> None:
        super().__init__()
        self._space, self._objectives, self._costs, self._seed, self._startup = space, objectives, costs, seed, startup
        self._predicted = [i for i, name in enumerate(objectives) if not OBJECTIVES[name].known_before]
        self._candidates: dict[str, Candidate | None] = {}
        self._moves_from: dict[str, list[Assignment]] = {}
        self._by_proposal: dict[int, tuple[Proposal, Candidate | None]] = {}
        self._last_surrogate: Surrogate | None = None

    def propose(self, number: int) -> Assignment | None:
        rng = Random(f"local {self._seed} {number}")
        known = self._known()
        if len(known.keys) < self._startup or not known.complete.any():
            return self._spread(known.keys, rng)
        values = self._values(known)
        surrogate = self._surrogate(known, rng)
        pool = [candidate for candidate in surrogate.pool if candidate.key not in known.keys]
        if not pool:
            return None
        seen = [known.tried[i] for i in [*self._near(known, values), *known.running]]
        log_errors, log_costs = SCALES[number % len(SCALES)]
        fronts = self._predict(surrogate.forest, seen)
        points = self._predict(surrogate.forest, pool, spread_out=not log_costs)
        chance = _chance(surrogate.keeping, pool)
        values, fronts, points = (self._scaled(each, log_errors, log_costs) for each in (values, fronts, points))
        expected = [each.mean(axis=0) for each in (fronts, points)]
        corner = np.maximum(np.nanmax(values, axis=0), np.vstack(expected).max(axis=0))
        gains = improvements(fronts, points, corner).mean(axis=0) * chance
        # If no candidate improves the front, take the one with the most uncertain prediction.
        uncertain = points.std(axis=0).sum(axis=1) * chance
        return pool[int(np.lexsort((uncertain, gains))[-1])].assignment

    def _known(self) -> Known:
        rows = [
            (candidate, outcome)
            for proposal, outcome in self.learned
            if outcome.status != "infeasible" and (candidate := self._candidate_of(proposal))
        ]
        return Known([candidate for candidate, _ in rows], [outcome for _, outcome in rows])

    def _candidate_of(self, proposal: Proposal) -> Candidate | None:
        """Return the candidate of a proposal, cached by the proposal's number."""
        if self._by_proposal.get(proposal.number, (None, None))[0] is not proposal:
            self._by_proposal[proposal.number] = (proposal, self._candidate(proposal.assignment))
        return self._by_proposal[proposal.number][1]

    def _near(self, known: Known, values: Floats) -> list[int]:
        """Return the complete trials that satisfy the constraints; of many, those of the lowest ranks."""
        kept = np.flatnonzero(known.complete & known.kept)
        if len(kept) > NEAR:
            kept = kept[np.argsort(ranks(values[kept]), kind="stable")[:NEAR]]
        return kept.tolist()

    def _spread(self, known: set[str], rng: Random) -> Assignment | None:
        """Return a network from a part of the cost range without a known network, or any new one if there is none."""
        draws = list(self._drawn(STARTUP_DRAWS * self._startup, set(), Random(f"local {self._seed}")))
        draws.sort(key=lambda candidate: (candidate.cost.macs, candidate.key))
        bounds = [len(draws) * part // self._startup for part in range(self._startup + 1)]
        parts = [draws[low:high] for low, high in pairwise(bounds) if low < high]
        parts = [part for part in parts if not any(candidate.key in known for candidate in part)]
        left = rng.choice(parts) if parts else [candidate for candidate in draws if candidate.key not in known]
        return rng.choice(left).assignment if left else None

    def _surrogate(self, known: Known, rng: Random) -> Surrogate:
        """Make the surrogate and candidates for one ask, or, with `MAX_TREE_SAMPLES` finished trials, for a block."""
        finished = known.finished
        many = len(finished.outcomes) >= MAX_TREE_SAMPLES
        if many and self._last_surrogate and self._last_surrogate.finished == finished:
            return self._last_surrogate
        if many:
            # The text of a seed is never changed: it decides which networks are proposed.
            rng = Random(f"local {self._seed} behind {len(finished.outcomes)}")
        values = self._values(finished)
        # In a block, running trials are not excluded here, because they change from ask to ask.
        pool = list(self._pool(finished, values, finished.keys if many else known.keys, rng))
        goals = values[:, self._predicted]
        errors = [self._objectives[column] == "error" for column in self._predicted]
        goals[:, errors] = logit(goals[:, errors])
        features = _features(finished.tried)
        seed = rng.randrange(2**31)
        forest = grow(features, censored(features, goals, seed), seed) if self._predicted else None
        kept = finished.kept[:, None].astype(float)
        keeping = None if kept.all() else grow(features, kept, rng.randrange(2**31), noisy=False)
        self._last_surrogate = Surrogate(finished, forest, keeping, pool)
        return self._last_surrogate

    def _pool(self, known: Known, values: Floats, taken: set[str], rng: Random) -> Iterator[Candidate]:
        """Yield candidates that are not taken: some near the front, some random."""
        taken = set(taken)
        feasible = np.flatnonzero(known.complete & known.kept)
        feasible = feasible if len(feasible) else np.flatnonzero(known.complete)
        front = feasible[nondominated(values[feasible])]
        # The most isolated first; ties in random order.
        parents = sorted(zip(-crowding(values[front]), [rng.random() for _ in front], front, strict=True))
        weights = [1 / math.sqrt(rank) for rank in range(1, len(parents) + 1)]
        found = 0
        for _ in range(TRIES * MOVED):
            if found == MOVED:
                break
            assignment = known.tried[rng.choices(parents, weights)[0][2]].assignment
            for _ in range(1 + (rng.random() < SECOND_MOVE)):
                assignment = rng.choice(self._moves(assignment))
            candidate = self._candidate(assignment)
            if candidate and candidate.key not in taken:
                taken.add(candidate.key)
                found += 1
                yield candidate
        yield from self._drawn(DRAWN, taken, rng)

    def _drawn(self, number: int, taken: set[str], rng: Random) -> Iterator[Candidate]:
        """Yield up to `number` random candidates that are not taken."""
        for _ in range(TRIES * number):
            candidate = self._candidate(self._space.draw(rng))
            if candidate and candidate.key not in taken:
                taken.add(candidate.key)
                yield candidate
                number -= 1
            if number == 0:
                return

    def _values(self, known: Known) -> Floats:
        """Return each trial's objective values, shape (n, m); NaN where a running or stopped trial has none."""
        values = np.array([candidate.counted for candidate in known.tried])
        complete = known.complete
        for column in self._predicted:
            log = self._objectives[column] != "error"
            measured = np.array([outcome.values[column] for outcome in known.outcomes if outcome.values is not None])
            values[complete, column] = np.log(np.maximum(measured, 1e-9)) if log else measured
            seen = values[complete, column]
            values[known.where("diverged", "failed"), column] = seen.max()
        return values

    def _predict(self, forest: Forest | None, candidates: list[Candidate], *, spread_out: bool = False) -> Floats:
        """Return the candidates' predicted objective values, shape (trees, k, m).

        With `spread_out` they are spread by the disagreement of the trees: see `surrogate.spread`.
        """
        if not candidates:
            return np.empty((TREES, 0, len(self._objectives)))
        errors = [self._objectives[column] == "error" for column in self._predicted]
        predicted = np.repeat(np.array([candidate.counted for candidate in candidates])[None], TREES, axis=0)
        if forest:
            goals = forest(_features(candidates))
            goals = spread(goals) if spread_out else goals
            goals[..., errors] = 1 / (1 + np.exp(-goals[..., errors]))
            predicted[..., self._predicted] = goals
        return predicted

    def _scaled(self, values: Floats, log_errors: bool, log_costs: bool) -> Floats:
        """Return the values with errors as their logarithms or not, and the others, which are logarithms, likewise."""
        values = values.copy()
        errors = np.array([name == "error" for name in self._objectives])
        if log_errors:
            values[..., errors] = np.log(np.maximum(values[..., errors], MIN_ERROR))
        if not log_costs:
            values[..., ~errors] = np.exp(values[..., ~errors])
        return values

    def _candidate(self, assignment: Assignment) -> Candidate | None:
        """Return the candidate for an assignment, or None if it cannot be built or is forbidden."""
        name = _text(assignment)
        if name not in self._candidates:
            self._candidates[name] = self._make(assignment)
        return self._candidates[name]

    def _moves(self, assignment: Assignment) -> list[Assignment]:
        """Return the assignments one move away, feasible or not; if there are none, the assignment itself."""
        name = _text(assignment)
        if name not in self._moves_from:
            self._moves_from[name] = list(self._space.moves(assignment)) or [assignment]
        return self._moves_from[name]

    def _make(self, assignment: Assignment) -> Candidate | None:
        try:
            point = self._space.point(assignment)
        except InputError:
            return None
        if self._space.feasible(point) is not None:
            return None
        net = net_of(point)
        cost = self._costs(net)
        sizes = (net.depth, cost.macs, cost.params, cost.activations)
        features = [math.log(max(size, 1)) for size in sizes]
        for path, axis in self._space.axes.items():
            features += encoded(axis, assignment[path]) if path in assignment else absent(axis)
        counted = [
            math.log(max(getattr(cost, name), 1)) if OBJECTIVES[name].known_before else math.nan
            for name in self._objectives
        ]
        return Candidate(point.key, assignment, cost, tuple(counted), tuple(features))


def _features(candidates: list[Candidate]) -> Floats:
    return np.array([candidate.features for candidate in candidates])


def _chance(keeping: Forest | None, candidates: list[Candidate]) -> Floats:
    """Return for each candidate the probability that it satisfies the constraints on results, shape (k,)."""
    return keeping(_features(candidates)).mean(axis=0)[:, 0] if keeping else np.ones(len(candidates))


def _text(assignment: Assignment) -> str:
    return json.dumps(assignment, sort_keys=True)
