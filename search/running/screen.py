"""Writes for people, done aside: who trains never waits for a terminal, and never ends of one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Thread
from typing import IO

from rich.console import Console

MOST = 10_000
"""Writes that wait; of a pipe that nobody reads, more are dropped."""

PATIENCE = 3.0
"""Seconds that are waited for the last of them."""

OFTEN = 5.0
"""Seconds between two looks at the clock."""


class Screen:
    """A thread that does what it is given, in order. As a context: before and after, things are done at once.

    `idle` is called now and then. What raises, such as a pipe that was closed, is the end of all showing.
    """

    def __init__(self, idle: Callable[[], None]) -> None:
        self.idle = idle
        self.broken = False
        self._todo: Queue[Callable[[], None] | None] = Queue(MOST)
        self._thread: Thread | None = None

    def __enter__(self) -> Screen:
        self._thread = Thread(target=self._work, daemon=True, name="screen")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread:
            with suppress(Full):
                self._todo.put_nowait(None)
            self._thread.join(PATIENCE)
            self._thread = None

    def do(self, action: Callable[[], None]) -> None:
        """Have it done soon, or not at all."""
        if self._thread is None:
            self._try(action)
            return
        with suppress(Full):
            self._todo.put_nowait(action)

    def _work(self) -> None:
        while True:
            try:
                action = self._todo.get(timeout=OFTEN)
            except Empty:
                action = self.idle
            if action is None:
                return
            self._try(action)

    def _try(self, action: Callable[[], None]) -> None:
        if not self.broken:
            try:
                action()
            except Exception:
                self.broken = True


class Stderr(Console):
    """The console of progress. One whose reader has gone is quiet; rich's own would end the process."""

    def __init__(self) -> None:
        super().__init__(file=_own(), stderr=True, highlight=False, markup=False)

    def on_broken_pipe(self) -> None:
        self.quiet = True


def _own() -> IO[str] | None:
    """stderr under a handle of our own: a write that hangs would hold the lock that Python needs to exit."""
    stream = sys.__stderr__
    if stream is None or sys.stderr is not stream:
        return None
    try:
        handle = os.dup(stream.fileno())
        return os.fdopen(handle, "w", encoding=stream.encoding, errors="backslashreplace", closefd=False)
    except (OSError, ValueError):
        return None
