"""Processes that a signal kills as they train: what is left of such a death, how often it came, what is said of it.

A fault of a library, such as a kernel that writes past its memory, ends the process by SIGSEGV or SIGABRT. There is no
exception then, and nothing can be reported any more; but Python's `faulthandler` still writes a traceback into a file
that was opened before. The next process finds it there, and so does a driver that lost a worker. SIGKILL, of the
kernel's out-of-memory killer for one, leaves nothing.
"""

from __future__ import annotations

import faulthandler
import hashlib
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from resnet_space import killed
from resnet_space.killed import LIBRARY, SIGNALS
from search.files import failures
from search.files.bucket import Place
from search.trials.events import Finished

NAME = "fatal.txt"
"""Of a trial, in its folder."""
TOGETHER = "fatal-together.txt"
"""Of trials that train as one network, in the folder that has the name of their job."""
NAMES = (NAME, TOGETHER)

TRIES = 2
"""A trial that has killed its process so often is not tried again."""

BEGAN = re.compile(r"^process \d+ on .*\n", re.MULTILINE)
DIED = re.compile(r"^Fatal Python error: (.+)$", re.MULTILINE)
STACK = re.compile(r"^(Current thread|Thread) .*\(most recent call first\):\n(?:  File \"(.+)\", line)?", re.MULTILINE)
PACKAGE = re.compile(r"[\\/](?:site|dist)-packages[\\/](\w+)")

MOST_BYTES = 2**20
"""Of a file that are read: somebody else may have written it."""


class Record:
    """The deaths that a trial, or a group of them, has brought upon its processes."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @classmethod
    def of(cls, checkpoints: Place | None, key: str, name: str = NAME) -> Record:
        """Beside the checkpoints; on this machine where those are in a bucket, which no dying process can write to."""
        # A key that somebody sent might be a path.
        if checkpoints is None or not key.isalnum():
            return cls(None)
        if isinstance(checkpoints, Path):
            return cls(checkpoints / key / name)
        from search.data.places import cache_folder

        where = hashlib.sha256(str(checkpoints).encode()).hexdigest()[:16]
        return cls(cache_folder() / "fatal" / where / key / name)

    @property
    def text(self) -> str:
        """All of it; nothing where there is none."""
        try:
            file = self._open(os.O_RDONLY)
        except OSError:
            return ""
        try:
            return os.read(file, MOST_BYTES).decode(errors="replace")
        except OSError:
            return ""
        finally:
            os.close(file)

    @property
    def deaths(self) -> list[str]:
        """What each was, in a line, the first one first."""
        return [why for each in _processes(self.text) if (why := reason(each))]

    @property
    def last(self) -> str | None:
        """What killed the process that was here last; None if that was no signal, or it lives."""
        return next((reason(each) for each in reversed(_processes(self.text))), None)

    def end(self, key: str, checkpoints: Place | None) -> Finished:
        """The end of a trial that is not tried again. Its traceback is beside its checkpoints, as that of an error; and
        whoever has it tried again, with `--retry-failed`, begins to count anew."""
        text = self.text
        if checkpoints:
            failures.write_traceback(checkpoints / key, text)
        why = self.deaths[-1]
        self.forget()
        return Finished(key, "failed", why, traceback=text)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Meanwhile, a signal that kills this process is written here. Of a process that lives on nothing stays."""
        try:
            file = self._begin()
        except OSError:
            # A full disk, for one. A death then leaves nothing, as SIGKILL does.
            yield
            return
        before = faulthandler.is_enabled()
        faulthandler.enable(file=file)
        killed.look_in(self.path)
        try:
            yield
        finally:
            faulthandler.disable()
            killed.look_in(None)
            if before:
                # Which file it was cannot be asked for.
                faulthandler.enable(file=killed.stream)
            os.close(file)
            if not self.deaths:
                self.forget()

    def forget(self) -> None:
        """Remove it, and its folder if there is nothing else in it."""
        if self.path:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
                self.path.parent.rmdir()

    def _begin(self) -> int:
        """The file, opened for what this process may die of."""
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self._open(os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            os.write(file, f"process {os.getpid()} on {platform.node()}, {now}\n".encode())
        except OSError:
            os.close(file)
            raise
        return file

    def _open(self, flags: int) -> int:
        if self.path is None:
            raise FileNotFoundError
        # A link, planted in a folder that somebody sent, would be written through.
        return os.open(self.path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o644)


def reason(text: str) -> str | None:
    """Why the process ended that wrote this, in a line that is the same for all that ended so; None if it did not."""
    died = DIED.search(text)
    if died is None:
        return None
    name, helps = SIGNALS.get(died[1].strip(), ("a signal", LIBRARY))
    where = _library(text)
    return f"killed by {name}{f' in {where}' if where else ''}, {helps}"


def _library(text: str) -> str | None:
    """The package of the function that was called last, by the thread that died or, where that was not one of Python's,
    by any; None if it is in none, or not known."""
    stacks = [(kind == "Current thread", PACKAGE.search(file)) for kind, file in STACK.findall(text)]
    current = [found for is_current, found in stacks if is_current]
    return next((found[1] for found in current or [found for _, found in stacks] if found), None)


def _processes(text: str) -> list[str]:
    """What each process left, without those that are still there or left nothing."""
    return BEGAN.split(text)[1:]
