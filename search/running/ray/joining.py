"""What a driver needs to join a Ray cluster: an empty working directory, and one-line errors.

Ray puts the driver's working directory on its workers' import path, where any file could hide a module.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resnet_space.errors import InputError
from resnet_space.package_names import HOME

PATH_VARIABLES = ("PYTHONPATH", "TMPDIR", "RAY_TMPDIR", "RAY_AUTH_TOKEN_PATH")
"""Environment variables whose relative paths would change meaning in another folder. Ray reads "" as that folder."""

MIN_FREE_BYTES = 10_000_000
"""A disk with less free space is reported as full: Ray's own files do not fit."""

RAY_DEFAULT_FOLDER = os.path.join(os.sep, "tmp")
"""Where Ray keeps its files and sockets by default."""


@contextmanager
def joining_folder() -> Iterator[str]:
    """Yield an empty folder to join from, and remove it at the end: the processes of a local Ray start in it.

    In a checkout that is not installed, workers import this package from the working directory: then yield that.
    """
    if os.path.realpath(".") == HOME:
        yield HOME
        return
    for name in PATH_VARIABLES:
        if given := os.environ.pop(name, None):
            os.environ[name] = os.pathsep.join(map(os.path.abspath, given.split(os.pathsep)))
    with tempfile.TemporaryDirectory(prefix="resnet-space-") as folder:
        yield folder


def check_reachable(address: str) -> None:
    """Check that something listens at HOST:PORT. Ray itself would retry for minutes.

    Raises:
        InputError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(f"--address {address}: no Ray cluster listens there ({error})") from None


def joining_error(address: str | None, error: Exception) -> InputError:
    """Return the error for a Ray that did not start or could not be joined: one line with the reason and advice."""
    why = str(error).partition("\n")[0]
    if address:
        return InputError(f"--address {address}: {why}")
    place = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or RAY_DEFAULT_FOLDER
    if not isinstance(error, OSError):
        full = f"; {place} is full" if os.path.isdir(place) and shutil.disk_usage(place).free < MIN_FREE_BYTES else ""
        return InputError(f"Ray does not start here: {why}{full}")
    if error.filename and ".ray" in Path(error.filename).parts:
        return InputError(f"Ray does not start here: {error.filename}: {error.strerror}; set HOME to another folder")
    if "AF_UNIX" in why:
        why = "its path is too long for a socket"
    return InputError(
        f"Ray does not start here, since it cannot keep its files in {place}: {why}; "
        f"set RAY_TMPDIR to a writable folder with a short path, such as {RAY_DEFAULT_FOLDER}"
    )


def absolute_path(path: str | None) -> str | None:
    """Return the path in a form for a process with another working directory. `~` stays: each user has their own."""
    return path and (path if path.startswith("~") else os.path.abspath(path))
