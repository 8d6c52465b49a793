"""What a network of a run is, in a few words: the values of the axes of its space, or the names of its arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.exploring.study import Search
from search.fronts.front import Point
from search.store.stored import StoredRun
from search.trials.setup import of_network

Assignment = Mapping[str, Any]
"""Values of the axes of a space, by path."""


def of_study(
    stored: StoredRun, points: Sequence[Point], recipes: Mapping[str, Assignment] | None = None
) -> dict[str, str]:
    """Return what each network is, by key: by the axes of a search, or by the names of the study.

    Args:
        recipes: the values of the axes of recipe and data with which each network is best, by key.
    """
    keys = [point.key for point in points]
    if isinstance(stored.study, Search):
        return by_axes(with_recipes(stored.store.assignments(keys), recipes or {}))
    arms = by_arms({name: setup.key for name, setup in stored.arms(keys).items()})
    return {point.key: arms[point.setup] for point in points if point.setup in arms}


def with_recipes(assignments: Mapping[str, Assignment], recipes: Mapping[str, Assignment]) -> dict[str, Assignment]:
    """Return the values of the axes of networks, each with those of its best recipe: it can have been proposed before
    with others."""
    return {key: {**of_network(own), **recipes.get(key, {})} for key, own in assignments.items()}


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
