"""The axes of a search space: the values that a field can take, random draws, and adjacent values."""

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

MAX_VALUES = 1000
"""The maximum number of values in a list."""
MAX_STEPS = 1_000_000
"""The maximum number of values in a range."""
MOVES_PER_RANGE = 16
"""Adjacent values of a continuous range differ by 1/16 of the range."""
GRID = 2**20
"""Draws and moves in a continuous range take numbers on a grid of this many parts. So a move and the move back lead to
the same number, and not to one that differs in its last digit and would be trained again."""


class Axis(Description):
    """The values of one field: `at(0)`, ..., `at(count - 1)`. A `count` of None means a continuous range."""

    @property
    def count(self) -> int | None:
        raise NotImplementedError

    def at(self, index: int) -> Any:
        raise NotImplementedError

    def member(self, value: Any) -> Any:
        """Return the axis's value that equals `value` (for numbers: up to rounding).

        Raises:
            InputError: the axis has no such value.
        """
        raise NotImplementedError

    def adjacent(self, value: Any) -> tuple[Any, ...]:
        """Return the values adjacent to a value: the next lower and next higher number; for words, all others."""
        raise NotImplementedError

    def values(self) -> Iterator[Any]:
        """All values; of a continuous range, both ends and the middle."""
        return map(self.at, range(self.count or 3))

    def ends(self) -> tuple[Any, Any]:
        """Return the smallest and the largest of an axis's numbers."""
        values = _extreme_values(self)
        return min(values), max(values)

    def draw(self, rng: Random) -> Any:
        """Draw one value at random; all are equally likely."""
        return self.at(rng.randrange(self.count or 1))


class Choices(Axis):
    """A list of values, `[identity, none]`. Adjacent are neighbouring numbers; of other values, all others.

    Raises:
        InputError: no value, a value given twice, or a value that YAML cannot write.
    """

    options: tuple[Any, ...]

    @model_validator(mode="before")
    @classmethod
    def _plain_and_distinct(cls, data: Any) -> Any:
        if not isinstance(data, list | tuple):
            return data
        if not data:
            raise InputError("no values; give at least one")
        if len(data) > MAX_VALUES:
            raise InputError(
                f"{len(data)} values; a list has at most {MAX_VALUES}; or give a range {{low, high, step}}"
            )
        options = tuple(plain_data(option) for option in data)
        for index, option in enumerate(options):
            if any(_same(option, earlier) for earlier in options[:index]):
                raise InputError(f"{option!r} is given twice; give each value once")
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
            if _same(option, plain_data(value)):
                return option
        raise unknown("value", value, map(str, self.options))

    def adjacent(self, value: Any) -> tuple[Any, ...]:
        own = self.member(value)
        if not all(map(_is_number, self.options)):
            return tuple(option for option in self.options if option is not own)
        ranking = sorted(self.options)
        index = ranking.index(own)
        return (*ranking[max(index - 1, 0) : index], *ranking[index + 1 : index + 2])


