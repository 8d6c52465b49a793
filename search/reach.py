"""What a space holds, before anything is trained: how many networks, which costs, or that there is none at all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

from resnet_space import Architecture, Space, complexity
from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from resnet_space.fields import NAMES, measure

if TYPE_CHECKING:
    from collections.abc import Mapping

COSTS = ("depth", "params", "macs", "activations")
LISTED = 300
"""Assignments up to which a space is gone through whole; above, as many are drawn."""


@dataclass(frozen=True)
class Reach:
    """Counts of a space. `exact`: it was gone through whole; else what is said is of `seen` assignments drawn.

    `feasible` is the share of assignments that can be built and keep the constraints, with its 95 % interval (Wilson
    1927; no width where exact). `networks` are distinct ones among what was seen.
    """

    raw: int | None
    """The full product of the axes; None with a continuous range."""
    seen: int
    exact: bool
    networks: int
    feasible: float
    feasible_low: float
    feasible_high: float
    least: Mapping[str, int]
    most: Mapping[str, int]
    examples: tuple[Architecture, ...]
    """Some of them, from the fewest MACs to the most."""


def reach(space: Space, *, seed: int = 0, examples: int = 5) -> Reach:
    """Go through a space, or draw from it.

    Raises:
        InputError: nothing in it can be built, or keeps the constraints; the nearest value that is reached.
    """
    listed = list(islice(space.assignments(), LISTED + 1))
    exact = len(listed) <= LISTED and all(axis.count is not None for axis in space.axes.values())
    rng = Random(seed)
    assignments = listed if exact else [space.draw(rng) for _ in range(LISTED)]
    built, reasons = dict[str, tuple[Architecture, int]](), Counter[str]()
    for assignment in assignments:
        try:
            net = space.architecture(assignment)
        except InputError as error:
            reasons[str(error).splitlines()[0]] += 1
            continue
        built[net.key] = net, built.get(net.key, (net, 0))[1] + 1
    kept = {key: (net, times) for key, (net, times) in built.items() if space.feasible(net) is None}
    if not kept:
        raise _unreachable(space, [net for net, _ in built.values()], reasons, exact)
    nets = sorted((net for net, _ in kept.values()), key=lambda net: complexity(net).macs)
    costs = {name: [measure(net)(name) for net in nets] for name in COSTS}
    share = sum(times for _, times in kept.values()) / len(assignments)
    low, high = (share, share) if exact else wilson(share, len(assignments))
    steps = sorted({round(i * (len(nets) - 1) / max(examples - 1, 1)) for i in range(examples)})
    counts = [axis.count for axis in space.axes.values()]
    return Reach(
        raw=None if None in counts else math.prod(count or 1 for count in counts),
        seen=len(assignments),
        exact=exact,
        networks=len(nets),
        feasible=share,
        feasible_low=low,
        feasible_high=high,
        least={name: min(values) for name, values in costs.items()},
        most={name: max(values) for name, values in costs.items()},
        examples=tuple(nets[step] for step in steps),
    )


def wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % score interval of a share of n draws. Wilson 1927."""
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def _unreachable(space: Space, nets: list[Architecture], reasons: Counter[str], exact: bool) -> InputError:
    """Which constraint nothing meets, and what comes nearest."""
    where = f"among all {len(nets)} networks" if exact else f"among {len(nets)} networks drawn"
    if not nets:
        told = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
        return InputError(f"space: nothing in it can be built: {told}")
    lines = [line for text in space.constraints for line in _nearest(text, nets, where)]
    if not lines:
        together = " and ".join(space.constraints)
        nearest = min(nets, key=space.violation)
        lines = [
            f"constraints: each of them can be met, but not together: {together}; {space.feasible(nearest)} is the "
            f"nearest ({where})"
        ]
    return InputError("\n".join(lines))


def _nearest(text: str, nets: list[Architecture], where: str) -> Iterator[str]:
    constraint = Expression(text, NAMES)
    gaps = [constraint.violation(measure(net)) for net in nets]
    if min(gaps) > 0:
        nearest = measure(nets[gaps.index(min(gaps))])
        values = ", ".join(f"{name} = {nearest(name)}" for name in constraint.names)
        yield f"constraints: nothing in the space meets {text}; the nearest has {values} ({where})"
