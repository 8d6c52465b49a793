"""A search space: axes over an architecture's fields, the conditions under which they count, and constraints."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from random import Random
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, model_validator

from resnet_space import paths
from resnet_space.architecture import DERIVED, Architecture
from resnet_space.axes import FIELDS, Axis, Choices, Range, axis, field, plain
from resnet_space.complexity import complexity
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.expressions import Expression
from resnet_space.presets import preset

TRIES = 1000
"""Draws of one `sample`, and readings of one net, before giving up."""
COUNTED = 100_000
"""Above so many assignments `size` builds none of them, and counts no duplicates."""

COSTS = ("params", "macs", "activations")
"""Names of an expression that take a count of the whole net, and so are looked at last."""
ALIASES = {"shortcut": "unit.shortcut.kind", "branch": "unit.branch.kind", "order": "unit.order"} | {
    path.rsplit(".", 1)[1]: path
    for path, at_path in FIELDS.items()
    # Not `width`: among axes it is a factor on all channels.
    if path.startswith("unit.") and at_path.kinds and not path.endswith((".kind", ".width"))
}
"""Short names in expressions, for the unit's fields."""
NAMES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("depth", *COSTS), ()),
    **{path: at_path.catalogue for path, at_path in FIELDS.items()},
    **{name: FIELDS[path].catalogue for name, path in ALIASES.items()},
}
"""What an expression may say of an architecture: depth, costs, fields by path, short names; and the words of each."""

Assignment = dict[str, Any]
"""A value for every axis that counts."""


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


def measure(net: Architecture) -> Callable[[str], Any]:
    """The `Lookup` of an expression in `NAMES`: a value by name; LookupError where the net has no such field."""
    data = net.model_dump()

    def value(name: str) -> Any:
        if name in COSTS:
            return getattr(complexity(net), name)
        if name == "depth":
            return net.depth
        found = paths.lookup(data, ALIASES.get(name, name))
        if name == "unit.branch.width" and found is None:
            # By itself a quarter of the first stage's channels; the chain knows.
            return net.blueprint.units[0].chain[0].channels
        return found.get("kind") if isinstance(found, Mapping) else found

    return value


def _base(data: Any) -> Any:
    if isinstance(data, str):
        preset(data)
        return data
    return data if isinstance(data, Architecture) else Architecture.of(data)


class Space(Description):
    """Networks that differ from `base` along `axes`: {path: a list, a range {low, high, step}, or `all`}.

    An axis counts (is *active*) where its field exists, a gate's bias only with a gate, and where `when` allows it:
    {path: {other axis: values under which the path counts}}. `constraints` are expressions in `NAMES`; one about a field
    that a net does not have does not refuse that net.

    Raises:
        InputError: an unknown path, a value no field takes, conditions in a circle, a constraint that does not parse.
    """

    base: Annotated[str | Architecture, BeforeValidator(_base)]
    set: dict[str, Any] = {}
    axes: dict[str, Choices | Range]
    when: dict[str, dict[str, Choices]] = {}
    constraints: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _axes_of_fields(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("axes"), Mapping):
            return data
        made, mistakes = {}, []
        for path, values in data["axes"].items():
            try:
                made[path] = axis(str(path), values)
            except InputError as error:
                mistakes.append(f"axes.{path}: {error}")
        if mistakes:
            raise InputError("\n".join(mistakes))
        when = data.get("when") or {}
        return data | {"axes": made, "when": {path: _listed(on) for path, on in when.items()}} if when else data | {"axes": made}

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        plain(self.set)
        for path in self.axes:
            if path not in DERIVED and "stages" not in self.axes:
                paths.assign(self.start.model_dump(), {path: None})
        for path, conditions in self.when.items():
            if path not in self.axes:
                raise unknown("axis", path, self.axes, path="when")
            for other, values in conditions.items():
                if other not in self.axes:
                    raise unknown("axis", other, self.axes, path=f"when.{path}")
                for value in values.options:
                    _member(self.axes[other], value, f"when.{path}.{other}")
        _ = self.order, self._parsed
        return self
