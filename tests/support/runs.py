"""The command line as a process of its own, on a study that takes seconds: for signals, kills and clusters."""

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
"""An environment variable that tells the processes of a test from others, workers of Ray too."""

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
"""Four trials of about a second: long beside the moments in which a test looks whether they are under way, and with too
few steps to train together by themselves."""


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "brief.yaml"
    path.write_text(documents.write(STUDY | changes))
    return path


class Run:
    """`resnet-space run STUDY --out OUT ...`, going on; use it as a context, which kills it.

    With an `environment`, and where it is `fresh`, a process that begins with nothing imported. `first` is code for the
    others, before the command.
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
                # A process group of its own, as a terminal gives one to a command.
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
        """Its status; what it printed is in `stdout` and `stderr`."""
        self.stdout, _ = self.process.communicate(timeout=240)
        return self.process.wait()

    def until(self, true: Callable[[], Seen]) -> Seen:
        """Wait for something to be so while it goes on, and say what was seen."""
        end = time.monotonic() + 200
        while not (seen := true()):
            assert self.process.poll() is None, f"it ended before that:\n{self.stderr}"
            assert time.monotonic() < end, f"never so:\n{self.stderr}"
            time.sleep(0.05)
        return seen

    def running(self) -> int:
        """Trials that run."""
        return _count(self.out, "SELECT count(*) FROM trials WHERE status = 'running'")

    def epochs(self) -> int:
        """Epochs that are stored, of this session and those before."""
        return epochs(self.out)


def epochs(out: Path) -> int:
    """Epochs that are stored of a run that goes on."""
    return _count(out, "SELECT count(*) FROM epochs")


def _count(out: Path, query: str) -> int:
    """Asked often, beside a run that needs the processor: without all that reading a store takes."""
    try:
        with closing(sqlite3.connect(f"file:{out}/trials.db?mode=ro", uri=True)) as connection:
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # not there yet, or in the midst of being made
        return 0


def stored(out: Path) -> tuple[Any, Any, dict[str, int]]:
    """Trials, their epochs, and how many are in which state."""
    store = Store.at(out, new=False)
    try:
        return store.frame(), store.curves(), store.counts()
    finally:
        store.close()


def numbers(out: Path) -> list[dict[str, Any]]:
    """All that a run found, without clocks: of every trial, and of every epoch."""
    trials, curves, _ = stored(out)
    columns = ["key", "epoch", "step", "lr", "loss", "train_error", "validation_error"]
    ends = trials[["key", "status", "reason", "test_error", "validation_error"]].sort_values("key")
    return [*ends.to_dict("records"), *curves[columns].to_dict("records")]


def alive(mark: str) -> list[str]:
    """Processes that a run has left behind."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80])
        except OSError:
            continue
    # A process that has ended and was not asked for its status has no command line.
    return [command for command in found if command]
