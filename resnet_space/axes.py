"""The axes of a search space: the values that a field may take, how one is drawn, and which are adjacent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from random import Random
from typing import Any, Self

from pydantic import model_serializer, model_validator

from resnet_space.architecture import DERIVED
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.fields import Field, field

MOST = 1000
"""Values of a list."""
FINEST = 1_000_000
"""Steps of a range."""
MOVES = 16
"""A continuous range's adjacent values lie this part of the range away."""


class Axis(Description):
    """The values of one field: `count` of them, `at(0)`, `at(1)`, ...; a `count` of None is a continuum."""

    @property
    def count(self) -> int | None:
        raise NotImplementedError

    def at(self, index: int) -> Any:
        raise NotImplementedError

    def member(self, value: Any) -> Any:
        """The axis's own value that equals `value` (numbers: up to rounding).

        Raises:
            InputError: there is none.
        """
        raise NotImplementedError

    def adjacent(self, value: Any) -> tuple[Any, ...]:
        """The values one move away from a member: next lower and next higher of numbers, else all others."""
        raise NotImplementedError

    def values(self) -> Iterator[Any]:
        """All values; the ends and the middle of a continuum."""
        return map(self.at, range(self.count or 3))

    def draw(self, rng: Random) -> Any:
        """One value, each as likely as the next."""
        return self.at(rng.randrange(self.count or 1))


class Choices(Axis):
    """Values that are listed, `[identity, none]`: numbers are ordered, of anything else all are adjacent.

    Raises:
        InputError: no value, the same one twice, or one that YAML cannot write.
    """

    options: tuple[Any, ...]

    @model_validator(mode="before")
    @classmethod
    def _plain_and_distinct(cls, data: Any) -> Any:
        if not isinstance(data, list | tuple):
            return data
        if not data:
            raise InputError("no values; give at least one")
        if len(data) > MOST:
            raise InputError(f"{len(data)} values; at most {MOST} are listed; or give a range {{low, high, step}}")
        options = tuple(plain(option) for option in data)
        for index, option in enumerate(options):
            if any(_same(option, earlier) for earlier in options[:index]):
                raise InputError(f"{option!r} stands twice; each value may stand once")
        return {"options": options}

    @model_serializer
    def _as_list(self) -> list[Any]:
        return list(self.options)

    @property
    def count(self) -> int:
        return len(self.options)

    def at(self, index: int) -> Any:
        return self.options[index]

    def member(self, value: Any) -> Any:
        for option in self.options:
            if _same(option, plain(value)):
                return option
        raise unknown("value", value, map(str, self.options))

    def adjacent(self, value: Any) -> tuple[Any, ...]:
        own = self.member(value)
        if not all(map(_is_number, self.options)):
            return tuple(option for option in self.options if option is not own)
        ranking = sorted(self.options)
        here = ranking.index(own)
        return (*ranking[max(here - 1, 0) : here], *ranking[here + 1 : here + 2])


