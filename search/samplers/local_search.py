"""Local search: moves from networks of the front, chosen by what they promise, with costs known beforehand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np

from resnet_space import Architecture, Complexity, Space
from resnet_space.axes import Axis, Choices, Range
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from search.fronts.dominance import Flags, Floats, crowding, hypervolume, nondominated
from search.fronts.objectives import OBJECTIVES
from search.samplers.forests import answers
from search.samplers.sampler import Experience, Outcome, Proposal, ordered, place

SPREAD = 4
"""So many are drawn for each network of the beginning, to choose from by cost."""
MOVED, DRAWN = 64, 32
"""Candidates of one proposal: moves from the front, and draws from anywhere."""
TRIES = 10
"""Draws for each network that is wanted, before being content with fewer."""
AGAIN = 0.3
"""How often a move is followed by a second one."""
LEAST = 1e-3
"""Errors below count as this one where they count by their logarithm."""
TREES = 64
"""Of the surrogate."""
MANY = 256
"""Trials that have ended, from which on each tree is grown on so many of them, drawn anew for each..."""
BLOCK = 16
"""...and trees and candidates are made once for so many asks: of hundreds of trials the last few teach little."""
SAMPLES = 8
"""Trees that are asked for the improvement in three objectives and more, where each answer costs a hypervolume."""


Forest = Callable[[Floats], Floats]
"""Trees, asked: see `grow`."""


@dataclass(frozen=True)
class Candidate:
    """A network that could be tried: what it costs, and how the surrogate sees it."""

    key: str
    assignment: Assignment
    cost: Complexity
    counted: tuple[float, ...]
    """A row of objectives: logarithms of costs, NaN for what is not known before training."""
    features: tuple[float, ...]


@dataclass(frozen=True)
class Known:
    """What was tried and not refused, in the order of the numbers."""

    tried: list[Candidate]
    ends: list[Outcome]

    @property
    def settled(self) -> Known:
        """Those that have ended; of more than `MANY`, the first so many that whole blocks of asks go by them."""
        ended = np.flatnonzero(~self.where("running"))
        ended = ended[: len(ended) - len(ended) % BLOCK] if len(ended) > MANY else ended
        return Known([self.tried[i] for i in ended], [self.ends[i] for i in ended])

    def where(self, *statuses: str) -> Flags:
        return np.array([end.status in statuses for end in self.ends], dtype=np.bool_)

    @cached_property
    def keys(self) -> set[str]:
        return {candidate.key for candidate in self.tried}

    @cached_property
    def complete(self) -> Flags:
        return self.where("complete")

    @cached_property
    def kept(self) -> Flags:
        """Which keep the constraints on results."""
        return np.array([end.violation <= 0 for end in self.ends], dtype=np.bool_)

    @cached_property
    def running(self) -> list[int]:
        return np.flatnonzero(self.where("running")).tolist()


@dataclass(frozen=True)
class Thought:
    """What takes long: trees that have learned of what is settled, and candidates beside it."""

    settled: Known
    forest: Forest
    pool: list[Candidate]


class LocalSearch(Experience):
    """For few and costly trials: what a network costs is exact before training, so only the rest is guessed.

    1. The first `startup` networks are spread evenly over the MACs (over the ranks of many draws).
    2. Then the candidates are one move, or two, away from members of the front, from lonely ones more often; and some
       are drawn. Extremely randomised trees (Geurts et al. 2006) guess what is not known, each tree one value, and the
       candidate with the greatest hypervolume improvement in the mean over trees is proposed: E[HV(F + x) - HV(F)],
       with one objective E[max(0, least - x)].

    Errors are guessed by their logits, costs and latency count by their logarithms. Errors count as they are and by
    their logarithms in turn: as they are, going from 2 % to 1 % would never be worth a dear network. The reference
    point is the worst seen. A trial that diverged or failed is learned as the worst seen, one that was stopped as worse
    than three quarters. One that runs counts as what is expected of it, so that those asked for at a time differ. With
    constraints on results the improvement is multiplied by the expected chance that they are kept.

    Behind `MANY` trials that have ended, what takes long is done once for a block of `BLOCK` asks: the trees learn of
    those that had ended when it began, and the candidates are drawn alike. All else is up to date at every ask.
    """

    def __init__(
        self,
        space: Space,
        objectives: tuple[str, ...],
        costs: Callable[[Architecture], Complexity],
        seed: int,
        startup: int = 10,
    ) -> None:
        super().__init__()
        self._space, self._objectives, self._costs, self._seed, self._startup = space, objectives, costs, seed, startup
        self._guessed = [i for i, name in enumerate(objectives) if not OBJECTIVES[name].known_before]
        self._made: dict[str, Candidate | None] = {}
        self._moved: dict[str, list[Assignment]] = {}
        self._told: dict[int, tuple[Proposal, Candidate | None]] = {}
        self._thought: Thought | None = None

    def propose(self, number: int) -> Assignment | None:
        rng = Random(f"local {self._seed} {number}")
        known = self._known()
        if len(known.keys) < self._startup or not known.complete.any():
            return self._spread(known.keys, rng)
        values = self._values(known)
        thought = self._think(known, rng)
        pool = [candidate for candidate in thought.pool if candidate.key not in known.keys]
        if not pool:
            return None
        guessed, chance = self._guess(thought.forest, [*(known.tried[i] for i in known.running), *pool])
        if number % 2:
            values, guessed = self._relative(values), self._relative(guessed)
        expected = guessed.mean(axis=0)
        ahead = known.complete & known.kept
        front = np.vstack([values[ahead], expected[: len(known.running)]])
        promising = guessed[:, len(known.running) :]
        corner = np.maximum(np.nanmax(values, axis=0), expected.max(axis=0))
        chance = chance[len(known.running) :]
        gains = improvement(front, promising, corner).mean(axis=0) * chance
        # Where nothing promises anything, what is known least.
        spread = promising.std(axis=0).sum(axis=1) * chance
        return pool[int(np.lexsort((spread, gains))[-1])].assignment

    def _known(self) -> Known:
        rows = [
            (candidate, outcome)
            for proposal, outcome in self.learned
            if outcome.status != "infeasible" and (candidate := self._told_of(proposal))
        ]
        return Known([candidate for candidate, _ in rows], [outcome for _, outcome in rows])

    def _told_of(self, proposal: Proposal) -> Candidate | None:
        """The candidate of a proposal, which is the same at every ask."""
        if self._told.get(proposal.number, (None, None))[0] is not proposal:
            self._told[proposal.number] = (proposal, self._candidate(proposal.assignment))
        return self._told[proposal.number][1]

    def _spread(self, known: set[str], rng: Random) -> Assignment | None:
        """A network of a part of the cost range that none known is of, as long as there is one."""
        draws = list(self._drawn(SPREAD * self._startup, set(), Random(f"local {self._seed}")))
        draws.sort(key=lambda candidate: (candidate.cost.macs, candidate.key))
        bounds = [len(draws) * part // self._startup for part in range(self._startup + 1)]
        parts = [draws[low:high] for low, high in pairwise(bounds) if low < high]
        parts = [part for part in parts if not any(candidate.key in known for candidate in part)]
        left = rng.choice(parts) if parts else [candidate for candidate in draws if candidate.key not in known]
        return rng.choice(left).assignment if left else None

    def _think(self, known: Known, rng: Random) -> Thought:
        """Behind few trials for one ask; behind `MANY`, for all that go by the same ones."""
        settled = known.settled
        many = len(settled.ends) >= MANY
        if many and self._thought and self._thought.settled == settled:
            return self._thought
        if many:
            rng = Random(f"local {self._seed} behind {len(settled.ends)}")
        values = self._values(settled)
        # What others train meanwhile is not the same at every ask of a block.
        pool = list(self._pool(settled, values, settled.keys if many else known.keys, rng))
        goals = values[:, self._guessed]
        errors = [self._objectives[column] == "error" for column in self._guessed]
        goals[:, errors] = _logit(goals[:, errors])
        goals = np.hstack([goals, settled.kept[:, None]])
        features = np.array([candidate.features for candidate in settled.tried])
        self._thought = Thought(settled, grow(features, goals, rng.randrange(2**31)), pool)
        return self._thought

    def _pool(self, known: Known, values: Floats, taken: set[str], rng: Random) -> Iterator[Candidate]:
        """Networks that are not taken, near the front, and anywhere."""
        taken = set(taken)
        ahead = np.flatnonzero(known.complete & known.kept)
        ahead = ahead if len(ahead) else np.flatnonzero(known.complete)
        front = ahead[nondominated(values[ahead])]
        # The lonely ones first; among equals by chance.
        parents = sorted(zip(-crowding(values[front]), [rng.random() for _ in front], front, strict=True))
        weights = [1 / math.sqrt(rank) for rank in range(1, len(parents) + 1)]
        found = 0
        for _ in range(TRIES * MOVED):
            if found == MOVED:
                break
            assignment = known.tried[rng.choices(parents, weights)[0][2]].assignment
            for _ in range(1 + (rng.random() < AGAIN)):
                assignment = rng.choice(self._moves(assignment))
            candidate = self._candidate(assignment)
            if candidate and candidate.key not in taken:
                taken.add(candidate.key)
                found += 1
                yield candidate
        yield from self._drawn(DRAWN, taken, rng)

    def _drawn(self, number: int, taken: set[str], rng: Random) -> Iterator[Candidate]:
        """So many draws that are not taken, or as many as are found."""
        for _ in range(TRIES * number):
            candidate = self._candidate(self._space.draw(rng))
            if candidate and candidate.key not in taken:
                taken.add(candidate.key)
                yield candidate
                number -= 1
            if number == 0:
                return

    def _values(self, known: Known) -> Floats:
        """What each trial counts as, shape (n, m); NaN for what is not known of one that runs."""
        values = np.array([candidate.counted for candidate in known.tried])
        complete = known.complete
        for column in self._guessed:
            log = self._objectives[column] != "error"
            told = np.array([end.values[column] for end in known.ends if end.values is not None])
            values[complete, column] = np.log(np.maximum(told, 1e-9)) if log else told
            seen = values[complete, column]
            values[known.where("diverged", "failed"), column] = seen.max()
            values[known.where("pruned"), column] = np.quantile(seen, 0.75)
        return values

    def _guess(self, forest: Forest, asked: list[Candidate]) -> tuple[Floats, Floats]:
        """What they may count as, shape (trees, k, m), and the chance that each keeps the constraints on results,
        shape (k,)."""
        errors = [self._objectives[column] == "error" for column in self._guessed]
        guessed = np.repeat(np.array([candidate.counted for candidate in asked])[None], TREES, axis=0)
        told = forest(np.array([candidate.features for candidate in asked]))
        told[..., :-1][..., errors] = 1 / (1 + np.exp(-told[..., :-1][..., errors]))
        guessed[..., self._guessed] = told[..., :-1]
        return guessed, told[..., -1].mean(axis=0)

    def _relative(self, values: Floats) -> Floats:
        """With errors by their logarithms."""
        values = values.copy()
        errors = [name == "error" for name in self._objectives]
        values[..., errors] = np.log(np.maximum(values[..., errors], LEAST))
        return values

    def _candidate(self, assignment: Assignment) -> Candidate | None:
        """The candidate that an assignment is; None if it is no network, or a forbidden one."""
        name = _named(assignment)
        if name not in self._made:
            self._made[name] = self._make(assignment)
        return self._made[name]

    def _moves(self, assignment: Assignment) -> list[Assignment]:
        """One move away, feasible or not; itself, if there is nothing to move."""
        name = _named(assignment)
        if name not in self._moved:
            self._moved[name] = list(self._space.moves(assignment)) or [assignment]
        return self._moved[name]

    def _make(self, assignment: Assignment) -> Candidate | None:
        try:
            net = self._space.architecture(assignment)
        except InputError:
            return None
        if self._space.feasible(net) is not None:
            return None
        cost = self._costs(net)
        sizes = (net.depth, cost.macs, cost.params, cost.activations)
        features = [math.log(max(size, 1)) for size in sizes]
        for path, axis in self._space.axes.items():
            features += encoded(axis, assignment[path]) if path in assignment else absent(axis)
        counted = [
            math.log(max(getattr(cost, name), 1)) if OBJECTIVES[name].known_before else math.nan
            for name in self._objectives
        ]
        return Candidate(net.key, assignment, cost, tuple(counted), tuple(features))


def encoded(axis: Axis, value: Any) -> list[float]:
    """A value as numbers in [0, 1]: its place among ordered ones, or a 1 among the places of the others."""
    if isinstance(axis, Choices) and not ordered(axis):
        return [float(option is axis.member(value)) for option in axis.options]
    if axis.count is not None:
        return [place(axis, value) / max(axis.count - 1, 1)]
    assert isinstance(axis, Range)
    low, high = axis.low, axis.high
    if low == high:
        return [0.0]
    if axis.log:
        return [math.log(value / low) / math.log(high / low)]
    return [(value - low) / (high - low)]


def absent(axis: Axis) -> list[float]:
    """Of an axis that does not count: a value of its own, outside [0, 1], or none of the words."""
    return [0.0] * len(axis.options) if isinstance(axis, Choices) and not ordered(axis) else [-1.0]


def grow(features: Floats, goals: Floats, seed: int) -> Forest:
    """Extremely randomised trees that know the `goals` (n, g) of `features` (n, f), each of at most `MANY` of them.

    What it gives is asked with features (k, f), and says what each of the `TREES` says, shape (trees, k, g).
    """
    from sklearn.ensemble import ExtraTreesRegressor

    middle, width = goals.mean(axis=0), goals.std(axis=0)
    width[width == 0] = 1.0
    some = {"bootstrap": True, "max_samples": MANY} if len(goals) > MANY else {}
    forest = ExtraTreesRegressor(TREES, n_jobs=1, random_state=seed, **some)
    wanted = (goals - middle) / width
    forest.fit(features, wanted if len(width) > 1 else wanted[:, 0])

    def ask(asked: Floats) -> Floats:
        return np.asarray(answers(forest, asked) * width + middle)

    return ask


def improvement(front: Floats, points: Floats, corner: Floats) -> Floats:
    """HV(front + p) - HV(front) for each of the points p, below the corner: (n, m), (s, k, m), (m,) to (s, k).

    Exact in one objective and two; with more, of `SAMPLES` of the s rows.
    """
    front = front[nondominated(front)] if len(front) else front
    if len(corner) == 1:
        least = min(front.min(initial=np.inf), corner[0])
        return np.asarray(np.maximum(0.0, least - points[..., 0]))
    if len(corner) == 2:
        steps = front[np.lexsort((front[:, 1], front[:, 0]))]
        steps = steps[(steps < corner).all(axis=1)]
        # Left of the first step the corner is the level; each step's level holds up to the next one.
        right = np.concatenate([steps[:, 0], corner[:1]])
        level = np.concatenate([corner[1:], steps[:, 1]])
        # Of the levels above a point, from the one that it stands under on, those to its right count as a whole.
        width = np.diff(right, prepend=right[0])
        areas, widths = (np.concatenate([[0.0], sums.cumsum()]) for sums in (width * level, width))
        x, y = points[..., 0], points[..., 1]
        first = np.searchsorted(right, x, side="right")
        last = np.searchsorted(-level, -y, side="left")
        under = np.minimum(first, len(right) - 1)
        beside = (
            areas[last] - areas[np.minimum(first + 1, last)] - y * (widths[last] - widths[np.minimum(first + 1, last)])
        )
        return np.asarray(np.where(first < last, (right[under] - x) * (level[under] - y) + beside, 0.0))
    rows = points[:: max(1, len(points) // SAMPLES)]
    flat = rows.reshape(-1, len(corner))
    gains = [np.prod(np.maximum(0.0, corner - point)) - hypervolume(np.maximum(front, point), corner) for point in flat]
    return np.maximum(0.0, np.array(gains).reshape(rows.shape[:2]))


def _named(assignment: Assignment) -> str:
    return json.dumps(assignment, sort_keys=True)


def _logit(errors: Floats) -> Floats:
    inside = np.clip(errors, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(inside / (1 - inside)))
