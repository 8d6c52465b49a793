"""What a study varies: factors, each with levels that set values by path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from resnet_space.axes import plain_data
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown

MOST_LEVELS = 100


def _writable(value: Any) -> Any:
    """Refuses what no file can hold again, such as NaN."""
    plain_data(value)
    return value


Changes = Annotated[dict[str, Any], BeforeValidator(_writable)]
"""Values by path, as `Architecture.assign` takes them."""


def _levels(value: Any) -> Any:
    """Lists and mappings only, and of mappings those whose levels have names and set values by path."""
    plain_data(value)
    if not isinstance(value, list | tuple | Mapping):
        raise InputError(f"must be a list of values, or a mapping of names to values by path, not {value!r}")
    if isinstance(value, Mapping):
        for name, sets in value.items():
            if not isinstance(name, str):
                raise InputError(f"a level's name must be text, not {name!r}; write it in quotes")
            if not isinstance(sets, Mapping) or not all(isinstance(path, str) for path in sets):
                raise InputError(f"{name!r} must map paths to values, as in {{unit.order: original}}, not {sets!r}")
    return value


def _distinct(levels: Levels) -> Levels:
    if len(levels) < 2:
        raise InputError("a factor with one level cannot have an effect; give at least two")
    if len(levels) > MOST_LEVELS:
        raise InputError(f"takes at most {MOST_LEVELS} of them, not {len(levels)}; space: searches through more")
    given = levels.items() if isinstance(levels, dict) else [(written(value), value) for value in levels]
    for (one, sets), (other, same) in combinations(given, 2):
        if one == other:
            raise InputError(f"{one!r} stands twice; levels must differ")
        if sets == same:
            raise InputError(f"{one!r} and {other!r} are the same; levels must differ")
    return levels


Levels = tuple[Any, ...] | dict[str, dict[str, Any]]


class Factor(Description):
    """One thing that is varied: a path and the values there, or named levels that set several paths together.

    `{path: unit.order, levels: [original, full_preactivation]}`, or
    `{levels: {narrow: {width: 0.5}, wide: {width: 1, unit.branch.width: 32}}}`.

    Raises:
        InputError: (from `of`) less than two levels, two that are the same, a list without a path, or a mapping with.
    """

    path: str | None = None
    levels: Annotated[Levels, BeforeValidator(_levels), AfterValidator(_distinct)]

    @model_validator(mode="after")
    def _can_vary(self) -> Self:
        if isinstance(self.levels, tuple) and not self.path:
            raise InputError("a list of levels needs the path where they go; or name the levels in a mapping")
        if isinstance(self.levels, dict) and self.path is not None:
            raise InputError(
                f"levels with names set paths of their own; leave the path {self.path!r} out, or give a list"
            )
        return self

    @property
    def choices(self) -> dict[str, Changes]:
        """Values by path, by the level's name. Values of a list are named as they are written."""
        if isinstance(self.levels, dict):
            return dict(self.levels)
        assert self.path is not None
        return {written(value): {self.path: value} for value in self.levels}

    @property
    def paths(self) -> set[str]:
        """Every path that a level sets."""
        return {path for sets in self.choices.values() for path in sets}


def written(value: Any) -> str:
    """A value as text for people.

    >>> written({"kind": "exclusive_gate", "gate_bias": -6}), written(0.5), written(True)
    ('exclusive_gate, gate_bias -6', '0.5', 'true')
    """
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        rest = [f"{name} {written(part)}" for name, part in value.items() if name != "kind"]
        kind = [written(value["kind"])] if "kind" in value else []
        return ", ".join([*kind, *rest])
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    return repr(value).removesuffix(".0")


def check_apart(factors: Mapping[str, Factor]) -> None:
    """See that no two factors set the same value, or one a part of what the other sets.

    Raises:
        InputError: they do; both are named, with the path.
    """
    for (one, first), (other, second) in combinations(factors.items(), 2):
        for path, same in _overlaps(sorted(first.paths), sorted(second.paths)):
            both = f"both set {path}" if path == same else f"set {path} and {same}, of which one holds the other"
            raise InputError(f"factors: {one!r} and {other!r} {both}; what two factors set must be apart")


def _overlaps(paths: Iterable[str], others: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Pairs that are the same or of which one leads to the other; `*` stands for every index."""
    for path in paths:
        for other in others:
            parts = zip(path.split("."), other.split("."), strict=False)
            if all(a == b or "*" in (a, b) for a, b in parts):
                yield path, other


def levels_of(factors: Mapping[str, Factor], baseline: Mapping[str, Any]) -> dict[str, str]:
    """The baseline's level of every factor; those that are not named are each factor's first.

    Raises:
        InputError: a factor or a level that is not there; the nearest names.
    """
    for name, level in baseline.items():
        if name not in factors:
            raise unknown("factor", name, factors, path="baseline")
        if written(level) not in factors[name].choices:
            raise unknown("level", written(level), factors[name].choices, path=f"baseline.{name}")
    return {
        name: written(baseline[name]) if name in baseline else next(iter(factor.choices))
        for name, factor in factors.items()
    }
