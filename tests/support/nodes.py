"""A Ray cluster of separate processes, as `ray start` makes one: a head that takes no trials, and workers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

RAY = str(Path(sys.executable).with_name("ray"))


class Nodes:
    """Use it as a context, which stops all that it started, and nothing else: `ray stop` would stop every Ray."""

    def __init__(self) -> None:
        # A short name: below it are sockets, whose names the system limits.
        self.folder = Path(tempfile.mkdtemp(prefix="rs-"))
        self.started: list[subprocess.Popen[bytes]] = []
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a-token-of-these-tests-" + "0" * 16}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    def __enter__(self) -> Nodes:
        try:
            self.start("--head", f"--port={self.address.split(':')[1]}", "--num-cpus=0", f"--temp-dir={self.folder}/r")
        except BaseException:
            self.__exit__()
            raise
        return self

    def worker(self, *, around: Sequence[str] = (), **environment: str) -> subprocess.Popen[bytes]:
        """A worker with one CPU; `around` is a command that runs it, such as `unshare`."""
        return self.start(f"--address={self.address}", "--num-cpus=1", around=around, **environment)

    def start(self, *options: str, around: Sequence[str] = (), **environment: str) -> subprocess.Popen[bytes]:
        log = self.folder / f"{len(self.started)}.log"
        common = ("--block", "--object-store-memory=100000000", "--include-dashboard=false", "--disable-usage-stats")
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*around, RAY, "start", *options, *(common if "--head" in options else common[:2])],
                stdout=stream,
                stderr=stream,
                env={**os.environ, **self.environment, **environment},
                start_new_session=True,
            )
        self.started.append(process)
        end = time.monotonic() + 120
        while b"Ray runtime started" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a node as if its plug were pulled: with the workers on it, which have sessions of their own."""
        for each in _family(process.pid):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        process.wait()

    def __exit__(self, *_: object) -> None:
        # The head last: workers that lose it wait for it.
        for process in reversed(self.started):
            self.stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)


def training(root: int) -> list[int]:
    """Workers of Ray below a process that do a step of a trial just now, by number."""
    return sorted(each for each in _family(root) if _command(each).startswith(b"ray::") and b".train" in _command(each))


@contextmanager
def still(process: int) -> Iterator[None]:
    """Meanwhile it stands still."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def _family(root: int) -> set[int]:
    """A process and all below it, by number."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")}
    family = {root}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _command(process: int) -> bytes:
    """What a process calls itself; nothing if it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def _parent(process: Path) -> int:
    """The parent's number of a process in /proc; 0 if it is gone."""
    try:
        # Behind the name, which may hold anything, stand the state and the parent.
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
