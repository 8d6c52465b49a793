"""Every field of an architecture by path, and the values that expressions know it by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from resnet_space import paths
from resnet_space.architecture import DERIVED, Architecture
from resnet_space.branches import WideBranch
from resnet_space.catalogues import alternatives
from resnet_space.counter import complexity
from resnet_space.description import Description, kind_of
from resnet_space.errors import unknown

Lookup = Callable[[str], Any]
"""From a name to its value; None, NaN or a LookupError where there is none."""


@dataclass(frozen=True)
class Field:
    """What may stand at one path of an architecture, over all the kinds that have it."""

    owners: tuple[type[Description], ...] = ()
    catalogue: tuple[Any, ...] = ()
    """All it can be, if that is a list of names or switches."""
    whole: bool = False

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of shortcut or branch that have the field; none if it does not depend on a kind."""
        return frozenset(kind_of(owner) for owner in self.owners if "kind" in owner.model_fields)


def field(path: str) -> Field:
    """The field at a path, whatever its indices.

    Raises:
        InputError: no kind of anything has it; the nearest names.
    """
    if path in DERIVED:
        return Field()
    if generic(path) not in FIELDS:
        raise unknown("field", path, [*FIELDS, *DERIVED])
    return FIELDS[generic(path)]


def exists(path: str, data: Any) -> bool:
    """Whether an architecture, as plain data, has the field: its kind does, and its index is within."""
    nodes = [data]
    for part in path.split(".")[:-1]:
        nodes = [child for node in nodes for child in _children(node, part)]
    kinds = field(path).kinds
    found = {node if isinstance(node, str) else (node or {}).get("kind") for node in nodes if kinds}
    return bool(nodes) and (found <= kinds or path.endswith(".kind"))


def _children(node: Any, part: str) -> list[Any]:
    if isinstance(node, list | tuple):
        index = paths.index_in(node, part)
        return list(node) if part == "*" else [] if index is None else [node[index]]
    return [(node or {}).get(part)]


def governs(other: str, path: str) -> bool:
    """Whether `other` decides on `path`: it is above it, its kind, or the same path with a `*`."""
    above, below = other.removesuffix(".kind").split("."), path.split(".")
    if len(other.split(".")) == len(below) and other.rsplit(".", 1)[-1] == below[-1]:
        return other != path and all(a in (b, "*") for a, b in zip(other.split("."), below, strict=True))
    return len(above) < len(below) and all(a == b or "*" in (a, b) for a, b in zip(above, below, strict=False))


def generic(name: str) -> str:
    """A path with `*` for every index."""
    return ".".join("*" if part.isdecimal() else part for part in name.split("."))


def _fields() -> dict[str, Field]:
    table: dict[str, Field] = {}
    for name, info in Architecture.model_fields.items():
        _add(table, name, (Architecture,), alternatives(info.annotation, info.metadata))
    return table


def _add(table: dict[str, Field], path: str, owners: tuple[type[Description], ...], allowed: Iterator[Any]) -> None:
    """A path and all below it, from the annotations of the descriptions."""
    types = list(allowed)
    models = [t for t in types if isinstance(t, type) and issubclass(t, Description)]
    names = [name for t in types if get_origin(t) is Literal for name in get_args(t)]
    names += [kind_of(model) for model in models if "kind" in model.model_fields]
    names += [False, True] if bool in types else []
    known = table.get(path, Field())
    table[path] = Field(known.owners + owners, (*known.catalogue, *names), int in types and float not in types)
    for model in models:
        for name, info in model.model_fields.items():
            _add(table, f"{path}.{name}", (model,), alternatives(info.annotation, info.metadata))
    for t in types:
        if get_origin(t) is tuple:
            _add(table, f"{path}.*", (), alternatives(get_args(t)[0]))


FIELDS: dict[str, Field] = _fields()
"""Every path of an architecture, with `*` for indices."""

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
"""What an expression may say of an architecture: depth, costs, fields by path and by short name."""


def measure(net: Architecture) -> Lookup:
    """The `Lookup` of an architecture, for expressions over `NAMES`."""
    data = net.model_dump()

    def value(name: str) -> Any:
        if name in COSTS:
            return getattr(complexity(net), name)
        if name == "depth":
            return net.depth
        found = paths.lookup(data, ALIASES.get(name, name))
        if name == "unit.branch.width" and found is None and isinstance(net.unit.branch, WideBranch):
            return float(net.unit.branch.own_width(net.stages[0].channels))
        return found.get("kind") if isinstance(found, Mapping) else found

    return value
