"""Errors that teach: where, what was given, what is allowed, and the nearest allowed name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Wrong input from a user; the command line prints it as it stands and exits with status 2."""


def unknown(what: str, name: object, allowed: Iterable[str], *, path: str = "") -> InputError:
    """An `InputError` for a name outside a catalogue.

    >>> str(unknown("shortcut", "projecton", ["identity", "projection"], path="unit.shortcut.kind"))
    "unit.shortcut.kind: unknown shortcut 'projecton'; did you mean 'projection'? allowed: identity, projection"
    """
    names = list(allowed)
    where = f"{path}: " if path else ""
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(f"{where}unknown {what} {name!r}; {hint}allowed: {', '.join(names)}")
