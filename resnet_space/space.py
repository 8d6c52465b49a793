"""A search space: axes over the fields of an architecture, conditions under which they are active, constraints."""

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
from resnet_space.axes import Axis, Choices, Range, make_axis, plain_data
from resnet_space.dependence import Assignment, Dependence
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.expressions import Expression
from resnet_space.fields import COSTS, NAMES, Lookup, lookup_of
from resnet_space.presets import preset

MAX_TRIES = 1000
"""The maximum number of draws in `sample`, and of assignments tried in `locate`."""
MAX_COUNTED = 20_000
"""With more assignments, `size` does not build the networks or count duplicates; this many take half a minute."""


@dataclass(frozen=True)
class SpaceSize:
    """The size of a space. The last three numbers are None above `MAX_COUNTED` assignments.

    Of the `active` assignments, `infeasible` fail, and `active - infeasible - distinct` are duplicates.
    """

    raw: int
    """The product of the axes' numbers of values."""
    active: int | None
    """The number of assignments to the active axes."""
    distinct: int | None
    """The number of feasible networks, by `Architecture.key`."""
    infeasible: int | None
    """The number of assignments that cannot be built, or that a constraint refuses."""


_Axes = dict[str, list[Any] | Literal["all"] | Range]
_When = dict[str, list[Any] | str | float | bool]
"""The input forms of axes and conditions, for the JSON Schema."""


def _base(data: Any) -> Any:
    if isinstance(data, str):
        preset(data)
        return data
    return data if isinstance(data, Architecture) else Architecture.of(data)


def _axes(data: Any) -> Any:
    """The axes from their short forms, by path; all mistakes are reported together."""
    if not isinstance(data, Mapping):
        return data
    made, mistakes = {}, []
    for path, values in data.items():
        try:
            made[path] = make_axis(str(path), values)
        except InputError as error:
            mistakes.append(f"{path}: {error}")
    if mistakes:
        raise InputError("\naxes: ".join(mistakes))
    return made


def _conditions(data: Any) -> Any:
    """A single value is a list of one value."""
    if not isinstance(data, Mapping):
        return data
    return {other: values if isinstance(values, list | tuple | Choices) else [values] for other, values in data.items()}


