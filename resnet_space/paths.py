"""Get and set fields of plain data by path: `unit.shortcut.gate_bias`, `stages.0.units`, `stages.*.units`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from resnet_space.errors import InputError


def assign(data: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of plain data with values set by path; the caller validates it.

    A `kind` is set before the fields that depend on it, and removes the fields of the previous kind. Missing mappings
    along the path are created, so that a misspelt path leads to the unknown-field error of the later validation.

    Raises:
        InputError: a path leads through a value that has no parts, or past the end of a list.
    """
    data = copy.deepcopy(data)
    for path in sorted(changes, key=_kind_first):
        _set(data, path.split("."), changes[path], path)
    return data


def lookup(data: Any, path: str) -> Any:
    """Return the value at a path of plain data; `*` is the first item of a list.

    Raises:
        KeyError: there is no value at the path.
    """
    for part in path.split("."):
        index = index_in(data, "0" if part == "*" else part) if isinstance(data, list | tuple) else None
        if index is not None:
            data = data[index]
        elif isinstance(data, Mapping) and part in data:
            data = data[part]
        else:
            raise KeyError(path)
    return data


def split(text: str) -> tuple[str, Any]:
    """Split `PATH=VALUE` from the command line into the path and the parsed value.

    Raises:
        InputError: there is no `=`, or the value is not YAML.
    """
    from resnet_space import documents

    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise InputError(f"--set {text}: must be PATH=VALUE, as in unit.order=full_preactivation")
    return path.strip(), documents.scalar(value)


def index_in(node: list[Any] | tuple[Any, ...], part: str) -> int | None:
    """The part of a path as an index of the list; None if it is not a number or is out of range."""
    # Compare the length first: Python refuses to convert numbers of thousands of digits.
    within = part.isdecimal() and len(part) <= len(str(len(node))) and int(part) < len(node)
    return int(part) if within else None


def _kind_first(path: str) -> tuple[int, bool]:
    parts = path.split(".")
    return len(parts), parts[-1] != "kind"


def _set(node: Any, parts: list[str], value: Any, path: str) -> None:
    part, rest = parts[0], parts[1:]
    if isinstance(node, list | tuple):
        for index in _indices(node, part, path):
            if rest:
                _set(_container(node, index, path), rest, value, path)
            else:
                node[index] = value  # type: ignore[index]
    elif not rest and part == "kind":
        if node.get("kind") != value:
            node.clear()
        node["kind"] = value
    elif not rest:
        node[part] = value
    else:
        _set(_container(node, part, path), rest, value, path)


def _container(node: Any, part: Any, path: str) -> Any:
    """The container at `part`, created if missing; a bare name becomes a mapping with that `kind`, a tuple a list."""
    child = node[part] if isinstance(node, list) else node.get(part)
    if child is None:
        child = {}
    elif isinstance(child, str):
        child = {"kind": child}
    elif isinstance(child, tuple):
        child = list(child)
    elif not isinstance(child, dict | list):
        raise InputError(f"{path}: {child!r} has no parts")
    node[part] = child
    return child


def _indices(node: list[Any] | tuple[Any, ...], part: str, path: str) -> list[int]:
    if part == "*":
        return list(range(len(node)))
    index = index_in(node, part)
    if index is None:
        raise InputError(
            f"{path}: {part!r} is not an index of a list of {len(node)}; allowed: 0 to {len(node) - 1}, or *"
        )
    return [index]
