"""Objectives: what a search may make small, and the names that an expression over trained networks may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resnet_space.errors import InputError, unknown
from resnet_space.fields import NAMES


@dataclass(frozen=True)
class Objective:
    """Something to make small."""

    column: str
    """Where `Store.results()` has it."""
    heading: str
    """In tables and on axes."""
    known_before: bool
    """Whether a network's description tells it, without training."""
    percent: bool = False
    """Whether tables show 100 times the value."""


OBJECTIVES: dict[str, Objective] = {
    "error": Objective("validation_error", "validation error, %", known_before=False, percent=True),
    "macs": Objective("macs", "MACs", known_before=True),
    "params": Objective("params", "parameters", known_before=True),
    "activations": Objective("activations", "activations", known_before=True),
    "latency_ms": Objective("latency_ms", "latency, ms", known_before=False),
}
"""What a search may make small."""

MEASURES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("error", "error_std", "n", "test_error", "test_error_std", "latency_ms"), ()),
    "confirmed": (False, True),
}
"""What trials add to what a network's description tells."""

NAMES_OF_RESULTS: dict[str, tuple[Any, ...]] = NAMES | MEASURES
"""What an expression may say of a network that was trained."""


def chosen(given: str | Sequence[str]) -> tuple[str, ...]:
    """Names of objectives, from a list or from text such as `error,macs`.

    Raises:
        InputError: an unknown one, the same one twice, or none at all.
    """
    if not isinstance(given, str | list | tuple):
        raise InputError(f"{given!r}: a list of objectives was expected, of {', '.join(OBJECTIVES)}")
    names = tuple(given.replace(",", " ").split() if isinstance(given, str) else given)
    if not names:
        raise InputError(f"no objective; give at least one of {', '.join(OBJECTIVES)}")
    for name in names:
        if not isinstance(name, str) or name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES)
        if names.count(name) > 1:
            raise InputError(f"objective {name!r} is there {names.count(name)} times; once is enough")
    return names
