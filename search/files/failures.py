"""What failed trials leave beside their checkpoints: where they failed, to be read without a database."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from search.files.bucket import Bucket, Place, Unreachable, keep

NAME = "traceback.txt"
SILENT = "silent.txt"
"""Where the process of a job hung that was ended for its silence, in the folder of its first trial."""


def leave(folder: Place, text: str) -> None:
    """Write a trial's traceback into its folder, if that can be written: the store has it too."""
    with suppress(OSError):
        keep(folder / NAME, text.encode(errors="backslashreplace"))


def first(failed: Iterable[str], checkpoints: Place) -> Place | None:
    """The traceback of the trial that failed first, among those that left one; `failed` are keys, the first first.

    None of a bucket that does not answer, which is not waited for: the store has them too.
    """
    with suppress(Unreachable):
        for key in failed:
            # A key that somebody sent might be a path.
            for name in (NAME, SILENT) if key.isalnum() else ():
                path = checkpoints / key / name
                if path.is_file(patience=0) if isinstance(path, Bucket) else path.is_file():
                    return path
    return None
