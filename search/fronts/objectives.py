"""The objectives of a search, and the names that an expression over trained networks can use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resnet_space.errors import InputError, unknown
from resnet_space.fields import NAMES
from search.measures.catalogue import COSTS, MEASURES, Measure

OBJECTIVES: dict[str, Measure] = {
    "error": MEASURES["validation_error"],
    **COSTS,
    "latency_ms": MEASURES["latency_ms"],
    "seconds": MEASURES["seconds"],
}
"""All objectives, by name: measures that a search can minimise. Errors of the test split are not among them, since the
test split makes no choices."""

RESULTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("error", "error_std", "n", "test_error", "test_error_std", "latency_ms", "seconds"), ()),
    "confirmed": (False, True),
}
"""Names of results of trials, with their allowed values if they are not numbers."""

NAMES_OF_RESULTS: dict[str, tuple[Any, ...]] = NAMES | RESULTS
"""The names that an expression over trained networks can use: of the description and of results."""


def parse_objectives(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return names of objectives, from a list or from text such as `error,macs`.

    Raises:
        InputError: an unknown objective, the same one twice, or none at all.
    """
    if not isinstance(given, str | list | tuple):
        raise InputError(f"{given!r}: must be a list of objectives; allowed: {', '.join(OBJECTIVES)}")
    names = tuple(given.replace(",", " ").split() if isinstance(given, str) else given)
    if not names:
        raise InputError(f"no objective; give at least one of {', '.join(OBJECTIVES)}")
    for name in names:
        if not isinstance(name, str) or name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES)
        if names.count(name) > 1:
            raise InputError(f"objective {name!r} is given {names.count(name)} times; give it once")
    return names
