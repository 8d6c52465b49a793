"""Run each command in a new process, forked from one that has already imported everything: this takes a tenth of the
time of a fresh process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

PRINTED = "printed.txt"
"""File in the commands' folder with the output of all commands."""

FORKS = """
import os, sys, torch, pandas, sqlalchemy, rich
import resnet_space.api.folders, resnet_space.api.kinds, reports.write
import search.running.inline, search.running.plan, search.training.work
import matplotlib.pyplot, safetensors.torch, scipy.stats, search.data
from contextlib import nullcontext as around
from resnet_space import cli, complexity, preset

complexity(preset("resnet20"))
torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1)  # what these two import late
FIRST

for line in sys.stdin:
    child = os.fork()
    if not child:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        for stream in (1, 2):
            os.dup2(os.open("printed.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        sys.argv = ["resnet-space", *line.split()]
        try:
            with around():
                cli.main()
            os._exit(0)
        except SystemExit as end:
            os._exit(int(end.code or 0))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Commands:
    """Runs commands in a folder.

    `first` is code for the process that they are forked from; it can define `around`, a context for each command.
    """

    def __init__(self, folder: Path, first: str = "") -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", FORKS.replace("FIRST", first)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        )

    def __call__(self, line: str, alive: float | None = None) -> int:
        """Run a command and return its exit status, or minus the signal that killed it.

        With `alive`, kill it after that number of seconds.
        """
        to, back = self._pipes()
        to.write(line + "\n")
        to.flush()
        child = int(back.readline())
        if alive is not None:
            time.sleep(alive)  # a random moment is what is tested
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return int(back.readline())

    def printed(self) -> str:
        """Return the output since the last call."""
        file = self.folder / PRINTED
        text = file.read_text() if file.exists() else ""
        file.write_text("")
        return text

    def close(self) -> None:
        for pipe in self._pipes():
            pipe.close()
        self.process.wait()

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self.process.stdin
        assert self.process.stdout
        return self.process.stdin, self.process.stdout
