"""The status of a run: trials by status, and reasons of failures. Fast to import, since programs read it often.

The queries are SQL for both SQLite and PostgreSQL. The store sends them through SQLAlchemy; `read_run_status` reads the
SQLite file of a run's folder directly, since importing SQLAlchemy takes longer than all the queries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from resnet_space.errors import plain
from search.files.folder import RunFolder
from search.trials.events import Status

SCHEMA = 4
"""The version of the store's tables; increase it when they change."""

COUNTS = "SELECT status, count(*) FROM trials WHERE NOT aside GROUP BY status"

REASONS = (
    "SELECT status, reason, count(*) AS number FROM trials WHERE reason <> '' AND NOT aside "
    "GROUP BY status, reason ORDER BY number DESC, status, reason"
)

FAILED = "SELECT key FROM trials WHERE status = 'failed' AND NOT aside ORDER BY finished, key"

RUNNING = "SELECT key, owner, job FROM trials WHERE status = 'running' AND NOT aside ORDER BY key"

DRIVERS = "SELECT name FROM drivers ORDER BY name"

Query = Callable[[str], Iterable[Any]]
"""Takes an SQL query, returns its rows."""


@dataclass(frozen=True)
class RunStatus:
    """Trials by status, failures and drivers of a run. Trials that are set aside do not count."""

    counts: dict[str, int]
    """Number of trials by status; every status is there, also with 0."""
    reasons: list[tuple[str, str, int]]
    """(status, reason, number of trials) of trials that did not complete, the most frequent first."""
    failed: list[str]
    """Keys of failed trials, in the order of failure."""
    running: list[tuple[str, str | None, str]]
    """(key, driver, job) of trials that have started and not finished."""
    drivers: list[str]
    """Names of registered drivers: alive, or killed before they could unregister."""
    shared: bool
    """Whether drivers of several folders can be registered."""

    @classmethod
    def of(cls, query: Query, *, shared: bool) -> RunStatus:
        """Run the queries. Raises `ValueError` if the database has an unknown status."""
        found = {status: int(number) for status, number in query(COUNTS)}
        statuses = get_args(Status)
        if strange := found.keys() - set(statuses):
            raise ValueError(f"unknown status {min(map(str, strange))!r}")
        return cls(
            counts={status: found.get(status, 0) for status in statuses},
            reasons=[(str(status), plain(str(reason)), int(number)) for status, reason, number in query(REASONS)],
            failed=[str(key) for (key,) in query(FAILED)],
            running=[(str(key), owner and str(owner), str(job or key)) for key, owner, job in query(RUNNING)],
            drivers=[str(name) for (name,) in query(DRIVERS)],
            shared=shared,
        )


def read_run_status(folder: RunFolder) -> RunStatus | None:
    """Return the status of a folder's run from its SQLite file; None if that file is missing or unusual in any way.

    The caller then opens the store, which reports what is wrong or reads another database.
    """
    file, sessions = folder.path / "trials.db", folder.read_manifest()["sessions"]
    if not sessions or sessions[-1].get("storage") or not file.is_file() or not file.stat().st_size:
        return None
    try:
        with open_read_only(file) as connection:
            tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('trials', 'about')"
            if connection.execute(tables).fetchone() != (2,):
                return None
            if connection.execute("SELECT schema FROM about").fetchall() != [(SCHEMA,)]:
                return None
            return RunStatus.of(connection.execute, shared=False)
    except (sqlite3.Error, ValueError, TypeError, OverflowError):
        return None


@contextmanager
def open_read_only(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a store's file read-only; it can come from somebody else: nothing in it runs, and it is not changed."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode={_mode(file)}", timeout=10, uri=True)) as connection:
        for pragma in ("query_only=ON", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        yield connection


def _mode(file: Path) -> str:
    """Return the SQLite mode that leaves the folder unchanged after closing.

    The last writes of a killed driver are in side files, which stay only in mode "ro". If there are none, SQLite
    creates them, and removes them only in mode "rw".
    """
    side_files = [file.with_name(f"{file.name}-{name}") for name in ("wal", "shm")]
    return "ro" if all(each.is_file() and each.stat().st_size for each in side_files) else "rw"
