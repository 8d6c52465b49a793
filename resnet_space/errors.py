"""Errors that teach: the path, the given value, the allowed values, and the nearest allowed name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Wrong input from a user; the command line prints the message and exits with status 2."""


def printable(text: str) -> str:
    r"""The text with control characters escaped, so that it cannot control a terminal.

    >>> printable("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)


def check_utf8(value: str | None) -> str | None:
    """Return the value unchanged if it can be written as UTF-8.

    Raises:
        InputError: it has bytes that are not UTF-8; Python represents these by surrogates in arguments and file names.
    """
    for word in (value or "").split():
        if any("\ud800" <= char <= "\udfff" for char in word):
            raise InputError(f"{word}: has bytes that are not UTF-8 text; give it another name")
    return value


ALSO_CALLED = {
    "plain": "none",
    "projection": "conv1x1",
    "highway": "exclusive_gate",
    "scaling": "constant_scaling",
    "preactivation": "full_preactivation",
    "cifar-10": "cifar10",
    "fashion_mnist": "fashion-mnist",
}
"""Other common words for our names, used for suggestions."""


def unknown(what: str, name: object, allowed: Iterable[str], *, path: str = "") -> InputError:
    """Return an `InputError` for a name that is not in a catalogue, with the allowed names and the nearest one.

    >>> str(unknown("shortcut", "projecton", ["identity", "conv1x1"], path="unit.shortcut.kind"))
    "unit.shortcut.kind: unknown shortcut 'projecton'; did you mean 'conv1x1'? allowed: identity, conv1x1"
    """
    names = list(allowed)
    where = f"{path}: " if path else ""
    others = {word: ours for word, ours in ALSO_CALLED.items() if ours in names}
    near = get_close_matches(str(name), [*names, *others], n=1, cutoff=0.5)
    hint = f"did you mean {others.get(near[0], near[0])!r}? " if near else ""
    return InputError(f"{where}unknown {what} {name!r}; {hint}allowed: {', '.join(names)}")
