"""Processes on this machine, by process ID, read from /proc."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def still(process: int) -> Iterator[None]:
    """Pause a process inside this context."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def family(root: int) -> set[int]:
    """Return the IDs of a process and all its descendants."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")}
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def command(process: int) -> bytes:
    """Return a process's command line, or nothing if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def _parent(process: Path) -> int:
    """Return the parent's ID of a process in /proc, or 0 if it has ended."""
    try:
        # The state and the parent follow the name, which can contain any character.
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
