"""A search space: axes over the fields of an architecture, conditions under which they are active, constraints."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import islice
from random import Random
from typing import Annotated, Any, ClassVar, Generic, Protocol, Self, TypeVar

from pydantic import BeforeValidator, Field, field_validator, model_validator

from resnet_space import paths
from resnet_space.architecture import DERIVED, Architecture
from resnet_space.axes import Axis, Choices, Range, plain_data
from resnet_space.dependence import Assignment, Dependence
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.expressions import Expression
from resnet_space.fields import COSTS, FIELDS, NAMES, Lookup, lookup_of
from resnet_space.fields import Field as AtPath
from resnet_space.presets import preset
from resnet_space.space_forms import AxesForm, WhenForm, read_axes, read_base, read_conditions
from resnet_space.space_forms import SpaceSize as SpaceSize

MAX_TRIES = 1000
"""The maximum number of draws in `sample`, and of assignments tried in `locate`."""
MAX_COUNTED = 20_000
"""With more assignments, `size` does not build the networks or count duplicates; this many take half a minute."""


class Point(Protocol):
    """A point of a space: a network, or something that has one."""

    @property
    def key(self) -> str:
        """Equal for points that are the same in all that matters."""


P = TypeVar("P", bound=Point)


class SpaceOf(Description, Generic[P]):
    """Points that differ from `base` along `axes`: {path: a list, a range {low, high, step}, or `all`}.

    An axis is *active* if its field exists (a gate's bias exists only with a gate) and the conditions of `when` hold:
    {path: {other axis: values with which the path is active}}. `constraints` are expressions over `NAMES`; a constraint
    on a field that a net does not have does not refuse the net.

    Raises:
        InputError: an unknown path, a value that the field cannot take, conditions in a circle, a wrong expression.
    """

    FIELDS: ClassVar[Mapping[str, AtPath]] = FIELDS
    """The fields that axes can set, by path."""
    NAMES: ClassVar[Mapping[str, tuple[Any, ...]]] = NAMES
    """The names in constraints, with their values."""

    base: Annotated[str | Architecture, BeforeValidator(read_base)]
    set: Annotated[dict[str, Any], BeforeValidator(plain_data)] = Field(default_factory=dict)
    axes: Annotated[dict[str, Choices | Range], Field(max_length=100)]
    when: dict[
        str, Annotated[dict[str, Choices], BeforeValidator(read_conditions, json_schema_input_type=WhenForm)]
    ] = Field(default_factory=dict)
    constraints: tuple[str, ...] = ()

    @field_validator("axes", mode="before", json_schema_input_type=AxesForm)
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        return read_axes(data, cls.FIELDS)

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        start = self._plain_start
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
    def start(self) -> P:
        """The base with `set` applied; every point of the space is a change of it."""
        raise NotImplementedError

    def point(self, assignment: Mapping[str, Any]) -> P:
        """Return the point of an assignment, also if a constraint refuses it. Values of inactive axes are ignored.

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

        return self._assigned(self.suggest(given))

    def architecture(self, assignment: Mapping[str, Any]) -> Architecture:
        """Return the net of `point`."""
        raise NotImplementedError

    def _assigned(self, assignment: Assignment) -> P:
        """The start with the values of an assignment to the active axes."""
        raise NotImplementedError

    def lookup(self, point: P) -> Lookup:
        """The lookup of a point for expressions over `NAMES`."""
        raise NotImplementedError

    def _plain(self, point: P) -> dict[str, Any]:
        """A point as plain data, in which paths lead to the fields that axes set."""
        raise NotImplementedError

    @property
    def _plain_start(self) -> dict[str, Any]:
        return self._plain(self.start)

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

    def feasible(self, point: P) -> str | None:
        """Return the first constraint that a point breaks, with its values; None if it satisfies all of them."""
        broken, value = self._broken(point), self.lookup(point)
        if broken is None:
            return None
        return f"{broken.text} is false: " + ", ".join(
            f"{name} = {found}" for name, found in _known_values(broken, value)
        )

    def violation(self, point: P) -> float:
        """Return the sum of the constraints' violations, 0 if all are satisfied; see `Expression.violation`."""
        value = self.lookup(point)
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
        """The first assignment of each feasible point, by key; None above `MAX_COUNTED` assignments."""
        return self._survey[2] if self._survey else None

    def enumerate(self) -> Iterator[P]:
        """Yield all feasible points once each, in the order of the axes; the last axis changes fastest.

        Raises:
            InputError: an axis is a continuous range; or, at the end, no net is feasible.
        """
        if self._continuum:
            raise InputError(
                f"axes.{self._continuum}: a continuous range cannot be enumerated; give it a step, or sample the space"
            )
        return self._distinct_points()

    def sample(self, seed: int) -> P:
        """Return a random feasible point: every active axis is drawn uniformly, and all again until it is feasible.

        Raises:
            InputError: no feasible net in `MAX_TRIES` draws; the message counts the reasons.
        """
        rng, reasons = Random(seed), Counter[str]()
        for _ in range(MAX_TRIES):
            point, reason = self._attempt(self.draw(rng))
            if point is not None:
                return point
            reasons[reason] += 1
        raise _nothing_feasible(f"in {MAX_TRIES} draws", reasons)

    def locate(self, point: P) -> Assignment | None:
        """Return a feasible assignment whose point has the same key, or None.

        The values of axes are read from the point; all values of axes that cannot be read are tried, at most
        `MAX_TRIES` combinations. If none fits, all points of the space are compared. This is not done above
        `MAX_COUNTED` assignments or with a continuous range: there, an equivalent net with another description can be
        missed.
        """
        read, data = Assignment(), self._plain(point)
        for path, axis in self.axes.items():
            with suppress(LookupError, InputError):
                read[path] = axis.member(paths.lookup(data, path))
        for assignment in islice(self.assignments(read), MAX_TRIES):
            found, _ = self._attempt(assignment)
            if found is not None and found.key == point.key:
                return assignment
        return (self.networks or {}).get(point.key)

    def contains(self, point: P) -> bool:
        """Whether the space has a feasible point with the same key; see `locate` for its limits."""
        return self.locate(point) is not None

    def neighbours(self, point: P) -> Iterator[P]:
        """Yield the other feasible points that differ in one axis, once each.

        A move changes a number to the next lower or higher one, or a word to any other. An axis that becomes active by
        the move takes each of its values. Moves start from every assignment of the point that moves reach. If A is a
        neighbour of B, then B is a neighbour of A, except for rounding in continuous ranges and for axes that become
        active.

        Raises:
            InputError: the point is not in the space.
        """
        located = self.locate(point)
        if located is None:
            raise InputError(f"{point.key} is not in this space, so it has no neighbours here")
        same, seen = [located], {point.key: True}
        for assignment in same:
            for moved in self.moves(assignment):
                try:
                    near = self._assigned(moved)
                except InputError:
                    continue
                if near.key == point.key and moved not in same:
                    same.append(moved)
                if near.key not in seen and not self._broken(near):
                    seen[near.key] = True
                    yield near

    @cached_property
    def _dependence(self) -> Dependence:
        return Dependence(self.axes, self.when, self._plain_start, self.FIELDS)

    @cached_property
    def _expressions(self) -> tuple[Expression, ...]:
        """The constraints; those that need no count come first."""
        try:
            parsed = [Expression(text, self.NAMES) for text in self.constraints]
        except InputError as error:
            raise InputError(f"constraints: {error}") from None
        return tuple(sorted(parsed, key=lambda expression: any(name in COSTS for name in expression.names)))

    @property
    def _continuum(self) -> str | None:
        return next((path for path, axis in self.axes.items() if axis.count is None), None)

    def _broken(self, point: P) -> Expression | None:
        value = self.lookup(point)
        return next((expression for expression in self._expressions if expression.refuted(value)), None)

    def _attempt(self, assignment: Assignment) -> tuple[P | None, str]:
        """The point and ""; or None and the reason why the assignment is infeasible."""
        try:
            point = self._assigned(assignment)
        except InputError as error:
            return None, str(error).splitlines()[0]
        broken = self._broken(point)
        return (None, f"{broken.text} is false") if broken else (point, "")

    def _distinct_points(self) -> Iterator[P]:
        seen, reasons = dict[str, bool](), Counter[str]()
        for assignment in self.assignments():
            point, reason = self._attempt(assignment)
            if point is None:
                reasons[reason] += 1
            elif point.key not in seen:
                seen[point.key] = True
                yield point
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
            point, _ = self._attempt(assignment)
            if point is not None:
                found.setdefault(point.key, assignment)
            else:
                infeasible += 1
        return active, infeasible, found


class Space(SpaceOf[Architecture]):
    """Networks that differ from `base` along `axes`; see `SpaceOf`.

    Space.of({"base": "resnet20", "axes": {"unit.order": "all", "width": {"low": 0.5, "high": 2, "step": 0.5}}})
    """

    @cached_property
    def start(self) -> Architecture:
        return start_of(self.base, self.set)

    def architecture(self, assignment: Mapping[str, Any]) -> Architecture:
        return self.point(assignment)

    def _assigned(self, assignment: Assignment) -> Architecture:
        return self.start.assign(assignment)

    def _plain(self, point: Architecture) -> dict[str, Any]:
        return point.model_dump()

    def lookup(self, point: Architecture) -> Lookup:
        return lookup_of(point)


def start_of(base: str | Architecture, changes: Mapping[str, Any]) -> Architecture:
    """Return the base of a space with the changes of `set`.

    Raises:
        InputError: they cannot be applied.
    """
    net = preset(base) if isinstance(base, str) else base
    try:
        return net.assign(changes)
    except InputError as error:
        raise InputError(f"set: {error}") from None


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