class Space(Description):
    """Networks that differ from `base` along `axes`: {path: a list, a range {low, high, step}, or `all`}.

    An axis is *active* if its field exists (a gate's bias exists only with a gate) and the conditions of `when` hold:
    {path: {other axis: values with which the path is active}}. `constraints` are expressions over `NAMES`; a constraint
    on a field that a net does not have does not refuse the net.

    Raises:
        InputError: an unknown path, a value that the field cannot take, conditions in a circle, a wrong expression.
    """

    base: Annotated[str | Architecture, BeforeValidator(_base)]
    set: Annotated[dict[str, Any], BeforeValidator(plain_data)] = Field(default_factory=dict)
    axes: Annotated[
        dict[str, Choices | Range], Field(max_length=100), BeforeValidator(_axes, json_schema_input_type=_Axes)
    ]
    when: dict[str, Annotated[dict[str, Choices], BeforeValidator(_conditions, json_schema_input_type=_When)]] = Field(
        default_factory=dict
    )
    constraints: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        start = self.start.model_dump()
        for path in self.axes:
            if path not in DERIVED and "stages" not in self.axes:
                # Refuses an index that is out of range.
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
        """The base with `set` applied; every net of the space is a change of it."""
        base = preset(self.base) if isinstance(self.base, str) else self.base
        try:
            return base.assign(self.set)
        except InputError as error:
            raise InputError(f"set: {error}") from None

    @property
    def size(self) -> SpaceSize | None:
        """The number of assignments and networks; None if an axis is a continuous range."""
        raw = math.prod(axis.count or 0 for axis in self.axes.values())
        if self._continuum:
            return None
        if self._survey is None:
            return SpaceSize(raw, None, None, None)
        active, infeasible, found = self._survey
        return SpaceSize(raw, active, len(found), infeasible)

    def suggest(self, choose: Callable[[str, Axis], Any]) -> Assignment:
        """Return an assignment, with a value chosen by `choose` for each active axis (define-by-run).

        Axes come after those that decide whether they are active.

        Raises:
            InputError: a chosen value is not a value of the axis.
        """
        chosen: Assignment = {}
        for path in self._dependence.order:
            if self._dependence.is_active(path, chosen):
                chosen[path] = _member(self.axes[path], choose(path, self.axes[path]), path)
        return chosen

    def architecture(self, assignment: Mapping[str, Any]) -> Architecture:
        """Return the net of an assignment, also if a constraint refuses it. Values of inactive axes are ignored.

        Raises:
            InputError: no such axis or value, an active axis has no value, or the net cannot be built.
        """
        for path in assignment:
            if path not in self.axes:
                raise unknown("axis", path, self.axes)

        def given(path: str, axis: Axis) -> Any:
            if path not in assignment:
                raise InputError(f"{path}: no value; this axis is active here and needs one")
            return assignment[path]

        return self.start.assign(self.suggest(given))

    def feasible(self, net: Architecture) -> str | None:
        """Return the first constraint that the net breaks, with its values; None if it satisfies all of them."""
        broken, value = self._broken(net), lookup_of(net)
        if broken is None:
            return None
        return f"{broken.text} is false: " + ", ".join(
            f"{name} = {found}" for name, found in _known_values(broken, value)
        )

    def violation(self, net: Architecture) -> float:
        """Return the sum of the constraints' violations, 0 if all are satisfied; see `Expression.violation`."""
        value = lookup_of(net)
        return sum(expression.violation(value) for expression in self._expressions)

    def assignments(
        self, fixed: Assignment | None = None, chosen: Assignment | None = None, at: int = 0
    ) -> Iterator[Assignment]:
        """Yield all assignments with the `fixed` values, feasible or not; of a continuous range, ends and middle."""
        fixed, chosen = fixed or {}, chosen or {}
        if at == len(self._dependence.order):
            yield chosen
        elif self._dependence.is_active(path := self._dependence.order[at], chosen):
            for value in [fixed[path]] if path in fixed else self.axes[path].values():
                yield from self.assignments(fixed, chosen | {path: value}, at + 1)
        else:
            yield from self.assignments(fixed, chosen, at + 1)

    def moves(self, assignment: Assignment) -> Iterator[Assignment]:
        """Yield the assignments that differ in one axis, feasible or not; see `neighbours`."""
        for path, value in assignment.items():
            for near in self.axes[path].adjacent(value):
                yield from self.assignments(assignment | {path: near})

    def draw(self, rng: Random) -> Assignment:
        """Draw an assignment, uniformly on every active axis, feasible or not."""
        return self.suggest(lambda path, axis: axis.draw(rng))

    @property
    def networks(self) -> Mapping[str, Assignment] | None:
        """The first assignment of each feasible network, by key; None above `MAX_COUNTED` assignments."""
        return self._survey[2] if self._survey else None

    def enumerate(self) -> Iterator[Architecture]:
        """Yield all feasible networks once each, in the order of the axes; the last axis changes fastest.

        Raises:
            InputError: an axis is a continuous range; or, at the end, no net is feasible.
        """
        if self._continuum:
            raise InputError(
                f"axes.{self._continuum}: a continuous range cannot be enumerated; give it a step, or sample the space"
            )
        return self._distinct_networks()

    def sample(self, seed: int) -> Architecture:
        """Return a random feasible net: every active axis is drawn uniformly, and all again until the net is feasible.

        Raises:
            InputError: no feasible net in `MAX_TRIES` draws; the message counts the reasons.
        """
        rng, reasons = Random(seed), Counter[str]()
        for _ in range(MAX_TRIES):
            net, reason = self._attempt(self.draw(rng))
            if net:
                return net
            reasons[reason] += 1
        raise _nothing_feasible(f"in {MAX_TRIES} draws", reasons)

    def locate(self, net: Architecture) -> Assignment | None:
        """Return a feasible assignment whose net has the same key, or None.

        The values of axes are read from the net; all values of axes that cannot be read are tried, at most `MAX_TRIES`
        combinations. If none fits, all nets of the space are compared. This is not done above `MAX_COUNTED` assignments
        or with a continuous range: there, an equivalent net with another description can be missed.
        """
        read, data = Assignment(), net.model_dump()
        for path, axis in self.axes.items():
            with suppress(LookupError, InputError):
                read[path] = axis.member(paths.lookup(data, path))
        for assignment in islice(self.assignments(read), MAX_TRIES):
            found, _ = self._attempt(assignment)
            if found and found.key == net.key:
                return assignment
        return (self.networks or {}).get(net.key)

    def contains(self, net: Architecture) -> bool:
        """Whether the space has a feasible net with the same key; see `locate` for its limits."""
        return self.locate(net) is not None

    def neighbours(self, net: Architecture) -> Iterator[Architecture]:
        """Yield the other feasible nets that differ in one axis, once each.

        A move changes a number to the next lower or higher one, or a word to any other. An axis that becomes active by
        the move takes each of its values. Moves start from every assignment of `net` that moves reach. If A is a
        neighbour of B, then B is a neighbour of A, except for rounding in continuous ranges and for axes that become
        active.

        Raises:
            InputError: the net is not in the space.
        """
        located = self.locate(net)
        if located is None:
            raise InputError(f"{net.key} is not in this space, so it has no neighbours here")
        same, seen = [located], {net.key: True}
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
        """The constraints; those that need no count come first."""
        try:
            parsed = [Expression(text, NAMES) for text in self.constraints]
        except InputError as error:
            raise InputError(f"constraints: {error}") from None
        return tuple(sorted(parsed, key=lambda expression: any(name in COSTS for name in expression.names)))

    @property
    def _continuum(self) -> str | None:
        return next((path for path, axis in self.axes.items() if axis.count is None), None)

    def _broken(self, net: Architecture) -> Expression | None:
        value = lookup_of(net)
        return next((expression for expression in self._expressions if expression.refuted(value)), None)

    def _attempt(self, assignment: Assignment) -> tuple[Architecture | None, str]:
        """The net and ""; or None and the reason why the assignment is infeasible."""
        try:
            net = self.start.assign(assignment)
        except InputError as error:
            return None, str(error).splitlines()[0]
        broken = self._broken(net)
        return (None, f"{broken.text} is false") if broken else (net, "")

    def _distinct_networks(self) -> Iterator[Architecture]:
        seen, reasons = dict[str, bool](), Counter[str]()
        for assignment in self.assignments():
            net, reason = self._attempt(assignment)
            if net is None:
                reasons[reason] += 1
            elif net.key not in seen:
                seen[net.key] = True
                yield net
        if not seen:
            raise _nothing_feasible(f"among all {reasons.total()} assignments", reasons)

    @cached_property
    def _survey(self) -> tuple[int, int, dict[str, Assignment]] | None:
        """The number of assignments, the number of infeasible ones, and the first assignment of each key.

        None if there are too many.
        """
        if self._continuum or sum(1 for _ in islice(self.assignments(), MAX_COUNTED + 1)) > MAX_COUNTED:
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


def _known_values(expression: Expression, value: Lookup) -> Iterator[tuple[str, Any]]:
    """Yield the names of an expression that have a value in the net, with the values."""
    for name in expression.names:
        with suppress(LookupError):
            yield name, value(name)


def _member(axis: Axis, value: Any, path: str) -> Any:
    try:
        return axis.member(value)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _nothing_feasible(where: str, reasons: Counter[str]) -> InputError:
    counted = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5))
    return InputError(f"no feasible network {where}: {counted}")
