"""Files that are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

TEMPORARY = re.compile(r"\..+\.\d+")
"""The name of what is half written, or was when its writer was killed."""


def replace(path: Path, write: Callable[[Path], Any], *, before: Path | None = None) -> None:
    """Let `write` make a file beside `path`, flush it to the disk, and put it in place by rename.

    With `before`, the file that stood at `path` stays under that name.

    Raises:
        OSError: it could not be written, with the name of `path`; what stood there is there, or at `before`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A link of that name, planted in a folder that somebody sent, would be written through.
        temporary.unlink(missing_ok=True)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if before and path.exists():
            path.replace(before)
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        if error.errno is None or isinstance(error, FileExistsError):
            # The latter names what stands in the folder's place.
            raise
        # A full disk names no file, and who reads of one does not know the temporary one.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes, *, before: Path | None = None) -> None:
    replace(path, lambda temporary: temporary.write_bytes(content), before=before)


def _flush(folder: Path) -> None:
    """Names too are on the disk only when their folder is."""
    if os.name == "posix":
        at = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(at)
        finally:
            os.close(at)
