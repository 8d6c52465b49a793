"""The fields of an architecture by path, and their names and values in expressions."""

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
"""From a name to its value; None, NaN or a LookupError if there is no value."""


@dataclass(frozen=True)
class Field:
    """The values allowed at one path of an architecture, over all kinds that have the field."""

    owners: tuple[type[Description], ...] = ()
    catalogue: tuple[Any, ...] = ()
    """All allowed values, if these are names, or true and false."""
    integer: bool = False

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of shortcut or branch that have the field; empty if the field does not depend on a kind."""
        return frozenset(kind_of(owner) for owner in self.owners if "kind" in owner.model_fields)


def field(path: str, table: Mapping[str, Field] | None = None) -> Field:
    """Return the field at a path; indices are ignored.

    Args:
        table: the fields by path; default: those of an architecture.

    Raises:
        InputError: no kind has such a field; the message has the nearest names.
    """
    if path in DERIVED:
        return Field()
    known = FIELDS if table is None else table
    if with_wildcards(path) not in known:
        raise unknown("field", path, [*known, *DERIVED])
    return known[with_wildcards(path)]


def has_field(path: str, data: Any, table: Mapping[str, Field] | None = None) -> bool:
    """Whether an architecture, as plain data, has the field: its kind has it, and the index exists."""
    nodes = [data]
    for part in path.split(".")[:-1]:
        nodes = [child for node in nodes for child in _children(node, part)]
    kinds = field(path, table).kinds
    found = {node if isinstance(node, str) else _kind(node) for node in nodes if kinds}
    return bool(nodes) and (found <= kinds or path.endswith(".kind"))


def _children(node: Any, part: str) -> list[Any]:
    if isinstance(node, list | tuple):
        index = paths.index_in(node, part)
        return list(node) if part == "*" else [] if index is None else [node[index]]
    return [node.get(part) if isinstance(node, Mapping) else None]


def _kind(node: Any) -> str | None:
    return node.get("kind") if isinstance(node, Mapping) else None


def governs(other: str, path: str) -> bool:
    """Whether the value at `other` can decide whether `path` exists.

    It can if it is above `path`, is the `kind` of something above it, or is the same path with a `*`.
    """
    above, below = other.removesuffix(".kind").split("."), path.split(".")
    if len(other.split(".")) == len(below) and other.rsplit(".", 1)[-1] == below[-1]:
        return other != path and all(a in (b, "*") for a, b in zip(other.split("."), below, strict=True))
    return len(above) < len(below) and all(a == b or "*" in (a, b) for a, b in zip(above, below, strict=False))


def with_wildcards(name: str) -> str:
    """Return the path with every index replaced by `*`."""
    return ".".join("*" if part.isdecimal() else part for part in name.split("."))


def fields_of(owner: type[Description], head: str = "") -> dict[str, Field]:
    """Return the fields of a kind of description by path, at any depth; paths begin with `head` if it is given."""
    table: dict[str, Field] = {}
    for name, info in owner.model_fields.items():
        _add(table, f"{head}.{name}".lstrip("."), (owner,), alternatives(info.annotation, info.metadata))
    return table


def _add(table: dict[str, Field], path: str, owners: tuple[type[Description], ...], allowed: Iterator[Any]) -> None:
    """Add a path and all paths below it to the table, from the annotations of the descriptions."""
    types = list(allowed)
    models = [t for t in types if isinstance(t, type) and issubclass(t, Description)]
    names = [name for t in types if get_origin(t) is Literal for name in get_args(t)]
    names += [kind_of(model) for model in models if "kind" in model.model_fields]
    names += [False, True] if bool in types else []
    known = table.get(path, Field())
    # By their texts, since True equals 1.
    catalogue = {repr(name): name for name in (*known.catalogue, *names)}
    table[path] = Field(known.owners + owners, tuple(catalogue.values()), int in types and float not in types)
    for model in models:
        for name, info in model.model_fields.items():
            _add(table, f"{path}.{name}", (model,), alternatives(info.annotation, info.metadata))
    for t in types:
        if get_origin(t) is tuple:
            _add(table, f"{path}.*", (), alternatives(get_args(t)[0]))


FIELDS: dict[str, Field] = fields_of(Architecture)
"""The fields of an architecture by path, with `*` for indices."""

COSTS = ("params", "macs", "activations")
"""Names whose values need a count of the complete net; expressions with them are evaluated last."""
ALIASES = {
    path.rsplit(".", 1)[1]: path
    for path, at_path in FIELDS.items()
    # Not `width`: as an axis it is a factor on all channels.
    if path.startswith("unit.") and path.count(".") == 2 and at_path.kinds and not path.endswith((".kind", ".width"))
} | {
    "shortcut": "unit.shortcut.kind",
    "branch": "unit.branch.kind",
    "order": "unit.order",
    "activation": "unit.activation",
    "normalisation": "unit.normalisation.kind",
}
"""Short names of the unit's fields in expressions."""
NAMES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("depth", *COSTS), ()),
    **{path: at_path.catalogue for path, at_path in FIELDS.items()},
    **{name: FIELDS[path].catalogue for name, path in ALIASES.items()},
}
"""The names allowed in expressions on architectures, with their values: depth, costs, fields by path and short name."""


def lookup_of(net: Architecture) -> Lookup:
    """Return the `Lookup` of an architecture, for expressions over `NAMES`."""
    data = net.model_dump()

    def value(name: str) -> Any:
        if name in COSTS:
            return getattr(complexity(net), name)
        if name == "depth":
            return net.depth
        found = paths.lookup(data, ALIASES.get(name, name))
        if name == "unit.branch.width" and found is None and isinstance(net.unit.branch, WideBranch):
            return float(net.unit.branch.own_width(net.stage_list[0].channels))
        return found.get("kind") if isinstance(found, Mapping) else found

    return value
