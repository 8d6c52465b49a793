"""What a network of a run is, in a few words: the values of the axes of its space, or the names of its arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.exploring.study import Search
from search.store.stored import StoredRun

Assignment = Mapping[str, Any]
"""Values of the axes of a space, by path."""


def of_study(stored: StoredRun, keys: Sequence[str]) -> dict[str, str]:
    """Return what each network is, by key: by the axes of a search, or by the names of the study."""
    if isinstance(stored.study, Search):
        return by_axes(stored.store.assignments(keys))
    return by_arms(stored.arms(keys))


def by_axes(assignments: Mapping[str, Assignment]) -> dict[str, str]:
    """Return the values of the axes of each network by key, such as `shortcut=conv1x1, units=2`."""
    names = short_names(list(dict.fromkeys(path for own in assignments.values() for path in own)))
    return {
        key: ", ".join(f"{names[path]}={_text(value)}" for path, value in own.items())
        for key, own in assignments.items()
    }


def by_arms(names: Mapping[str, str]) -> dict[str, str]:
    """Return the names of arms by the key of their network, from the keys by name."""
    found: dict[str, list[str]] = {}
    for name, key in names.items():
        found.setdefault(key, []).append(name)
    return {key: " = ".join(own) for key, own in found.items()}


def short_names(axes: Sequence[str]) -> dict[str, str]:
    """Return a short name of each axis by its path; the path itself if two axes have the same.

    >>> short_names(["unit.shortcut.kind", "stages.*.units"])
    {'unit.shortcut.kind': 'shortcut', 'stages.*.units': 'units'}
    """
    short = {path: path.removesuffix(".kind").rsplit(".", 1)[-1] for path in axes}
    return {path: name if list(short.values()).count(name) == 1 else path for path, name in short.items()}


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
