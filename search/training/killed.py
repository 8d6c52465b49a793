"""Training processes that a signal kills: record each death, count them, and describe them.

A fault of a library, such as a kernel that writes past its memory, kills the process by SIGSEGV or SIGABRT. There is no
exception, and the process can report nothing. But Python's `faulthandler` still writes a traceback into a file that was
opened before. The next process finds it there, and so does a driver that lost a worker. SIGKILL, for example from the
kernel's out-of-memory killer, leaves nothing.
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

from resnet_space import fatal_signals
from resnet_space.fatal_signals import LIBRARY, SIGNALS
from search.files import failures
from search.files.bucket import Place
from search.trials.events import Finished

TRIAL_FILE = "fatal.txt"
"""The record of a trial, in its folder."""
GROUP_FILE = "fatal-together.txt"
"""The record of trials that train as one network, in a folder with the name of their job."""
FILES = (TRIAL_FILE, GROUP_FILE)

MAX_DEATHS = 2
"""A trial that has killed this number of processes is not tried again."""

BEGAN = re.compile(r"^process \d+ on .*\n", re.MULTILINE)
DIED = re.compile(r"^Fatal Python error: (.+)$", re.MULTILINE)
STACK = re.compile(r"^(Current thread|Thread) .*\(most recent call first\):\n(?:  File \"(.+)\", line)?", re.MULTILINE)
PACKAGE = re.compile(r"[\\/](?:site|dist)-packages[\\/](\w+)")

MAX_BYTES = 2**20
"""The limit for reading a record: somebody else can have written the file."""


class DeathRecord:
    """The record of processes that a trial, or a group of trials, has killed."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @classmethod
    def of(cls, checkpoints: Place | None, key: str, name: str = TRIAL_FILE) -> DeathRecord:
        """Return the record next to the checkpoints. If those are in a bucket, it is in this machine's cache, because a
        dying process cannot write to a bucket."""
        # A key from outside can be a path.
        if checkpoints is None or not key.isalnum():
            return cls(None)
        if isinstance(checkpoints, Path):
            return cls(checkpoints / key / name)
        from search.data.places import cache_folder

        where = hashlib.sha256(str(checkpoints).encode()).hexdigest()[:16]
        return cls(cache_folder() / "fatal" / where / key / name)

    @property
    def text(self) -> str:
        """The contents of the file; "" without one."""
        try:
            file = self._open(os.O_RDONLY)
        except OSError:
            return ""
        try:
            return os.read(file, MAX_BYTES).decode(errors="replace")
        except OSError:
            return ""
        finally:
            os.close(file)

    @property
    def deaths(self) -> list[str]:
        """One line per death, in order."""
        return [why for each in _processes(self.text) if (why := reason(each))]

    @property
    def last(self) -> str | None:
        """What killed the last process; None if no signal did, or it is alive."""
        return next((reason(each) for each in reversed(_processes(self.text))), None)

    def give_up(self, key: str, checkpoints: Place | None) -> Finished:
        """Return the end of a trial that is not tried again, and remove the record.

        The traceback is left next to the checkpoints, as for an exception. If the trial is run again with
        `--retry-failed`, its deaths are counted from zero.
        """
        text = self.text
        if checkpoints:
            failures.write_traceback(checkpoints / key, text)
        why = self.deaths[-1]
        self.forget()
        return Finished(key, "failed", why, traceback=text)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record a signal that kills this process within the context. Without one, nothing is left."""
        try:
            file = self._begin()
        except OSError:
            # For example a full disk. A death then leaves no record, as with SIGKILL.
            yield
            return
        before = faulthandler.is_enabled()
        faulthandler.enable(file=file)
        fatal_signals.set_traceback_file(self.path)
        try:
            yield
        finally:
            faulthandler.disable()
            fatal_signals.set_traceback_file(None)
            if before:
                # faulthandler does not say which file it used before.
                faulthandler.enable(file=fatal_signals.stream)
            os.close(file)
            if not self.deaths:
                self.forget()

    def forget(self) -> None:
        """Remove the file, and its folder if that is empty."""
        if self.path:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
                self.path.parent.rmdir()

    def _begin(self) -> int:
        """Open the file for this process, and return its descriptor."""
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
        # A link in a folder that somebody sent must not redirect the write.
        return os.open(self.path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o644)


def reason(text: str) -> str | None:
    """Return in one line which signal killed the process that wrote this text, or None if none did.

    The line has no process numbers or times, so equal deaths have equal lines.
    """
    died = DIED.search(text)
    if died is None:
        return None
    name, helps = SIGNALS.get(died[1].strip(), ("a signal", LIBRARY))
    where = _library(text)
    return f"killed by {name}{f' in {where}' if where else ''}, {helps}"


def _library(text: str) -> str | None:
    """Return the installed package whose function the dying thread called last, or None.

    If the dying thread was not one of Python's, the stacks of all threads are searched.
    """
    stacks = [(kind == "Current thread", PACKAGE.search(file)) for kind, file in STACK.findall(text)]
    current = [found for is_current, found in stacks if is_current]
    return next((found[1] for found in current or [found for _, found in stacks] if found), None)


def _processes(text: str) -> list[str]:
    """Return the text of each process in a record."""
    return BEGAN.split(text)[1:]
