"""Kernels checked in processes of their own, which may die of them.

A fork server is a process that has imported torch and computes nothing. It forks a child that checks kernels; if one
kills the child or is wrong, each is checked in a child of its own, since what it overwrites may be another's memory.
`python -m search.kernels.fork_server` is one: it reads a request, a line of JSON, and prints a line of JSON for each
kernel.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.kernels.layers import Conditions, Kernel

SECONDS = 60
"""That a kernel may take. One that takes longer hangs."""

IDLE_SECONDS = 300
"""Without a request, after which a server ends."""

COMMAND = (sys.executable, "-P", "-m", "search.kernels.fork_server")


@dataclass(frozen=True)
class Verdict:
    """What a check of a kernel found."""

    kernel: str
    error: float | None = None
    """The largest relative error; None where there is no result."""
    place: str = ""
    """Of what."""
    died: str = ""
    """The signal that ended the process, such as SIGSEGV; SIGALRM where it took too long."""
    problem: str = ""
    """Why there is no verdict, such as a lack of memory."""

    def sound(self, tolerance: float) -> bool:
        """Whether nothing speaks against the kernel."""
        return bool(self.problem) or (not self.died and self.error is not None and self.error <= tolerance)


class ForkServer:
    """The parent's side. The process is started when it is first asked, and again when it has ended."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self.command = command
        self.process: subprocess.Popen[str] | None = None

    def ask(self, request: dict[str, Any]) -> Iterator[Verdict]:
        """A verdict for each kernel that is named; none of the rest if the server ends before it has answered."""
        with suppress(OSError):
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                answer = json.loads(line)
                if answer == "over":
                    return
                yield Verdict(**answer)

    def close(self) -> None:
        """End the process, if there is one."""
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _started(self) -> subprocess.Popen[str]:
        if self.process and self.process.poll() is not None:
            self.close()
        if self.process is None:
            root = str(Path(__file__).parents[1])
            paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                # One thread: a process that has started others cannot be forked. Idle ones of a child do not spin.
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
    """Be a fork server until standard input ends, or nothing is asked for long."""
    import torch

    torch.set_num_threads(1)
    # Children look for garbage among their own objects alone: to look at shared ones is to copy their pages.
    gc.freeze()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        signal.alarm(IDLE_SECONDS)
        line = sys.stdin.readline()
        signal.alarm(0)
        if not line:
            return
        _answer(json.loads(line))
        _say("over")


def _answer(request: dict[str, Any]) -> None:
    from resnet_space import Architecture
    from search.kernels.layers import Conditions, kernels

    conditions = Conditions(**request["conditions"])
    known = {kernel.name: kernel for kernel in kernels(Architecture.of(request["net"]), request["networks"])}
    wanted = [known[name] for name in request["kernels"]]
    found = _in_a_child(wanted, conditions, request["route"])
    if len(found) < len(wanted) or not all(verdict.sound(conditions.tolerance) for verdict in found):
        # One that overwrites memory may have harmed another: each in a child of its own shows which it is.
        suspects = {verdict.kernel: verdict for verdict in found}
        alone = [_in_a_child([kernel], conditions, request["route"])[0] for kernel in wanted]
        if all(verdict.sound(conditions.tolerance) for verdict in alone):
            alone = [suspects.get(verdict.kernel, verdict) for verdict in alone]
        found = alone
    for verdict in found:
        _say(asdict(verdict))


def _in_a_child(some: Sequence[Kernel], conditions: Conditions, route: str) -> list[Verdict]:
    """Verdicts on kernels that one child checks, in order, up to the first that ends it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w", encoding="utf-8") as answers:
            for kernel in some:
                answers.write(json.dumps(asdict(_checked(kernel, conditions, route))) + "\n")
                answers.flush()
        # No clean-up: it would be the parent's.
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


def _checked(kernel: Kernel, conditions: Conditions, route: str) -> Verdict:
    import torch

    from search.kernels.layers import error

    signal.alarm(SECONDS)
    torch.set_num_threads(conditions.threads)
    if conditions.device != "cpu":
        from search.kernels.gpu import choose_kernels

        # As in a job's process.
        choose_kernels()
    try:
        off, place = error(kernel, conditions, route)
    except Exception as reason:
        return Verdict(kernel.name, problem=f"{type(reason).__name__}: {next(iter(str(reason).splitlines()), '')}")
    finally:
        # Overwritten memory is noticed where it is given back.
        gc.collect()
        signal.alarm(0)
    return Verdict(kernel.name, error=off, place=place)


def _say(answer: object) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
