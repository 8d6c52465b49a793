"""Run the command line as a separate process on a study that takes seconds: for signals, kills and clusters."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import forks

from resnet_space import documents
from search.store.store import Store

Seen = TypeVar("Seen")

MARK = "RESNET_SPACE_TEST"
"""An environment variable that identifies the processes of a test, including Ray's workers."""

STUDY: dict[str, Any] = {
    "name": "brief",
    "net": "resnet20",
    "set": {"width": 0.25, "stages.*.units": 1},
    "arms": {"plain": {}, "gated": {"set": {"unit.shortcut": "exclusive_gate"}}},
    "baseline": "plain",
    "seeds": 2,
    "data": {"name": "digits", "limit": 200},
    "recipe": {"base": "digits", "epochs": 24, "batch_size": 32},
}
"""Four trials of about a second: much longer than the interval at which tests check them, and with too few steps to be
trained together by default."""


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "brief.yaml"
    path.write_text(documents.write(STUDY | changes))
    return path


class Run:
    """A running `resnet-space run STUDY --out OUT ...`; use it as a context, which kills it.

    With an `environment`, or if `fresh`, it is a new Python process. Otherwise it is forked from a server, and runs the
    code `first` before the command.
    """

    def __init__(
        self,
        study: Path,
        out: Path,
        *options: str,
        environment: dict[str, str] | None = None,
        fresh: bool = False,
        first: str = "",
    ) -> None:
        self.out, self.mark = out, uuid.uuid4().hex
        self.errors = study.with_name(f"{self.mark}.err")
        arguments = ["run", str(study), "--out", str(out), *options]
        env = {**os.environ, **(environment or {}), MARK: self.mark}
        self.process: forks.Child | subprocess.Popen[str]
        with self.errors.open("w") as stream:
            if environment is None and not fresh:
                begin = ["-c", f"{first}\nfrom resnet_space.__main__ import process\nprocess()"]
                self.process = forks.Child([*begin, *arguments], stderr=stream, env=env)
                return
            self.process = subprocess.Popen(
                [sys.executable, "-m", "resnet_space", *arguments],
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env=env,
                # Its own process group, like a command in a terminal.
                start_new_session=True,
            )

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    @property
    def stderr(self) -> str:
        return self.errors.read_text()

    def end(self) -> int:
        """Wait until it ends and return its exit status; its output is in `stdout` and `stderr`."""
        self.stdout, _ = self.process.communicate(timeout=240)
        return self.process.wait()

    def until(self, true: Callable[[], Seen]) -> Seen:
        """Wait until a condition is true while the run continues, and return the condition's value."""
        end = time.monotonic() + 200
        while not (seen := true()):
            assert self.process.poll() is None, f"the run ended first:\n{self.stderr}"
            assert time.monotonic() < end, f"never true:\n{self.stderr}"
            time.sleep(0.05)
        return seen

    def running(self) -> int:
        """Return the number of running trials."""
        return _count(self.out, "SELECT count(*) FROM trials WHERE status = 'running'")

    def epochs(self) -> int:
        """Return the number of stored epochs, of this session and earlier ones."""
        return epochs(self.out)


def epochs(out: Path) -> int:
    """Return the number of stored epochs of a running run."""
    return _count(out, "SELECT count(*) FROM epochs")


def _count(out: Path, query: str) -> int:
    """Return a count with a plain query: it is called often next to a busy run, and opening a store is slow."""
    try:
        with closing(sqlite3.connect(f"file:{out}/trials.db?mode=ro", uri=True)) as connection:
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # does not exist yet, or is being created
        return 0


def stored(out: Path) -> tuple[Any, Any, dict[str, int]]:
    """Return the trials, their epochs, and the number of trials per status."""
    store = Store.at(out, new=False)
    try:
        return store.frame(), store.curves(), store.counts()
    finally:
        store.close()


def numbers(out: Path) -> list[dict[str, Any]]:
    """Return all results of a run, per trial and per epoch, without times."""
    trials, curves, _ = stored(out)
    columns = ["key", "epoch", "step", "lr", "loss", "train_error", "validation_error"]
    ends = trials[["key", "status", "reason", "test_error", "validation_error"]].sort_values("key")
    return [*ends.to_dict("records"), *curves[columns].to_dict("records")]


def alive(mark: str) -> list[str]:
    """Return the command lines of processes that a run has left running."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80])
        except OSError:
            continue
    # A zombie process has no command line.
    return [command for command in found if command]
