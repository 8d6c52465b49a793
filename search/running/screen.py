"""Display output in its own thread: training never waits for a terminal, and never fails because of one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Thread
from typing import IO

from rich.console import Console

MAX_WAITING = 10_000
"""Pending writes. If nobody reads the pipe, further ones are dropped."""

CLOSE_SECONDS = 3.0
"""Time that `Screen` waits at its end for pending writes."""

IDLE_SECONDS = 5.0
"""Time without an action after which `idle` is called."""


class Screen:
    """A thread that runs display actions in order. Outside of its context, they run in the caller's thread.

    `idle` is called when there was no action for `IDLE_SECONDS`. An action that raises, for example because the pipe
    was closed, ends all display.
    """

    def __init__(self, idle: Callable[[], None]) -> None:
        self.idle = idle
        self.broken = False
        self._todo: Queue[Callable[[], None] | None] = Queue(MAX_WAITING)
        self._thread: Thread | None = None

    def __enter__(self) -> Screen:
        self._thread = Thread(target=self._work, daemon=True, name="screen")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread:
            with suppress(Full):
                self._todo.put_nowait(None)
            self._thread.join(CLOSE_SECONDS)
            self._thread = None

    def do(self, action: Callable[[], None]) -> None:
        """Queue an action. It is dropped if the queue is full."""
        if self._thread is None:
            self._try(action)
            return
        with suppress(Full):
            self._todo.put_nowait(action)

    def _work(self) -> None:
        while True:
            try:
                action = self._todo.get(timeout=IDLE_SECONDS)
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
    """The console for progress. If its reader is gone it becomes quiet; rich's console would end the process."""

    def __init__(self) -> None:
        super().__init__(file=_own_handle(), stderr=True, highlight=False, markup=False)

    def on_broken_pipe(self) -> None:
        self.quiet = True


def _own_handle() -> IO[str] | None:
    """Return stderr under another handle: a write that hangs on Python's own holds the lock that it needs to exit."""
    stream = sys.__stderr__
    if stream is None or sys.stderr is not stream:
        return None
    try:
        handle = os.dup(stream.fileno())
        return os.fdopen(handle, "w", encoding=stream.encoding, errors="backslashreplace", closefd=False)
    except (OSError, ValueError):
        return None
