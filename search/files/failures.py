"""Tracebacks of failed trials, next to their checkpoints, so that they can be read without the database."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from search.files.bucket import Bucket, Place, Unreachable, write_file

TRACEBACK_FILE = "traceback.txt"
SILENT_FILE = "silent.txt"
"""The stack of a job's process that was killed after a timeout, in the folder of the job's first trial."""


def write_traceback(folder: Place, text: str) -> None:
    """Write a trial's traceback to its folder. An error is ignored, since the store has the traceback too."""
    with suppress(OSError):
        write_file(folder / TRACEBACK_FILE, text.encode(errors="backslashreplace"))


def first_traceback(failed: Iterable[str], checkpoints: Place) -> Place | None:
    """Return the first traceback file of these failed trials, given by key in the order of failure.

    None if there is no such file, or a bucket does not answer: there are no retries, since the store has them too.
    """
    with suppress(Unreachable):
        for key in failed:
            # A key in a folder from somebody else can be a path.
            for name in (TRACEBACK_FILE, SILENT_FILE) if key.isalnum() else ():
                path = checkpoints / key / name
                if path.is_file(retry_seconds=0) if isinstance(path, Bucket) else path.is_file():
                    return path
    return None
