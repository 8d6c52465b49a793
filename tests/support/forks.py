"""Python processes that start fast: they are forked from a process that has imported torch, Ray and pandas.

`Child(["-m", "resnet_space", ...])` replaces `subprocess.Popen`, and `run(["-c", CODE, ...])` replaces
`subprocess.run`, as far as tests need them. Each child has its own process group, like a command in a terminal. One
server forks for all processes of a test run and ends with the last of them.

Do not use it to test what Python reads before it runs our code (`PYTHONPATH`, encodings, `OMP_NUM_THREADS`), or what
happens during an import.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from socket import AF_UNIX, SOCK_SEQPACKET, recv_fds, send_fds, socket
from typing import IO, Any

MAX_REQUEST = 2**17
"""Maximum size of a request, in bytes."""


class Child:
    """A process forked by the server, with the parts of `subprocess.Popen` that tests need. Its streams are text."""

    def __init__(
        self,
        arguments: Sequence[object],
        *,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        stdout: int | IO[Any] = subprocess.PIPE,
        stderr: int | IO[Any] = subprocess.PIPE,
    ) -> None:
        self.returncode: int | None = None
        self.stdout, out = _stream(stdout)
        self.stderr, err = _stream(stderr)
        given = {"arguments": [str(each) for each in arguments], "cwd": str(cwd or Path.cwd())}
        self._server = _connected(_server())
        send_fds(self._server, [json.dumps(given | {"env": dict(env or os.environ)}).encode()], [out, err])
        for end, asked in ((out, stdout), (err, stderr)):
            if asked in (subprocess.PIPE, subprocess.DEVNULL):
                os.close(end)
        self.pid = int(self._server.recv(100))

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._server.settimeout(timeout)
            try:
                self.returncode = int(self._server.recv(100))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._server.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return all output until the process ends. Kill it after the timeout.

        Raises:
            subprocess.TimeoutExpired: it took longer.
        """
        over = threading.Event()

        def end() -> None:
            over.set()
            self.kill()

        late = threading.Timer(timeout or threading.TIMEOUT_MAX, end)
        late.start()
        try:
            with ThreadPoolExecutor() as pool:
                out, err = pool.map(_rest, (self.stdout, self.stderr))
            self.wait()
        finally:
            late.cancel()
            late.join()
        if over.is_set():
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0, out, err)
        return out, err

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()


def run(
    arguments: Sequence[object],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stderr: int | IO[Any] = subprocess.PIPE,
    timeout: float | None = 250,
) -> subprocess.CompletedProcess[str]:
    """Run a process and return its exit status and output."""
    child = Child(arguments, cwd=cwd, env=env, stderr=stderr)
    out, err = child.communicate(timeout)
    return subprocess.CompletedProcess([*map(str, arguments)], child.wait(), out, err)


def _rest(stream: IO[str] | None) -> str:
    if stream is None or stream.closed:
        return ""
    with stream:
        return stream.read()


def _stream(asked: int | IO[Any]) -> tuple[IO[str] | None, int]:
    """Return the end that we read from, and the one that the process writes to."""
    if asked == subprocess.PIPE:
        back, to = os.pipe()
        return os.fdopen(back, encoding="utf-8"), to
    if asked == subprocess.DEVNULL:
        return None, os.open(os.devnull, os.O_WRONLY)
    return None, asked if isinstance(asked, int) else asked.fileno()


def _connected(path: str) -> socket:
    made = socket(AF_UNIX, SOCK_SEQPACKET)
    try:
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made


@cache
def _server() -> str:
    """Return the socket path of the server that all processes of this test run share, and start it if necessary.

    It lives at least as long as this process.
    """
    from filelock import FileLock

    name = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    path = str(Path(tempfile.gettempdir()) / f"forks-{name[:12]}")
    with FileLock(f"{path}.lock"):
        try:
            lease = _connected(path)
        except OSError:
            Path(path).unlink(missing_ok=True)
            back, to = os.pipe()
            spoken = [(os.POSIX_SPAWN_DUP2, to, 1)]
            os.posix_spawn(
                sys.executable, [sys.executable, __file__, path], os.environ, file_actions=spoken, setsid=True
            )
            os.close(to)
            with os.fdopen(back, "rb") as output:
                assert output.readline() == b"ready\n", "the fork server does not start"
            lease = _connected(path)
        lease.send(b"lease")
        # It stays open until this process ends.
        lease.detach()
    return path


# In the server


def serve(path: str) -> None:
    """Fork a process per request until all clients have disconnected."""
    import select

    before = set(os.environ)
    _import_all()
    added = {name: value for name, value in os.environ.items() if name not in before}
    listener = socket(AF_UNIX, SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    leases, children = set[socket](), dict[int, tuple[int, socket]]()
    print("ready", flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while True:
        ready, _, _ = select.select([listener, *leases, *children], [], [])
        for each in ready:
            if isinstance(each, int):
                pid, asked = children.pop(each)
                os.close(each)
                _answer(asked, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                asked.close()
            elif each is not listener:
                leases.discard(each)
                each.close()
                if not leases:
                    for left in (path, f"{path}.lock"):
                        Path(left).unlink(missing_ok=True)
                    return
            else:
                asked, _ = listener.accept()
                message, ends, _, _ = recv_fds(asked, MAX_REQUEST, 2)
                if message == b"lease":
                    leases.add(asked)
                    continue
                pid = os.fork()
                if not pid:
                    os.setsid()
                    for known in (listener, asked, *leases, *(other for _, other in children.values())):
                        known.close()
                    for handle in children:
                        os.close(handle)
                    _become(json.loads(message), ends, added)
                for end in ends:
                    os.close(end)
                children[os.pidfd_open(pid)] = (pid, asked)
                _answer(asked, pid)


def _answer(asked: socket, number: int) -> None:
    try:
        asked.send(str(number).encode())
    except OSError:  # the client is gone
        return


def _import_all() -> None:
    """Import everything that commands import, including modules that are imported at first use."""
    import gc

    import torch

    from resnet_space import cli, complexity, preset  # noqa: F401

    complexity(preset("resnet20"))
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1)
    gc.collect()
    gc.freeze()


def _become(request: dict[str, Any], ends: Sequence[int], added: dict[str, str]) -> None:
    """Do what Python does with these arguments, and exit."""
    for number, end in enumerate([os.open(os.devnull, os.O_RDONLY), *ends]):
        os.dup2(end, number)
        os.close(end)
    # Made as Python makes them: the server's streams remember whether its own files were seekable.
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(added | request["env"])
    how, what, *rest = request["arguments"]
    status = 1
    try:
        if how == "-m":
            import runpy

            sys.argv, sys.path[0] = [what, *rest], request["cwd"]
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            from types import ModuleType

            sys.argv, sys.path[0] = ["-c", *rest], ""
            sys.modules["__main__"] = ModuleType("__main__")
            exec(compile(what, "<string>", "exec"), vars(sys.modules["__main__"]))
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        import atexit

        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


if __name__ == "__main__":
    # Modules imported here are already imported for all forked processes.
    serve(sys.argv[1])
