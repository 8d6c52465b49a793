"""A clock for tests."""

from __future__ import annotations


class Clock:
    """A clock that advances only when a test sets `now`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
