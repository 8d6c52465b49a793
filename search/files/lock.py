"""One driver at a time in a run's folder: `.lock`, held while it lives, and `.driver.json`, which says who it is.

Whoever only reads sees by the lock whether that driver is alive. Its process number would not do: after a restart of
the machine another process may have it.
"""

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

from resnet_space.errors import InputError, printable
from search.files.atomic import write_text
from search.machine.mounts import mounts, network_mount

READING_SECONDS = 0.5
"""A driver tries for so long to get the lock: one who only looks has it for an instant."""


@dataclass(frozen=True)
class Driver:
    """Who drives, or drove."""

    host: str
    process: int
    began: str
    name: str
    """Among the drivers on one store."""


@dataclass(frozen=True)
class Seen:
    """Who drives a folder, or drove it last, and whether that one is alive; None where it is not known."""

    driver: Driver | None
    alive: bool | None

    @property
    def shown(self) -> str:
        """For people, at the beginning of a sentence."""
        each = self.driver
        return printable(f"process {each.process} on {each.host}, since {each.began},") if each else "another process"


def seen(folder: Path) -> Seen:
    """The driver of a folder, looked at without changing anything there."""
    driver = _read(folder / ".driver.json")
    lock = _held(folder / ".lock")
    if lock is not False or driver is None:
        return Seen(driver, lock)
    # On a network file system, a lock of another machine's may not be seen on this one.
    here = driver.host == socket.gethostname() or not network_mount(folder, mounts())
    return Seen(driver, False if here else None)


def _held(lock: Path) -> bool | None:
    """Whether a process has the lock; None where that cannot be found out."""
    try:
        import fcntl
    except ImportError:
        # Windows.
        return None
    try:
        file = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        # Files whose names begin with a dot may not have been copied.
        return False if (lock.parent / ".driver.json").exists() else None
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return None
    else:
        return False
    finally:
        os.close(file)


@contextmanager
def held(folder: Path, name: str) -> Iterator[str | None]:
    """Be the one driver of a folder meanwhile; the name of the one before, if there was one: it has ended.

    The lock is the operating system's, and goes with the process that holds it, however that ends.

    Raises:
        InputError: another process has it, or the folder cannot be written.
    """
    lock, path = FileLock(folder / ".lock", timeout=READING_SECONDS), folder / ".driver.json"
    try:
        lock.acquire(poll_interval=READING_SECONDS / 10)
    except Timeout:
        who = Seen(_read(path), True).shown
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
