"""Read the pickles that CIFAR comes in, without running anything: numbers, text, lists, dicts, byte arrays.

A pickle is a program that names functions and calls them. Here the names that an array needs stand for inert
records of ours, so nothing of numpy, let alone of anything else, is called; every other name is refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.source import damaged


class _Type:
    """Stands for numpy.dtype: remembers its name."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like, of no matter to bytes."""


class Array:
    """Stands for numpy.ndarray, and for the function that makes one: remembers what the pickle says of it."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def as_bytes(self) -> NDArray[np.uint8]:
        """The array, if it is one of unsigned bytes in C order.

        Raises:
            TypeError, ValueError: it is not.
        """
        _, shape, kind, fortran, content = self.state
        if not isinstance(kind, _Type) or kind.name not in (b"u1", "u1") or fortran:
            raise TypeError("not an array of unsigned bytes in C order")
        return np.frombuffer(content, np.uint8).reshape(shape)


# Classes only: a pickle may set attributes on whatever it gets, and these keep them to their instances.
_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): Array,
    ("numpy._core.multiarray", "_reconstruct"): Array,
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which plain data never does; nothing was run")
        return _ADMITTED[module, name]


def read_plain(path: Path) -> dict[Any, Any]:
    """The dict in a pickle file; text of Python 2 comes as bytes, arrays as `Array`.

    Raises:
        InputError: names the file: it asks for code, or is no pickle of a dict.
    """
    try:
        with path.open("rb") as file:
            content = _PlainUnpickler(file, encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise anything that its opcodes can
        raise damaged(path, error) from None
    if not isinstance(content, dict):
        raise damaged(path, f"a {type(content).__name__}, not a dict")
    return content
