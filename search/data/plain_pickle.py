"""Read CIFAR's pickles without running code: numbers, text, lists, dicts and byte arrays.

A pickle is a program that names functions and calls them. Here the names that an array needs are mapped to passive
classes of this module, so no function of numpy or anything else is called; every other name is refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.source import damaged


class _Type:
    """Replaces numpy.dtype: stores its name."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """Ignore the state: byte order does not matter for bytes."""


class Array:
    """Replaces numpy.ndarray and the function that creates one: stores the state from the pickle."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def as_bytes(self) -> NDArray[np.uint8]:
        """Return the array, if it has unsigned bytes in C order.

        Raises:
            TypeError, ValueError: it is not.
        """
        _, shape, kind, fortran, content = self.state
        if not isinstance(kind, _Type) or kind.name not in (b"u1", "u1") or fortran:
            raise TypeError("not an array of unsigned bytes in C order")
        return np.frombuffer(content, np.uint8).reshape(shape)


# Only classes: a pickle can set attributes on the objects it gets, and instances keep them local.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): Array,
    ("numpy._core.multiarray", "_reconstruct"): Array,
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which plain data never does; nothing was run")
        return _ALLOWED[module, name]


def read_plain(path: Path) -> dict[Any, Any]:
    """Return the dict in a pickle file; text of Python 2 comes as bytes, arrays as `Array`.

    Raises:
        InputError: the file calls functions, or is not a pickle of a dict; the message has its name.
    """
    try:
        with path.open("rb") as file:
            content = _PlainUnpickler(file, encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise anything that its opcodes can
        raise damaged(path, error) from None
    if not isinstance(content, dict):
        raise damaged(path, f"a {type(content).__name__}, not a dict")
    return content
