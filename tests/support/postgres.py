"""A PostgreSQL of our own, from Debian's packages, for as long as tests run."""

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
    """Where the newest server's programs are, if there is one, and a user who may run it."""
    return INSTALLED[-1].parent if INSTALLED and (os.getuid() or shutil.which("runuser")) else None


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """A server with a socket in a folder of its own, and no port: the folder."""
    # The server refuses to be root.
    ahead = [] if os.getuid() else ["runuser", "-u", "postgres", "--"]
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    if ahead:
        shutil.chown(folder, "postgres")

    def call(program: str, *arguments: str) -> None:
        command = [*ahead, str(programs / program), "-D", str(folder / "data"), *arguments]
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
