"""A Ray cluster of separate processes, started with `ray start`: a head that runs no trials, and workers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from processes import command, family

RAY = str(Path(sys.executable).with_name("ray"))


class Nodes:
    """The nodes of a cluster. Use it as a context: it stops only the nodes it started (`ray stop` stops every Ray)."""

    def __init__(self) -> None:
        # A short name, because the system limits the length of socket paths in it.
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
        """Start a worker with one CPU; `around` is a command that runs it, such as `unshare`."""
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
        """Kill a node as in a power failure: with all its workers, which have their own sessions."""
        for each in family(process.pid):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        process.wait()

    def __exit__(self, *_: object) -> None:
        # Stop the head last: workers that lose it wait for it.
        for process in reversed(self.started):
            self.stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)


def workers(root: int) -> list[int]:
    """Return the child processes that are `Worker` actors, which Tune wraps: Ray names them after the class."""
    return sorted(
        each for each in family(root) if command(each).startswith((b"ray::ResourceTrainable", b"ray::Worker"))
    )


def training(root: int) -> list[int]:
    """Return the workers that are executing a training step: Ray names them after the method."""
    return [each for each in workers(root) if b".train" in command(each)]
