"""Survey a space before training: how many networks it has and their costs, or an error if it has none."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, islice
from random import Random
from typing import Any

from resnet_space import complexity
from resnet_space.axes import Axis
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from resnet_space.fields import lookup_of
from search.samplers.sampler import AnySpace, net_of, ordered

COSTS = ("depth", "params", "macs", "activations")
LISTED = 300
"""A space with up to this number of assignments is enumerated; from a larger one, this number is drawn."""
CORNERS = 6
"""How often all numbers are set to their minimum, and to their maximum: random draws rarely reach extreme costs."""
MAX_MOVES = 100
"""Moves tried after the draws to get closer to satisfying the constraints."""

Built = tuple[Assignment, Any]
"""An assignment and its point."""


@dataclass(frozen=True)
class Survey:
    """The result of a survey. `exact`: the space was enumerated; otherwise `seen` assignments were drawn.

    `feasible` is the share of assignments that can be built and satisfy the constraints, with its 95 % interval (Wilson
    1927; of width 0 if exact). It is 0 if no draw was feasible and feasible networks were found only by moves from the
    nearest ones. `networks` is the number of distinct feasible networks that were seen, and `points` that of networks
    with different recipes or data.
    """

    raw: int | None
    """The full product of the axes; None with a continuous range."""
    seen: int
    exact: bool
    networks: int
    points: int
    feasible: float
    feasible_low: float
    feasible_high: float
    least: Mapping[str, int]
    """By the names in `COSTS`. If not exact, networks with all numbers at their minimum or maximum are included."""
    most: Mapping[str, int]
    examples: tuple[Any, ...]
    """Some of the points, in ascending order of MACs."""


def survey(space: AnySpace, *, seed: int = 0, examples: int = 5) -> Survey:
    """Survey a space by enumerating it or drawing from it.

    Raises:
        InputError: no network can be built, or none that was found satisfies the constraints. The message gives the
            nearest value reached, or the constraints that exclude each other.
    """
    listed = list(islice(space.assignments(), LISTED + 1))
    counts = [axis.count for axis in space.axes.values()]
    exact = len(listed) <= LISTED and None not in counts
    rng, reasons = Random(seed), Counter[str]()
    assignments = listed if exact else [space.draw(rng) for _ in range(LISTED)]
    built = list(_built(space, assignments, reasons))
    if not built:
        listing = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
        raise InputError(f"space: nothing in it can be built: {listing}")
    # One by one, not by key: of two assignments to the same network, a constraint can refuse one only.
    kept = [point for _, point in built if not space.violation(point)]
    share = len(kept) / len(assignments)
    if not kept and not exact:
        gaps: list[Callable[[Any], float]] = [partial(_gap, space, text) for text in space.constraints]
        for gap in [space.violation, *gaps]:
            built += list(_downhill(space, built, gap))
        kept = [point for _, point in built if not space.violation(point)]
    if not kept:
        raise InputError("\n".join(_unreachable(space, [point for _, point in built], exact)))
    points = sorted({point.key: point for point in kept}.values(), key=lambda point: (_macs(point), point.key))
    ends = [] if exact else [point for _, point in _built(space, _corners(space, rng)) if not space.violation(point)]
    nets = {net.key: net for net in map(net_of, (*points, *ends))}
    costs = {name: [lookup_of(net)(name) for net in nets.values()] for name in COSTS}
    low, high = (share, share) if exact else wilson(share, len(assignments))
    steps = sorted({round(i * (len(points) - 1) / max(examples - 1, 1)) for i in range(examples)})
    return Survey(
        raw=None if None in counts else math.prod(count or 1 for count in counts),
        seen=len(assignments),
        exact=exact,
        networks=len({net_of(point).key for point in points}),
        points=len(points),
        feasible=share,
        feasible_low=low,
        feasible_high=high,
        least={name: min(values) for name, values in costs.items()},
        most={name: max(values) for name, values in costs.items()},
        examples=tuple(points[step] for step in steps),
    )


def wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % score interval of a share of n draws. Wilson 1927."""
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    # Rounding can move the limits slightly outside [0, 1] or past the share.
    return min(max(low, 0.0), share), max(min(high, 1.0), share)


