"""What failed trials leave beside their checkpoints: where they failed, to be read without a database."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sql

from search import database
from search.bucket import Place, keep
from search.store import Store
from search.tables import trials

NAME = "traceback.txt"
SILENT = "silent.txt"
"""Where the process of a job hung that was ended for its silence, in the folder of its first trial."""


def silence(folder: Place) -> Path:
    """Where a process writes what it hung in: beside its trial's checkpoints, or else on its own disk."""
    if isinstance(folder, Path):
        return folder / SILENT
    return Path(tempfile.gettempdir()) / f"resnet-space-{folder.name}-{SILENT}"


def leave(folder: Place, text: str) -> None:
    """Write a trial's traceback into its folder, if that can be written: the store has it too."""
    with suppress(OSError):
        keep(folder / NAME, text.encode())


def first(store: Store, checkpoints: Place) -> Place | None:
    """The traceback of the trial that failed first, among those that left one."""
    query = (
        sql.select(trials.c.key)
        .where((trials.c.status == "failed") & ~trials.c.aside)
        .order_by(trials.c.finished, trials.c.key)
    )
    with database.reading(store.engine) as connection:
        key: str
        for key in connection.execute(query).scalars():
            # A key that somebody sent might be a path.
            for name in (NAME, SILENT) if key.isalnum() else ():
                path = checkpoints / key / name
                if path.is_file():
                    return path
    return None
