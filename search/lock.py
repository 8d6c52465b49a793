"""One driver at a time in a run's folder: `.lock`, held while it lives, and `.driver.json`, which says who it is."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from resnet_space.errors import InputError
from search.atomic import write_text


@dataclass(frozen=True)
class Driver:
    """Who drives, or drove."""

    host: str
    process: int
    began: str
    name: str
    """Among the drivers on one store."""


@contextmanager
def held(folder: Path, name: str) -> Iterator[str | None]:
    """Be the one driver of a folder meanwhile; the name of the one before, if there was one: it has ended.

    The lock is the operating system's, and goes with the process that holds it, however that ends.

    Raises:
        InputError: another process has it, or the folder cannot be written.
    """
    lock, path = FileLock(folder / ".lock", timeout=0), folder / ".driver.json"
    try:
        lock.acquire()
    except Timeout:
        first = _read(path)
        who = f"process {first.process} on {first.host}, since {first.began}," if first else "another process"
        raise InputError(
            f"{folder}: {who} is at work here; wait for its end or stop it, or choose another --out"
        ) from None
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; choose another --out") from None
    try:
        former = _read(path)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            write_text(path, json.dumps(asdict(Driver(socket.gethostname(), os.getpid(), now, name))) + "\n")
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}; choose another --out") from None
        yield former.name if former else None
    finally:
        lock.release()


def _read(path: Path) -> Driver | None:
    """Who the file names; None without one, or if somebody else wrote it."""
    try:
        return TypeAdapter(Driver).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
