"""A search space: axes over the fields of an architecture, conditions under which they count, constraints."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from random import Random
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from resnet_space import paths
from resnet_space.architecture import DERIVED, Architecture
from resnet_space.axes import Axis, Choices, Range, axis_at, plain
from resnet_space.dependence import Assignment, Dependence
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.expressions import Expression
from resnet_space.fields import COSTS, NAMES, Lookup, measure
from resnet_space.presets import preset

TRIES = 1000
"""Draws of one `sample`, and readings of one net, before giving up."""
COUNTED = 20_000
"""Above so many assignments, half a minute's work, `size` builds none of them, and counts no duplicates."""


@dataclass(frozen=True)
class Size:
    """How many there are. The last three are None above `COUNTED` assignments.

    Of the `active` assignments `infeasible` fail, and `active - infeasible - distinct` are duplicates.
    """

    raw: int
    """The full product of the axes."""
    active: int | None
    """Assignments, where an axis that does not count takes no part."""
    distinct: int | None
    """Networks, by `Architecture.key`, that can be built and that no constraint refuses."""
    infeasible: int | None
    """Assignments that cannot be built, or that a constraint refuses."""


_Axes = dict[str, list[Any] | Literal["all"] | Range]
_When = dict[str, list[Any] | str | float | bool]
"""How they are written, for the JSON Schema."""


def _base(data: Any) -> Any:
    if isinstance(data, str):
        preset(data)
        return data
    return data if isinstance(data, Architecture) else Architecture.of(data)


def _axes(data: Any) -> Any:
    """Axes from their short forms, each by its path; all mistakes at once."""
    if not isinstance(data, Mapping):
        return data
    made, mistakes = {}, []
    for path, values in data.items():
        try:
            made[path] = axis_at(str(path), values)
        except InputError as error:
            mistakes.append(f"{path}: {error}")
    if mistakes:
        raise InputError("\naxes: ".join(mistakes))
    return made


def _conditions(data: Any) -> Any:
    """One value may stand for a list of one."""
    if not isinstance(data, Mapping):
        return data
    return {other: values if isinstance(values, list | tuple | Choices) else [values] for other, values in data.items()}


