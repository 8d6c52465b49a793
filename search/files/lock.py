"""One driver at a time in a run's folder: it holds `.lock` while it is alive, and `.driver.json` has its name.

Readers see from the lock whether the driver is alive. Its process number is not enough: after a restart of the machine
another process can have the same number.
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

from resnet_space.errors import InputError, plain
from search.files.atomic import write_text
from search.machine.mounts import mounts, network_mount

LOCK_TIMEOUT_SECONDS = 0.5
"""How long a driver tries to get the lock: a reader that checks it holds it for an instant."""


@dataclass(frozen=True)
class Driver:
    """The process that drives a run, or drove it last."""

    host: str
    process: int
    began: str
    name: str
    """Its name among the drivers on one store."""


@dataclass(frozen=True)
class DriverState:
    """The current or last driver of a folder, and whether it is alive; None for what is unknown."""

    driver: Driver | None
    alive: bool | None

    @property
    def label(self) -> str:
        """The driver as the start of a sentence: "process 77 on anvil, since 2026-01-01T00:00:00+00:00,"."""
        each = self.driver
        return plain(f"process {each.process} on {each.host}, since {each.began},") if each else "another process"


def driver_state(folder: Path) -> DriverState:
    """Return the driver of a folder, without changing anything in the folder."""
    driver = _read(folder / ".driver.json")
    lock = _is_locked(folder / ".lock")
    if lock is not False or driver is None:
        return DriverState(driver, lock)
    # On a network file system, the lock of another machine is not always visible on this one.
    certain = driver.host == socket.gethostname() or not network_mount(folder, mounts())
    return DriverState(driver, False if certain else None)


def _is_locked(lock: Path) -> bool | None:
    """Whether a process holds the lock; None if that cannot be determined."""
    try:
        import fcntl
    except ImportError:
        # Windows.
        return None
    try:
        file = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        # A copy of the folder can lack files whose names begin with a dot.
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
def lock_folder(folder: Path, name: str) -> Iterator[str | None]:
    """Lock a folder for its one driver while the context is open; yield the former driver's name, or None.

    The operating system releases the lock when the process ends, in whatever way, so a former driver has ended.

    Raises:
        InputError: another process holds the lock, or the folder cannot be written.
    """
    lock, path = FileLock(folder / ".lock", timeout=LOCK_TIMEOUT_SECONDS), folder / ".driver.json"
    try:
        lock.acquire(poll_interval=LOCK_TIMEOUT_SECONDS / 10)
    except Timeout:
        who = DriverState(_read(path), True).label
        raise InputError(
            f"{folder}: {who} is running here; wait for its end or stop it, or choose another --out"
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
    """Return the driver in the file; None if the file is missing or not valid."""
    try:
        return TypeAdapter(Driver).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
