"""How a driver joins a Ray cluster: from a folder apart, since Ray puts its working directory on its workers' path."""

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

PATHS = ("PYTHONPATH", "TMPDIR", "RAY_TMPDIR", "RAY_AUTH_TOKEN_PATH")
"""Environment variables whose relative paths would be looked for in the folder apart. Ray takes an empty one for it."""

ROOM = 10_000_000
"""Bytes without which Ray's own files do not fit a disk."""

RAY_FILES = os.path.join(os.sep, "tmp")
"""Where Ray has its files and sockets by default."""


@contextmanager
def apart() -> Iterator[str]:
    """An empty folder to join from. It stays until the end: the processes of a Ray of one's own begin in it, and go
    from there to where the driver is.

    In a checkout that is not installed, workers need the working directory: then it is that.
    """
    if os.path.realpath(".") == HOME:
        yield HOME
        return
    for name in PATHS:
        if given := os.environ.pop(name, None):
            os.environ[name] = os.pathsep.join(map(os.path.abspath, given.split(os.pathsep)))
    with tempfile.TemporaryDirectory(prefix="resnet-space-") as folder:
        yield folder


def reachable(address: str) -> None:
    """Raise unless something listens at HOST:PORT: Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(f"--address {address}: no Ray cluster listens there ({error})") from None


def not_joined(address: str | None, error: Exception) -> InputError:
    """Why Ray refused, in a line, and what helps."""
    why = str(error).partition("\n")[0]
    if address:
        return InputError(f"--address {address}: {why}")
    place = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or RAY_FILES
    if not isinstance(error, OSError):
        full = f"; {place} is full" if os.path.isdir(place) and shutil.disk_usage(place).free < ROOM else ""
        return InputError(f"Ray does not start here: {why}{full}")
    if error.filename and ".ray" in Path(error.filename).parts:
        return InputError(f"Ray does not start here: {error.filename}: {error.strerror}; set HOME to another folder")
    if "AF_UNIX" in why:
        why = "its path is too long for the names of sockets"
    return InputError(
        f"Ray does not start here, since it cannot have its files in {place}: {why}; "
        f"set RAY_TMPDIR to a folder that can be written and has a short path, such as {RAY_FILES}"
    )


def rooted(path: str | None) -> str | None:
    """A path as another process may be given it, which begins elsewhere. ~ stays: it is that of whoever reads it."""
    return path and (path if path.startswith("~") else os.path.abspath(path))
