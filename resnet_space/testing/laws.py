"""Laws: functions that raise `AssertionError` if a property does not hold, and tables of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")

Laws = Mapping[str, Callable[[T], None]]
"""Law functions by name. The docstring of each states the property that must hold."""


def expect(holds: bool, message: str) -> None:
    """Do what `assert` does, also when Python runs with -O.

    Raises:
        AssertionError: `holds` is false.
    """
    if not holds:
        raise AssertionError(message)


def table(*laws: Callable[[T], None]) -> Laws[T]:
    return {law.__name__: law for law in laws}


def check(laws: Laws[T], what: T, name: str) -> None:
    """Check every law, in the table's order.

    Raises:
        AssertionError: the first law that is broken, with what was found. An exception in a law counts as broken.
    """
    for law in laws.values():
        sentence = " ".join((law.__doc__ or law.__name__).split("\n\n")[0].split())
        try:
            law(what)
        except AssertionError as error:
            raise AssertionError(f"{name} breaks a law: {sentence} {error}") from error
        except Exception as error:
            raise AssertionError(
                f"{name} breaks a law: {sentence} It raised {type(error).__name__}: {error}"
            ) from error