class Range(Axis):
    """Numbers from `low` to `high`, `high` included where the steps lead to it.

    With `step`: low, low + step, ... With `integer`: the same with step 1, or with `log` the doublings low, 2
    low, 4 low, ... (cardinalities and widths come in powers of two). With neither: a continuum, drawn evenly,
    or with `log` evenly in the logarithm. On a field of whole numbers a space sets `integer` by itself.

    Raises:
        InputError: low > high, step <= 0, log with low <= 0 or with a step, or integer with parts of a whole.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False
    integer: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise InputError(f"low {self.low:g} is above high {self.high:g}; exchange them")
        if self.step is not None and self.step <= 0:
            raise InputError(f"step {self.step:g} must be greater than 0")
        if self.log and self.low <= 0:
            raise InputError(f"log needs low greater than 0, not {self.low:g}")
        if self.log and self.step is not None:
            raise InputError("log and step exclude each other; list the values instead")
        for name in ("low", "high", "step") if self.integer else ():
            if (getattr(self, name) or 0) % 1:
                raise InputError(f"{name} {getattr(self, name):g} must be a whole number where integer is true")
        if (self.count or 0) > FINEST:
            raise InputError(f"step {self.step or 1:g} is too fine: more than {FINEST:,} values")
        return self

    @property
    def count(self) -> int | None:
        if self.integer and self.log:
            return (int(self.high) // int(self.low)).bit_length()
        if self.step is None and not self.integer:
            return None
        return (_exact(self.high) - _exact(self.low)) // _exact(self.step or 1) + 1

    def at(self, index: int) -> Any:
        if self.count is None:
            return self._along(index / 2)
        moved = int(self.low) << index if self.log else _exact(self.low) + index * _exact(self.step or 1)
        return int(moved) if self.integer else float(moved)

    def draw(self, rng: Random) -> Any:
        return self._along(rng.random()) if self.count is None else super().draw(rng)

    def member(self, value: Any) -> Any:
        if _is_number(value) and self.low <= value <= self.high:
            own = float(value) if self.count is None else self.at(self._index(value))
            if math.isclose(own, value, rel_tol=1e-9, abs_tol=1e-9 * (self.step or 1)):
                return own
        raise InputError(f"{value!r} is not in the range {self.model_dump(exclude_defaults=True)}")

    def adjacent(self, value: Any) -> tuple[Any, ...]:
        own = self.member(value)
        if self.count is not None:
            here = self._index(own)
            return tuple(self.at(index) for index in (here - 1, here + 1) if 0 <= index < self.count)
        if self.low == self.high:
            return ()
        part = math.log(own / self.low) / math.log(self.high / self.low) if self.log else self._part(own)
        return tuple(self._along(near) for near in (part - 1 / MOVES, part + 1 / MOVES) if 0 <= near <= 1)

    def _index(self, value: float) -> int:
        if self.log:
            return round(math.log2(value / self.low))
        return min(round((_exact(value) - _exact(self.low)) / _exact(self.step or 1)), (self.count or 1) - 1)

    def _part(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def _along(self, part: float) -> float:
        """From `low` at 0 to `high` at 1, evenly or evenly in the logarithm."""
        if self.log:
            between = math.exp(math.log(self.low) * (1 - part) + math.log(self.high) * part)
        else:
            between = self.low * (1 - part) + self.high * part
        return min(max(between, self.low), self.high)


def axis_at(path: str, data: Any) -> Axis:
    """An axis from a list, a range `{low, high, step, log, integer}`, or `all`: the field's catalogue.

    Raises:
        InputError: no such field, a malformed axis, or a value that the field never takes.
    """
    at_path = field(path)
    if isinstance(data, str) and data == "all":
        if not at_path.catalogue:
            raise InputError("all needs a field with a catalogue of values; give a list, or a range {low, high}")
        data = at_path.catalogue
    made: Axis
    if isinstance(data, Axis):
        made = data
    elif isinstance(data, list | tuple):
        made = Choices.of(data)
    elif isinstance(data, Mapping):
        made = Range.of({**data, "integer": True} if at_path.whole else dict(data))
    else:
        raise InputError(f"must be a list of values, a range {{low, high, step}}, or all; not {data!r}")
    if made.count is None and path in DERIVED:
        raise InputError("is rounded to whole channels, so it has no continuous range; give values, or a step")
    if path in DERIVED and not all(_is_number(value) and value > 0 for value in _ends(made)):
        raise InputError("must be positive numbers, factors on all channels")
    for value in _ends(made):
        _check(path, value, at_path)
    return made


def _ends(axis: Axis) -> tuple[Any, ...]:
    """All values of a list, the first and the last of a range."""
    return axis.options if isinstance(axis, Choices) else (axis.at(0), axis.at((axis.count or 3) - 1))


def plain(value: Any) -> Any:
    """A value as YAML reads it back: descriptions as mappings, tuples as lists.

    Raises:
        InputError: it is no such value.
    """
    if isinstance(value, Description):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if value is None or isinstance(value, str | bool) or _is_number(value):
        return value
    raise InputError(f"{value!r} is neither text, a finite number, true, false, a list nor a mapping")


def _check(path: str, value: Any, at_path: Field) -> None:
    """A value that no kind would take is a slip of the pen, whatever the other axes say."""
    leaf = path.rsplit(".", 1)[-1]
    if isinstance(value, str) and at_path.catalogue and value not in at_path.catalogue:
        raise unknown(path.split(".")[-2] if leaf == "kind" else leaf, value, map(str, at_path.catalogue))
    complaints = []
    for owner in at_path.owners:
        # Stages stand or fall with the rest of the net, which is not known yet.
        lines = [] if path == "stages" else _complaints(owner, {leaf: value})
        complaints += [
            line.removeprefix(leaf).lstrip(".: ") for line in lines if line.startswith((f"{leaf}:", f"{leaf}."))
        ][:1]
    if complaints and len(complaints) == len(at_path.owners):
        raise InputError(complaints[0])


def _complaints(owner: type[Description], data: dict[str, Any]) -> list[str]:
    try:
        owner.of(data)
    except InputError as error:
        return str(error).splitlines()
    return []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


@lru_cache(maxsize=1024)
def _exact(number: float) -> Fraction:
    """The decimal number that was written: 0.1 is a tenth."""
    return Fraction(repr(float(number)))
