"""Arms of equal complexity: a network rescaled until it costs what another one does."""

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

MOST = 1e15
"""No network costs as much."""
WIDEST = 16
"""Networks are made at most this many times as wide: beyond, a number is a slip, and its networks fill the memory."""


def _goal(value: Any) -> Any:
    if isinstance(value, str):
        if value != "baseline":
            raise unknown("target", value, ["baseline", "a number"])
    elif value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise InputError(f"must be baseline or a number, not {value!r}")
    elif value is not None and not (isfinite(value) and value >= 1):
        raise InputError(f"must be at least 1, not {value!r}")
    elif value is not None and value > MOST:
        raise InputError(f"must be at most {MOST:g}, not {value!r}")
    return value


Goal = Annotated[Literal["baseline"] | float | None, BeforeValidator(_goal)]


class Match(Description):
    """To what arms are rescaled, and how: `{macs: baseline, by: width, tolerance: 0.02}`, or `{params: 270e3}`.

    `by` is `width`, a factor on all channels, or `unit.branch.width`, the width of the bottleneck's 3x3.
    `tolerance` is the largest |cost - target| / target that counts as equal.
    """

    macs: Goal = None
    params: Goal = None
    by: Literal["width", "unit.branch.width"] = "width"
    tolerance: Below1 = 0.02

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.macs is None) == (self.params is None):
            raise InputError("give exactly one of macs and params, as in {macs: baseline}")
        return self

    @property
    def measure(self) -> Literal["macs", "params"]:
        """What is to be equal."""
        return "params" if self.macs is None else "macs"

    def cost(self, net: Architecture) -> int:
        return getattr(complexity(net), self.measure)  # type: ignore[no-any-return]

    def target(self, baseline: Architecture) -> int:
        """The cost that arms are rescaled to."""
        goal = self.params if self.macs is None else self.macs
        return self.cost(baseline) if goal in (None, "baseline") else round(float(goal))


@dataclass(frozen=True)
class Scale:
    """One way to rescale a network: by a whole number, with which its costs do not fall."""

    start: int
    """The number of the net as it stands."""
    most: int
    at: Callable[[int], dict[str, float]]
    """The change, by path, for a number."""


def _by_width(net: Architecture, path: str) -> Scale:
    """The first stage's channels; all others keep their ratio to these, rounded."""
    channels = net.stages[0].channels
    return Scale(channels, WIDEST * channels, lambda number: {"width": number / channels})


def _by_branch(net: Architecture, path: str) -> Scale:
    """The branch's width in the first stage, in multiples of the cardinality."""
    branch = net.unit.branch
    if not isinstance(branch, WideBranch):
        raise InputError(
            f"{path}: cannot be matched by unit.branch.width: {kind_of(type(branch))} has no width; use by: width"
        )
    width = branch.width or int(branch.own_width(net.stages[0].channels))
    groups = branch.cardinality if isinstance(branch, BottleneckBranch) else 1
    start = max(1, width // groups)
    return Scale(start, WIDEST * start, lambda number: {"unit.branch.width": number * groups})


SCALES: dict[str, Callable[[Architecture, str], Scale]] = {"width": _by_width, "unit.branch.width": _by_branch}


def match(net: Architecture, target: int, rule: Match, *, path: str) -> Architecture:
    """The net rescaled to a cost as near to `target` as there is; itself if its cost is within the tolerance.

    Widths that do not come out even, because groups have to divide them, are left out. All else stays as it is.

    Raises:
        InputError: the nearest cost is not within the tolerance, or the net has not what it would be rescaled by.
    """

    def off(cost: int) -> int:
        return abs(cost - target)

    own = rule.cost(net)
    if off(own) <= rule.tolerance * target:
        return net
    scale = SCALES[rule.by](net, path)
    number, nearest = min(
        _approach(net, scale, rule.cost, target),
        key=lambda found: (off(rule.cost(found[1])), found[0] != scale.start),
    )
    cost = rule.cost(nearest)
    if off(cost) > rule.tolerance * target:
        ((by, value),) = scale.at(number).items()
        raise InputError(
            f"{path}: cannot be matched to {target:,} {rule.measure} within {100 * rule.tolerance:g} %: "
            f"the nearest has {cost:,} ({by} {value:.4g})"
        )
    return nearest


def _approach(
    net: Architecture, scale: Scale, cost: Callable[[Architecture], int], target: int
) -> Iterator[tuple[int, Architecture]]:
    """Networks on the way to the target, by bisection over the numbers that give networks; the net itself is first."""
    under, over, guess = 0, scale.most + 1, scale.start
    here: tuple[int, Architecture] | None = (guess, net)
    while here is not None:
        yield here
        if cost(here[1]) <= target:
            under = here[0]
        else:
            over = here[0]
        guess = min(2 * under, scale.most) if over > scale.most else (under + over) // 2
        here = _nearest(net, scale, guess, under, over)


def _nearest(net: Architecture, scale: Scale, guess: int, under: int, over: int) -> tuple[int, Architecture] | None:
    """The number nearest to `guess`, strictly between the bounds, that gives a network."""
    for number in sorted(range(under + 1, over), key=lambda number: abs(number - guess)):
        try:
            return number, net.assign(scale.at(number))
        except InputError:
            continue
    return None
