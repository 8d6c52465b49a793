"""Atomic writes: after a crash at any moment, a file is either complete or not there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

TEMPORARY_NAME = re.compile(r"\..+\.\d+")
"""Matches the name of a file that is being written, or was when its writer was killed."""


def replace(path: Path, write: Callable[[Path], Any], *, backup: Path | None = None) -> None:
    """Call `write` with a temporary path next to `path`, flush that file to disk, and rename it to `path`.

    With `backup`, the old file at `path` is kept under that name.

    Raises:
        OSError: it could not be written; the error names `path`. The old file is still at `path`, or at `backup`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The folder can come from somebody else: writing through a link with this name would leave the folder.
        temporary.unlink(missing_ok=True)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if backup and path.exists():
            path.replace(backup)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno is None or isinstance(error, FileExistsError):
            # FileExistsError names the file that is in the folder's place.
            raise
        # The error of a full disk has no file name, and users do not know the temporary file.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes, *, backup: Path | None = None) -> None:
    replace(path, lambda temporary: temporary.write_bytes(content), backup=backup)


def _sync_folder(folder: Path) -> None:
    """Flush a folder, so that renames in it are on disk too."""
    if os.name == "posix":
        at = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(at)
        finally:
            os.close(at)