class Range(Axis):
    """Numbers from `low` to `high`; `high` is included if the steps reach it.

    With `step`: low, low + step, ... With `integer`: the same with step 1, or with `log` the powers low, 2 low,
    4 low, ... (cardinalities and widths are usually powers of two). With neither: a continuous range, drawn uniformly,
    or with `log` uniformly in the logarithm. For a field of whole numbers, a space sets `integer` automatically.

    Raises:
        InputError: low > high, step <= 0, log with low <= 0 or with a step, or integer with a fraction.
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
                raise InputError(f"{name} {getattr(self, name):g} must be a whole number, since integer is true")
        if (self.count or 0) > MAX_STEPS:
            raise InputError(f"step {self.step or 1:g} is too fine: more than {MAX_STEPS:,} values")
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
            return self._at_fraction(index / 2)
        moved = int(self.low) << index if self.log else _exact(self.low) + index * _exact(self.step or 1)
        return int(moved) if self.integer else float(moved)

    def draw(self, rng: Random) -> Any:
        return self._at_fraction(rng.random()) if self.count is None else super().draw(rng)

    def member(self, value: Any) -> Any:
        if _is_number(value) and self.low <= value <= self.high:
            own = float(value) if self.count is None else self.at(self._index(value))
            if math.isclose(own, value, rel_tol=1e-9, abs_tol=1e-9 * (self.step or 1)):
                return own
        raise InputError(f"{value!r} is not in the range {self.model_dump(exclude_defaults=True)}")

    def adjacent(self, value: Any) -> tuple[Any, ...]:
        own = self.member(value)
        if self.count is not None:
            own_index = self._index(own)
            return tuple(self.at(index) for index in (own_index - 1, own_index + 1) if 0 <= index < self.count)
        if self.low == self.high:
            return ()
        fraction = self._fraction_of_range(own)
        both = (fraction - 1 / MOVES_PER_RANGE, fraction + 1 / MOVES_PER_RANGE)
        return tuple(self._at_fraction(near) for near in both if 0 <= near <= 1)

    def _index(self, value: float) -> int:
        if self.log:
            return round(math.log2(value / self.low))
        return min(round((_exact(value) - _exact(self.low)) / _exact(self.step or 1)), (self.count or 1) - 1)

    def _fraction_of_range(self, value: float) -> float:
        """The inverse of `_at_fraction`."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def _at_fraction(self, fraction: float) -> float:
        """The number at a fraction of the range, on the grid: `low` at 0 and `high` at 1, linear in the number or its
        logarithm."""
        if self.low == self.high:
            return self.low
        fraction = round(fraction * GRID) / GRID
        if fraction in (0, 1):
            return self.high if fraction else self.low
        if self.log:
            between = math.exp(math.log(self.low) * (1 - fraction) + math.log(self.high) * fraction)
        else:
            between = self.low * (1 - fraction) + self.high * fraction
        # Digits that separate the numbers of the grid are enough.
        apart = between * math.log(self.high / self.low) if self.log else self.high - self.low
        return min(max(round(between, 7 - math.floor(math.log10(apart))), self.low), self.high)

    def rounded(self, value: float) -> float:
        """Return the nearest number of a continuous range on its grid."""
        return self._at_fraction(self._fraction_of_range(value)) if self.low < self.high else self.low


def make_axis(path: str, data: Any, table: Mapping[str, Field] | None = None) -> Axis:
    """Return the axis of a field from a list, a range `{low, high, step, log, integer}`, or `all`.

    `all` is every value of the field's catalogue.

    Args:
        table: the fields by path; default: those of an architecture.

    Raises:
        InputError: no such field, a malformed axis, or a value that the field can never take.
    """
    at_path = field(path, table)
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
        made = Range.of({**data, "integer": True} if at_path.integer else dict(data))
    else:
        raise InputError(f"must be a list of values, a range {{low, high, step}}, or all; not {data!r}")
    if made.count is None and path in DERIVED:
        raise InputError("must not be a continuous range, since channels are rounded; give values, or a step")
    if path in DERIVED and not all(_is_number(value) and value > 0 for value in _extreme_values(made)):
        raise InputError("must be positive numbers, factors on all channels")
    for value in _extreme_values(made):
        _check_value(path, value, at_path)
    return made


def _extreme_values(axis: Axis) -> tuple[Any, ...]:
    """All values of a list, the first and the last of a range."""
    return axis.options if isinstance(axis, Choices) else (axis.at(0), axis.at((axis.count or 3) - 1))


def plain_data(value: Any) -> Any:
    """Return a value as YAML reads it back: descriptions as mappings, tuples as lists.

    Raises:
        InputError: YAML cannot write the value.
    """
    if isinstance(value, Description):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [plain_data(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): plain_data(part) for name, part in value.items()}
    if value is None or isinstance(value, str | bool) or _is_number(value):
        return value
    raise InputError(f"{value!r} is neither text, a finite number, true, false, a list nor a mapping")


def _check_value(path: str, value: Any, at_path: Field) -> None:
    """Refuse a value that no kind accepts: it is a mistake for all values of the other axes."""
    leaf = path.rsplit(".", 1)[-1]
    if isinstance(value, str) and at_path.catalogue and value not in at_path.catalogue:
        raise unknown(path.split(".")[-2] if leaf == "kind" else leaf, value, map(str, at_path.catalogue))
    errors = []
    for owner in at_path.owners:
        # Whether stages are valid depends on the rest of the net, which is not known yet.
        lines = [] if path == "stages" else _error_lines(owner, {leaf: value})
        errors += [
            line.removeprefix(leaf).lstrip(".: ") for line in lines if line.startswith((f"{leaf}:", f"{leaf}."))
        ][:1]
    if errors and len(errors) == len(at_path.owners):
        raise InputError(errors[0])


def _error_lines(owner: type[Description], data: dict[str, Any]) -> list[str]:
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
    """The number as an exact decimal: 0.1 is exactly 1/10."""
    return Fraction(repr(float(number)))
