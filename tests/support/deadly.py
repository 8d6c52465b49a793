"""Trials that kill their own process with a signal, as a fault in a library does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

AT_EPOCH = 2
"""At this epoch there is one checkpoint that was reported and one that was not."""

MEASURING = "gain"
"""Used instead of a trial's key for the measurement whether trials are faster together."""


def doom(folder: Path, name: str, times: int = 1) -> None:
    """Make the trial with this key kill its process this number of times."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(str(times))


def strike(folder: Path, name: str) -> None:
    """Kill this process if kills are left for this name."""
    file = folder / name
    times = int(file.read_text()) if file.exists() else 0
    if times:
        file.write_text(str(times - 1))
        os.kill(os.getpid(), signal.SIGSEGV)


@contextmanager
def deadly(folder: Path) -> Iterator[None]:
    """Make trials in this process kill it as set by `doom`, inside this context."""
    from search.training import work

    def dying(train: Any) -> Any:
        def trained(*given: Any, **named: Any) -> Iterator[Any]:
            for event in train(*given, **named):
                if getattr(event, "epoch", 0) >= AT_EPOCH:
                    strike(folder, event.key)
                yield event

        return trained

    def measured(*given: Any, **named: Any) -> float:
        strike(folder, MEASURING)
        return 2.0

    with (
        patch.object(work, "train", dying(work.train)),
        patch.object(work, "train_together", dying(work.train_together)),
        patch.object(work, "speedup", measured),
    ):
        yield
