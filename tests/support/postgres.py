"""A local PostgreSQL server from Debian's packages, for the duration of tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))


def programs() -> Path | None:
    """Return the folder of the newest server's programs, or None if there is no server or no user to run it."""
    return INSTALLED[-1].parent if INSTALLED and (os.getuid() or shutil.which("runuser")) else None


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """Start a server without a port, and yield the folder of its socket."""
    # The server refuses to run as root.
    prefix = [] if os.getuid() else ["runuser", "-u", "postgres", "--"]
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    if prefix:
        shutil.chown(folder, "postgres")

    def call(program: str, *arguments: str) -> None:
        command = [*prefix, str(programs / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, cwd="/", check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    try:
        call("initdb", "-A", "trust", "-U", "postgres", "--no-sync", "--no-instructions")
        settings = f"-F -c listen_addresses= -c unix_socket_directories={folder} -c max_connections=200"
        call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", settings, "start")
        try:
            yield str(folder)
        finally:
            call("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
