"""Arms of equal complexity: rescale a network until it has the cost of another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from resnet_space.architecture import Architecture
from resnet_space.branches import BottleneckBranch, WideBranch
from resnet_space.counter import complexity
from resnet_space.description import Description, kind_of
from resnet_space.errors import InputError, unknown
from resnet_space.numbers import Below1

MAX_COST = 1e15
"""The maximum target; no network costs as much."""
MAX_WIDENING = 16
"""Networks are widened at most by this factor: a target that needs more is a mistake, and would fill the memory."""


def _goal(value: Any) -> Any:
    if isinstance(value, str):
        if value != "baseline":
            raise unknown("target", value, ["baseline", "a number"])
    elif value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise InputError(f"must be baseline or a number, not {value!r}")
    elif value is not None and not (isfinite(value) and value >= 1):
        raise InputError(f"must be at least 1, not {value!r}")
    elif value is not None and value > MAX_COST:
        raise InputError(f"must be at most {MAX_COST:g}, not {value!r}")
    return value


Goal = Annotated[Literal["baseline"] | float | None, BeforeValidator(_goal)]


class Match(Description):
    """The target cost of arms, and how they are rescaled: `{macs: baseline, by: width, tolerance: 0.02}`.

    The target is `baseline` or a number, as in `{params: 270e3}`. `by` is `width`, a factor on all channels, or
    `unit.branch.width`, the width of the bottleneck's 3x3. `tolerance` is the largest |cost - target| / target that
    counts as equal.
    """

    macs: Goal = None
    params: Goal = None
    by: Literal["width", "unit.branch.width"] = "width"
    tolerance: Below1 = 0.02

    @model_validator(mode="after")
    def _exactly_one_target(self) -> Self:
        if (self.macs is None) == (self.params is None):
            raise InputError("give exactly one of macs and params, as in {macs: baseline}")
        return self

    @property
    def measure(self) -> Literal["macs", "params"]:
        """The cost that is made equal."""
        return "params" if self.macs is None else "macs"

    def cost(self, net: Architecture) -> int:
        """Return the network's `measure`."""
        return getattr(complexity(net), self.measure)  # type: ignore[no-any-return]

    def target(self, baseline: Architecture) -> int:
        """Return the cost that arms are rescaled to."""
        goal = self.params if self.macs is None else self.macs
        return self.cost(baseline) if goal in (None, "baseline") else round(float(goal))


@dataclass(frozen=True)
class Scale:
    """A way to rescale a network by a whole number; costs do not decrease with this number."""

    start: int
    """The number of the unchanged net."""
    most: int
    """The maximum number."""
    at: Callable[[int], dict[str, float]]
    """From a number to the changes of the net, by path."""


def _by_width(net: Architecture, path: str) -> Scale:
    """Rescale by the first stage's channels; all others keep their ratio to these, rounded."""
    channels = net.stage_list[0].channels
    return Scale(channels, MAX_WIDENING * channels, lambda number: {"width": number / channels})


def _by_branch(net: Architecture, path: str) -> Scale:
    """Rescale by the branch's width in the first stage, in multiples of the cardinality."""
    branch = net.unit.branch
    if not isinstance(branch, WideBranch):
        raise InputError(
            f"{path}: cannot be matched by unit.branch.width: {kind_of(type(branch))} has no width; use by: width"
        )
    width = branch.width or int(branch.own_width(net.stage_list[0].channels))
    groups = branch.cardinality if isinstance(branch, BottleneckBranch) else 1
    start = max(1, width // groups)
    return Scale(start, MAX_WIDENING * start, lambda number: {"unit.branch.width": number * groups})


SCALES: dict[str, Callable[[Architecture, str], Scale]] = {"width": _by_width, "unit.branch.width": _by_branch}


def match(net: Architecture, target: int, rule: Match, *, path: str) -> Architecture:
    """Return the net rescaled to the cost nearest to `target`; the net itself if its cost is within the tolerance.

    Widths that the groups do not divide are skipped. Everything else stays unchanged.

    Raises:
        InputError: the nearest cost is not within the tolerance, or the net cannot be rescaled by `rule.by`.
    """

    def distance(cost: int) -> int:
        return abs(cost - target)

    own = rule.cost(net)
    if distance(own) <= rule.tolerance * target:
        return net
    scale = SCALES[rule.by](net, path)
    number, nearest = min(
        _approach(net, scale, rule.cost, target),
        key=lambda found: (distance(rule.cost(found[1])), found[0] != scale.start),
    )
    cost = rule.cost(nearest)
    if distance(cost) > rule.tolerance * target:
        ((by, value),) = scale.at(number).items()
        raise InputError(
            f"{path}: cannot be matched to {target:,} {rule.measure} within {100 * rule.tolerance:g} %: "
            f"the nearest has {cost:,} ({by} {value:.4g})"
        )
    return nearest


def _approach(
    net: Architecture, scale: Scale, cost: Callable[[Architecture], int], target: int
) -> Iterator[tuple[int, Architecture]]:
    """Yield the networks of a bisection towards the target, over the numbers that give networks; the net is first."""
    under, over, guess = 0, scale.most + 1, scale.start
    current: tuple[int, Architecture] | None = (guess, net)
    while current is not None:
        yield current
        if cost(current[1]) <= target:
            under = current[0]
        else:
            over = current[0]
        guess = min(2 * under, scale.most) if over > scale.most else (under + over) // 2
        current = _nearest(net, scale, guess, under, over)


def _nearest(net: Architecture, scale: Scale, guess: int, under: int, over: int) -> tuple[int, Architecture] | None:
    """The number nearest to `guess`, strictly between the bounds, that gives a network, and the network; else None."""
    for number in sorted(range(under + 1, over), key=lambda number: abs(number - guess)):
        try:
            return number, net.assign(scale.at(number))
        except InputError:
            continue
    return None
