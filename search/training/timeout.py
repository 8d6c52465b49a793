"""End a worker's process if a trial reports nothing for too long. Fast to import."""

from __future__ import annotations

import faulthandler
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

from search.files import failures
from search.files.bucket import Place
from search.trials.events import Event
from search.trials.resources import Resources


def with_timeout(events: Iterator[Event], resources: Resources, folder: Place) -> Generator[Event]:
    """Yield the events, and end this process if the next one takes longer than `resources.silent` seconds.

    Before it ends, it writes where it hung into `folder`, or into a temporary folder if that is in a bucket. The timer
    is in C, so it works even if Python hangs.
    """
    if resources.silent is None:
        yield from events
        return
    place = folder if isinstance(folder, Path) else Path(tempfile.mkdtemp(prefix="resnet-space-silent-"))
    report = place / failures.SILENT_FILE
    place.mkdir(parents=True, exist_ok=True)
    with report.open("w") as file:
        while True:
            faulthandler.dump_traceback_later(resources.silent, exit=True, file=file)
            try:
                event = next(events, None)
            finally:
                faulthandler.cancel_dump_traceback_later()
            if event is None:
                break
            yield event
    report.unlink()
    if place != folder:
        place.rmdir()