class Space(Description):
    """Networks that differ from `base` along `axes`: {path: a list, a range {low, high, step}, or `all`}.

    An axis counts (is *active*) where its field exists, a gate's bias only with a gate, and where `when`
    allows it: {path: {other axis: values under which the path counts}}. `constraints` are expressions over
    `NAMES`; one about a field that a net does not have does not refuse that net.

    Raises:
        InputError: an unknown path, a value no field takes, conditions in a circle, a text that is none.
    """

    base: Annotated[str | Architecture, BeforeValidator(_base)]
    set: Annotated[dict[str, Any], BeforeValidator(plain)] = Field(default_factory=dict)
    axes: Annotated[
        dict[str, Choices | Range], Field(max_length=100), BeforeValidator(_axes, json_schema_input_type=_Axes)
    ]
    when: dict[str, Annotated[dict[str, Choices], BeforeValidator(_conditions, json_schema_input_type=_When)]] = Field(
        default_factory=dict
    )
    constraints: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        start = self.start.model_dump()
        for path in self.axes:
            if path not in DERIVED and "stages" not in self.axes:
                # An index past the end has no place.
                paths.assign(start, {path: None})
        for path, conditions in self.when.items():
            if path not in self.axes:
                raise unknown("axis", path, self.axes, path="when")
            for other, values in conditions.items():
                if other not in self.axes:
                    raise unknown("axis", other, self.axes, path=f"when.{path}")
                for value in values.options:
                    _member(self.axes[other], value, f"when.{path}.{other}")
        _ = self._dependence, self._expressions
        return self

    def __hash__(self) -> int:
        return hash((tuple(sorted(self.axes)), self.constraints))

    @cached_property
    def start(self) -> Architecture:
        """The base with `set` applied: what every net of the space is a change of."""
        base = preset(self.base) if isinstance(self.base, str) else self.base
        try:
            return base.assign(self.set)
        except InputError as error:
            raise InputError(f"set: {error}") from None

    @property
    def size(self) -> Size | None:
        """How many assignments and networks there are; None if an axis is a continuous range."""
        raw = math.prod(axis.count or 0 for axis in self.axes.values())
        if self._continuum:
            return None
        if self._survey is None:
            return Size(raw, None, None, None)
        active, infeasible, found = self._survey
        return Size(raw, active, len(found), infeasible)

    def suggest(self, choose: Callable[[str, Axis], Any]) -> Assignment:
        """Asks for a value of each axis that counts, in an order in which that is known (define-by-run).

        Raises:
            InputError: a value that is not the axis's.
        """
        chosen: Assignment = {}
        for path in self._dependence.order:
            if self._dependence.counts(path, chosen):
                chosen[path] = _member(self.axes[path], choose(path, self.axes[path]), path)
        return chosen

    def architecture(self, assignment: Mapping[str, Any]) -> Architecture:
        """The net of an assignment, with or against the constraints. Axes that do not count are left out.

        Raises:
            InputError: no such axis or value, an axis that counts is left out, or the net cannot be built.
        """
        for path in assignment:
            if path not in self.axes:
                raise unknown("axis", path, self.axes)

        def given(path: str, axis: Axis) -> Any:
            if path not in assignment:
                raise InputError(f"{path}: no value; this axis counts here, and needs one of its own")
            return assignment[path]

        return self.start.assign(self.suggest(given))

    def feasible(self, net: Architecture) -> str | None:
        """The first constraint that the net breaks, with its values; None if it keeps them all."""
        broken, value = self._broken(net), measure(net)
        if broken is None:
            return None
        return f"{broken.text} is false: " + ", ".join(f"{name} = {found}" for name, found in _there(broken, value))

    def violation(self, net: Architecture) -> float:
        """How far the net is from keeping all constraints, 0 if it does; see `Expression.violation`."""
        value = measure(net)
        return sum(expression.violation(value) for expression in self._expressions)

    def assignments(
        self, fixed: Assignment | None = None, chosen: Assignment | None = None, at: int = 0
    ) -> Iterator[Assignment]:
        """All assignments with the `fixed` values, feasible or not; of a continuum its ends and its middle."""
        fixed, chosen = fixed or {}, chosen or {}
        if at == len(self._dependence.order):
            yield chosen
        elif self._dependence.counts(path := self._dependence.order[at], chosen):
            for value in [fixed[path]] if path in fixed else self.axes[path].values():
                yield from self.assignments(fixed, chosen | {path: value}, at + 1)
        else:
            yield from self.assignments(fixed, chosen, at + 1)

    def moves(self, assignment: Assignment) -> Iterator[Assignment]:
        """The assignments one axis away, feasible or not; see `neighbours`."""
        for path, value in assignment.items():
            for near in self.axes[path].adjacent(value):
                yield from self.assignments(assignment | {path: near})

    def draw(self, rng: Random) -> Assignment:
        """An assignment with every axis that counts drawn evenly, feasible or not."""
        return self.suggest(lambda path, axis: axis.draw(rng))

    @property
    def networks(self) -> Mapping[str, Assignment] | None:
        """The first assignment of every feasible network, by key; None above `COUNTED` assignments."""
        return self._survey[2] if self._survey else None

    def enumerate(self) -> Iterator[Architecture]:
        """All feasible networks, each once, in the order of the axes, the last one changing fastest.

        Raises:
            InputError: an axis is a continuous range; or (at the end) not one net is feasible.
        """
        if self._continuum:
            raise InputError(
                f"axes.{self._continuum}: a continuous range has no end; give it a step, or sample the space"
            )
        return self._each()

    def sample(self, seed: int) -> Architecture:
        """A feasible net: every axis that counts drawn evenly, and all drawn again if it fails.

        Raises:
            InputError: nothing feasible in `TRIES` draws, with how many broke which constraint.
        """
        rng, reasons = Random(seed), Counter[str]()
        for _ in range(TRIES):
            net, reason = self._attempt(self.draw(rng))
            if net:
                return net
            reasons[reason] += 1
        raise _nothing(f"in {TRIES} draws", reasons)

    def locate(self, net: Architecture) -> Assignment | None:
        """A feasible assignment whose net has the same key, or None.

        The axes' values are read off the net; those that cannot be are tried, `TRIES` combinations at most.
        If none fits, all nets of the space are compared. A space above `COUNTED` assignments, or with a
        continuous range, is too large for that: there an equivalent net that is written otherwise may be
        missed.
        """
        read, data = Assignment(), net.model_dump()
        for path, axis in self.axes.items():
            with suppress(LookupError, InputError):
                read[path] = axis.member(paths.lookup(data, path))
        for assignment in islice(self.assignments(read), TRIES):
            found, _ = self._attempt(assignment)
            if found and found.key == net.key:
                return assignment
        return (self.networks or {}).get(net.key)

    def contains(self, net: Architecture) -> bool:
        """Whether the space has a feasible net with the same key; see `locate` for its limits."""
        return self.locate(net) is not None

    def neighbours(self, net: Architecture) -> Iterator[Architecture]:
        """The other feasible nets that differ in one axis, each once.

        One move is to the next lower or higher number, or to any other word. An axis that counts only after
        the move takes each of its values. All assignments of `net` that moves connect are places to move
        from. If A is a neighbour of B, so is B of A; in a continuum up to rounding, and but for axes that
        start to count.

        Raises:
            InputError: the net is not in the space.
        """
        here = self.locate(net)
        if here is None:
            raise InputError(f"{net.key} is not in this space, so it has no neighbours here")
        same, seen = [here], {net.key: True}
        for assignment in same:
            for moved in self.moves(assignment):
                try:
                    near = self.start.assign(moved)
                except InputError:
                    continue
                if near.key == net.key and moved not in same:
                    same.append(moved)
                if near.key not in seen and not self._broken(near):
                    seen[near.key] = True
                    yield near

    @cached_property
    def _dependence(self) -> Dependence:
        return Dependence(self.axes, self.when, self.start)

    @cached_property
    def _expressions(self) -> tuple[Expression, ...]:
        """The constraints, the cheap ones first."""
        try:
            parsed = [Expression(text, NAMES) for text in self.constraints]
        except InputError as error:
            raise InputError(f"constraints: {error}") from None
        return tuple(sorted(parsed, key=lambda expression: any(name in COSTS for name in expression.names)))

    @property
    def _continuum(self) -> str | None:
        return next((path for path, axis in self.axes.items() if axis.count is None), None)

    def _broken(self, net: Architecture) -> Expression | None:
        value = measure(net)
        return next((expression for expression in self._expressions if expression.refuted(value)), None)

    def _attempt(self, assignment: Assignment) -> tuple[Architecture | None, str]:
        """The net, or why there is none."""
        try:
            net = self.start.assign(assignment)
        except InputError as error:
            return None, str(error).splitlines()[0]
        broken = self._broken(net)
        return (None, f"{broken.text} is false") if broken else (net, "")

    def _each(self) -> Iterator[Architecture]:
        seen, reasons = dict[str, bool](), Counter[str]()
        for assignment in self.assignments():
            net, reason = self._attempt(assignment)
            if net is None:
                reasons[reason] += 1
            elif net.key not in seen:
                seen[net.key] = True
                yield net
        if not seen:
            raise _nothing(f"among all {reasons.total()} assignments", reasons)

    @cached_property
    def _survey(self) -> tuple[int, int, dict[str, Assignment]] | None:
        """Assignments, infeasible ones, and the first assignment of each key; None if there are too many."""
        if self._continuum or sum(1 for _ in islice(self.assignments(), COUNTED + 1)) > COUNTED:
            return None
        active, infeasible, found = 0, 0, dict[str, Assignment]()
        for assignment in self.assignments():
            active += 1
            net, _ = self._attempt(assignment)
            if net:
                found.setdefault(net.key, assignment)
            else:
                infeasible += 1
        return active, infeasible, found


def _there(expression: Expression, value: Lookup) -> Iterator[tuple[str, Any]]:
    """What an expression speaks of and the net has."""
    for name in expression.names:
        with suppress(LookupError):
            yield name, value(name)


def _member(axis: Axis, value: Any, path: str) -> Any:
    try:
        return axis.member(value)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _nothing(where: str, reasons: Counter[str]) -> InputError:
    counted = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5))
    return InputError(f"no feasible network {where}: {counted}")