def _built(space: AnySpace, assignments: Iterable[Assignment], reasons: Counter[str] | None = None) -> Iterator[Built]:
    """Yield the assignments that can be built, feasible or not. Count in `reasons` why the others cannot."""
    for assignment in assignments:
        try:
            yield assignment, space.point(assignment)
        except InputError as error:
            if reasons is not None:
                reasons[str(error).splitlines()[0]] += 1


def _corners(space: AnySpace, rng: Random) -> Iterator[Assignment]:
    """Yield assignments with all numbers at their minimum, or all at their maximum, and the other values random."""

    def value(end: Callable[..., Any], path: str, axis: Axis) -> Any:
        return end(axis.values()) if ordered(axis) else axis.draw(rng)

    for end in (min, max):
        for _ in range(CORNERS):
            yield space.suggest(partial(value, end))


def _macs(point: Any) -> int:
    return complexity(net_of(point)).macs


def _gap(space: AnySpace, constraint: str, point: Any) -> float:
    """Return a point's violation of one constraint; see `Expression.violation`."""
    return Expression(constraint, space.NAMES).violation(space.lookup(point))


def _downhill(space: AnySpace, built: Sequence[Built], gap: Callable[[Any], float]) -> Iterator[Built]:
    """Move step by step from the network with the smallest gap to networks with smaller gaps, and yield them.

    Stop when the gap is 0, no move reduces it, or `MAX_MOVES` were tried.
    """
    start, point = min(built, key=lambda each: gap(each[1]))
    least, left, moves = gap(point), MAX_MOVES, space.moves(start)
    while least > 0 and left > 0 and (moved := next(moves, None)) is not None:
        left -= 1
        for assignment, point in _built(space, [moved]):
            if gap(point) < least:
                least, moves = gap(point), space.moves(assignment)
                yield assignment, point


def _unreachable(space: AnySpace, points: Sequence[Any], exact: bool) -> Iterator[str]:
    """Yield the constraints that no network meets, with the nearest value, or those that are not met together."""
    number = len({point.key for point in points})
    nothing, where = "nothing in the space meets", f"among all {number:,} networks"
    if not exact:
        nothing, where = "nothing found in the space meets", f"among {number:,} networks drawn or near those"
    gaps = {text: [_gap(space, text, point) for point in points] for text in space.constraints}
    unmet = [text for text in space.constraints if min(gaps[text]) > 0]
    for text in unmet:
        nearest = points[gaps[text].index(min(gaps[text]))]
        yield f"constraints: {nothing} {text}; the nearest has {_shown(space, [text], nearest)} ({where})"
    if unmet:
        return
    pairs = [pair for pair in combinations(gaps, 2) if all(map(any, zip(gaps[pair[0]], gaps[pair[1]], strict=True)))]
    together: Sequence[tuple[str, ...]] = pairs or [tuple(gaps)]
    for texts in together:
        sums = [sum(each) for each in zip(*(gaps[text] for text in texts), strict=True)]
        nearest = points[sums.index(min(sums))]
        yield (
            f"constraints: each can be met, but {nothing} all of {', '.join(texts)}; "
            f"the nearest has {_shown(space, texts, nearest)} ({where})"
        )


def _shown(space: AnySpace, texts: Iterable[str], point: Any) -> str:
    """Return the point's values that the constraints use, as text."""
    value, parts = space.lookup(point), list[str]()
    for name in dict.fromkeys(name for text in texts for name in Expression(text, space.NAMES).names):
        try:
            found = value(name)
        except LookupError:
            found = "none"
        a_number = isinstance(found, int | float) and not isinstance(found, bool)
        parts.append(f"{name} = {found:,}" if a_number else f"{name} = {found}")
    return ", ".join(parts)
