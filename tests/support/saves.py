"""Helpers for tests of checkpoints: kills, checkpoints every second epoch, and measured results."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from search.data import Images, Split
from search.training.execution import Execution
from search.training.saving import CheckpointWriter
from search.trials.events import Epoch, Event, Finished

NEVER = 1e6
"""Seconds that no test reaches."""
AT_THE_END = Execution(checkpoint_seconds=NEVER)
"""Checkpoints are written only when a trial finishes or is stopped."""
AN_EPOCH = 3
"""Steps per epoch."""


class Killed(BaseException):
    """An exception that none of our code catches."""


def cut(images: Images) -> Images:
    """Return fewer images: three batches of 32 per epoch, and 50 images for each other split."""
    sizes = {"train": 32 * AN_EPOCH, "validation": 50, "test": 50}
    parts = {name: (getattr(images, name).x[:size], getattr(images, name).y[:size]) for name, size in sizes.items()}
    return replace(images, **{name: Split(*part) for name, part in parts.items()})


def numbers(events: Sequence[Event], key: str | None = None) -> list[Any]:
    """Return all measured results without times, each once."""
    clocks = ("seconds", "images_per_second", "latency_ms")
    found = {
        (event.key, getattr(event, "epoch", None)): {
            name: value for name, value in vars(event).items() if name not in clocks
        }
        for event in events
        if isinstance(event, Epoch | Finished) and key in (None, event.key)
    }
    return list(found.values())


def every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make checkpoints due after every second epoch of a group."""
    asked = count(1)
    monkeypatch.setattr(CheckpointWriter, "due", property(lambda _: next(asked) % 2 == 0))


def writers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("checkpoints")]
