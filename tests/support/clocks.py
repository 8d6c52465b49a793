"""A clock for tests."""

from __future__ import annotations


class Clock:
    """Runs when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
