"""Trials that kill their process, as a fault of a library does: by a signal, from within."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

AT_EPOCH = 2
"""There is one checkpoint then that was reported, and one that was not."""

MEASURING = "gain"
"""In place of a trial's key: the measurement whether trials are faster together."""


def doom(folder: Path, name: str, times: int = 1) -> None:
    """Let a trial, by its key, kill as many of its processes."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(str(times))


def strike(folder: Path, name: str) -> None:
    """Kill this process, if that is still to be done in this name."""
    file = folder / name
    times = int(file.read_text()) if file.exists() else 0
    if times:
        file.write_text(str(times - 1))
        os.kill(os.getpid(), signal.SIGSEGV)


@contextmanager
def deadly(folder: Path) -> Iterator[None]:
    """Meanwhile, trials in this process do as `doom` says."""
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
