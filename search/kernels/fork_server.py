"""Check kernels in separate processes, because a faulty kernel can kill its process.

A fork server is a process that has imported torch and computes nothing itself. For each request it forks a child that
checks the kernels. If one kills the child or is wrong, every kernel is checked again in a child of its own: a kernel
can overwrite memory of another one. `python -m search.kernels.fork_server` is a server: it reads requests, one line of
JSON each, and prints one line of JSON per kernel.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.kernels.layers import Conditions, Kernel

KERNEL_SECONDS = 60
"""Timeout for the check of a kernel. One that takes longer counts as hanging."""

IDLE_SECONDS = 300
"""A server ends after this time without a request."""

COMMAND = (sys.executable, "-P", "-m", "search.kernels.fork_server")


@dataclass(frozen=True)
class Verdict:
    """The result of checking one kernel. Its fields are stored as JSON."""

    kernel: str
    error: float | None = None
    """The largest relative error; None if there is no result."""
    place: str = ""
    """Which result has that error, for example "gradient of weight"."""
    died: str = ""
    """The signal that killed the process, such as SIGSEGV; SIGALRM if it took too long."""
    problem: str = ""
    """Why the kernel could not be checked, such as a lack of memory."""

    def sound(self, tolerance: float) -> bool:
        """Return whether no fault was found."""
        return bool(self.problem) or (not self.died and self.error is not None and self.error <= tolerance)


class ForkServer:
    """The client of a fork server. It starts the process at the first request, and again if it has ended."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self.command = command
        self.process: subprocess.Popen[str] | None = None

    def ask(self, request: dict[str, Any]) -> list[Verdict]:
        """Return a verdict for each kernel of the request, fewer if the server ends before it has answered.

        A server is killed if this is interrupted: unread answers would be taken for those of the next request.
        """
        found: list[Verdict] = []
        over = False
        try:
            with suppress(OSError):
                process = self._started()
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                for line in process.stdout:
                    answer = json.loads(line)
                    if answer == "over":
                        over = True
                        break
                    found.append(Verdict(**answer))
        finally:
            if not over:
                self.close()
        return found

    def close(self) -> None:
        """Kill the process, if there is one."""
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _started(self) -> subprocess.Popen[str]:
        if self.process and self.process.poll() is not None:
            self.close()
        if self.process is None:
            root = str(Path(__file__).parents[2])
            paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                # One thread: a process with more cannot be forked safely. Passive: a child's idle threads do not spin.
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "OMP_WAIT_POLICY": "passive",
                    "PYTHONPATH": os.pathsep.join(paths),
                },
                start_new_session=True,
            )
        return self.process


def serve() -> None:
    """Run a fork server until standard input ends, or there is no request for `IDLE_SECONDS`."""
    import torch

    torch.set_num_threads(1)
    # Garbage collections of children skip the shared objects: to visit them copies their memory pages.
    gc.freeze()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        signal.alarm(IDLE_SECONDS)
        line = sys.stdin.readline()
        signal.alarm(0)
        if not line:
            return
        _answer(json.loads(line))
        _print("over")


def _answer(request: dict[str, Any]) -> None:
    from resnet_space import Architecture
    from search.kernels.layers import Conditions, kernels

    conditions = Conditions(**request["conditions"])
    known = {kernel.name: kernel for kernel in kernels(*map(Architecture.of, request["nets"]))}
    wanted = [known[name] for name in request["kernels"]]
    found = _check_in_child(wanted, conditions, request["route"])
    if len(found) < len(wanted) or not all(verdict.sound(conditions.tolerance) for verdict in found):
        # One kernel can have overwritten memory of another: checks in separate children show which one is faulty.
        suspects = {verdict.kernel: verdict for verdict in found}
        alone = [_check_in_child([kernel], conditions, request["route"])[0] for kernel in wanted]
        if all(verdict.sound(conditions.tolerance) for verdict in alone):
            alone = [suspects.get(verdict.kernel, verdict) for verdict in alone]
        found = alone
    for verdict in found:
        _print(asdict(verdict))


def _check_in_child(some: Sequence[Kernel], conditions: Conditions, route: str) -> list[Verdict]:
    """Return the verdicts of one child on these kernels, in order, up to the first that kills it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w", encoding="utf-8") as answers:
            for kernel in some:
                answers.write(json.dumps(asdict(_check(kernel, conditions, route))) + "\n")
                answers.flush()
        # No clean-up: the exit handlers are the parent's.
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answers:
        found = [Verdict(**json.loads(line)) for line in answers]
    _, status = os.waitpid(child, 0)
    if len(found) < len(some):
        died = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ""
        problem = "" if died else f"its process ended with status {os.waitstatus_to_exitcode(status)}"
        found.append(Verdict(some[len(found)].name, died=died, problem=problem))
    return found


def _check(kernel: Kernel, conditions: Conditions, route: str) -> Verdict:
    import torch

    from search.kernels.layers import relative_error

    signal.alarm(KERNEL_SECONDS)
    torch.set_num_threads(conditions.threads)
    if conditions.device != "cpu":
        from search.kernels.gpu import choose_kernels

        # The same settings as in a job's process.
        choose_kernels()
    try:
        off, place = relative_error(kernel, conditions, route)
    except Exception as reason:
        return Verdict(kernel.name, problem=f"{type(reason).__name__}: {next(iter(str(reason).splitlines()), '')}")
    finally:
        # Corrupted memory is noticed when it is freed.
        gc.collect()
        signal.alarm(0)
    return Verdict(kernel.name, error=off, place=place)


def _print(answer: object) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
