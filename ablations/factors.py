"""The factors of a study, each with levels that set values by path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from resnet_space.axes import plain_data
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown

MAX_LEVELS = 100


def _check_writable(value: Any) -> Any:
    """Refuse values that YAML cannot write, such as NaN."""
    plain_data(value)
    return value


Changes = Annotated[dict[str, Any], BeforeValidator(_check_writable)]
"""Values by path, as for `Architecture.assign`."""


def _check_levels(value: Any) -> Any:
    """Accept lists, and mappings from names of levels to values by path."""
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


def _check_distinct(levels: Levels) -> Levels:
    if len(levels) < 2:
        raise InputError("a factor with one level cannot have an effect; give at least two")
    if len(levels) > MAX_LEVELS:
        raise InputError(f"{len(levels)} levels; at most {MAX_LEVELS} are allowed; to try more, search a space")
    given = levels.items() if isinstance(levels, dict) else [(value_text(value), value) for value in levels]
    for (one, sets), (other, same) in combinations(given, 2):
        if one == other:
            raise InputError(f"{one!r} is given twice; levels must differ")
        if sets == same:
            raise InputError(f"{one!r} and {other!r} are the same; levels must differ")
    return levels


Levels = tuple[Any, ...] | dict[str, dict[str, Any]]


class Factor(Description):
    """A factor: a path and its values, or named levels that each set one or several paths.

    `{path: unit.order, levels: [original, full_preactivation]}`, or
    `{levels: {narrow: {width: 0.5}, wide: {width: 1, unit.branch.width: 32}}}`.

    Raises:
        InputError: (from `of`) less than two levels, two equal levels, a list without a path, or a mapping with a path.
    """

    path: str | None = None
    levels: Annotated[Levels, BeforeValidator(_check_levels), AfterValidator(_check_distinct)]

    @model_validator(mode="after")
    def _can_vary(self) -> Self:
        if isinstance(self.levels, tuple) and not self.path:
            raise InputError("a list of levels needs the path that they set; or name the levels in a mapping")
        if isinstance(self.levels, dict) and self.path is not None:
            raise InputError(f"named levels set their own paths; leave out the path {self.path!r}, or give a list")
        return self

    @property
    def choices(self) -> dict[str, Changes]:
        """For each level's name, its values by path. The values of a list are named by `value_text`."""
        if isinstance(self.levels, dict):
            return dict(self.levels)
        assert self.path is not None
        return {value_text(value): {self.path: value} for value in self.levels}

    @property
    def paths(self) -> set[str]:
        """All paths that the levels set."""
        return {path for sets in self.choices.values() for path in sets}


def value_text(value: Any) -> str:
    """Return a value as text for people.

    >>> value_text({"kind": "exclusive_gate", "gate_bias": -6}), value_text(0.5), value_text(True)
    ('exclusive_gate, gate_bias -6', '0.5', 'true')
    """
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        rest = [f"{name} {value_text(part)}" for name, part in value.items() if name != "kind"]
        kind = [value_text(value["kind"])] if "kind" in value else []
        return ", ".join([*kind, *rest])
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    return repr(value).removesuffix(".0")


def check_disjoint(factors: Mapping[str, Factor]) -> None:
    """Check that no two factors set the same path, and none sets a part of what another sets.

    Raises:
        InputError: two factors overlap; the message names both, and the paths.
    """
    for (one, first), (other, second) in combinations(factors.items(), 2):
        for path, same in _overlaps(sorted(first.paths), sorted(second.paths)):
            both = f"both set {path}" if path == same else f"set {path} and {same}, one of which is part of the other"
            raise InputError(f"factors: {one!r} and {other!r} {both}; factors must set different paths")


def _overlaps(paths: Iterable[str], others: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Pairs of equal paths, or of a path and a part of it; `*` is every index."""
    for path in paths:
        for other in others:
            parts = zip(path.split("."), other.split("."), strict=False)
            if all(a == b or "*" in (a, b) for a, b in parts):
                yield path, other


def baseline_levels(factors: Mapping[str, Factor], baseline: Mapping[str, Any]) -> dict[str, str]:
    """Return the baseline's level of every factor. Default: a factor's first level.

    Raises:
        InputError: an unknown factor or level; the message has the nearest names.
    """
    for name, level in baseline.items():
        if name not in factors:
            raise unknown("factor", name, factors, path="baseline")
        if value_text(level) not in factors[name].choices:
            raise unknown("level", value_text(level), factors[name].choices, path=f"baseline.{name}")
    return {
        name: value_text(baseline[name]) if name in baseline else next(iter(factor.choices))
        for name, factor in factors.items()
    }
