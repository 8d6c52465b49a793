"""Errors that teach: where, what was given, what is allowed, and the nearest allowed name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Wrong input from a user; the command line prints it as it stands and exits with status 2."""


def plain(text: str) -> str:
    r"""Text for a terminal: a sign that would steer it, such as escape, is written out.

    >>> plain("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return "".join(sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text)


def text(value: str | None) -> str | None:
    """What was given, if it is text.

    Raises:
        InputError: bytes that are not UTF-8. Python lets them pass in arguments and files' names, by surrogates.
    """
    for word in (value or "").split():
        if any("\ud800" <= sign <= "\udfff" for sign in word):
            raise InputError(f"{word}: has bytes that are no text in UTF-8; give it another name")
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
"""What people write for a name of ours, to suggest ours."""


def unknown(what: str, name: object, allowed: Iterable[str], *, path: str = "") -> InputError:
    """An `InputError` for a name outside a catalogue.

    >>> str(unknown("shortcut", "projecton", ["identity", "conv1x1"], path="unit.shortcut.kind"))
    "unit.shortcut.kind: unknown shortcut 'projecton'; did you mean 'conv1x1'? allowed: identity, conv1x1"
    """
    names = list(allowed)
    where = f"{path}: " if path else ""
    others = {word: ours for word, ours in ALSO_CALLED.items() if ours in names}
    near = get_close_matches(str(name), [*names, *others], n=1, cutoff=0.5)
    hint = f"did you mean {others.get(near[0], near[0])!r}? " if near else ""
    return InputError(f"{where}unknown {what} {name!r}; {hint}allowed: {', '.join(names)}")
