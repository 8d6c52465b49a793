"""How a run stands: trials by status, and what went wrong. Asked often, and by programs, so it is light.

The questions are SQL that SQLite and PostgreSQL both speak. The store asks them through SQLAlchemy; `glance` asks the
file of a run's folder itself, since importing SQLAlchemy takes longer than all the answers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from resnet_space.errors import printable
from search.files.folder import RunFolder
from search.trials.events import Status

SCHEMA = 4
"""Of the store: raised when its tables change."""

COUNTS = "SELECT status, count(*) FROM trials WHERE NOT aside GROUP BY status"

REASONS = (
    "SELECT status, reason, count(*) AS number FROM trials WHERE reason <> '' AND NOT aside "
    "GROUP BY status, reason ORDER BY number DESC, status, reason"
)

FAILED = "SELECT key FROM trials WHERE status = 'failed' AND NOT aside ORDER BY finished, key"

RUNNING = "SELECT key, owner, job FROM trials WHERE status = 'running' AND NOT aside ORDER BY key"

DRIVERS = "SELECT name FROM drivers ORDER BY name"

Ask = Callable[[str], Iterable[Any]]
"""From a question to rows."""


@dataclass(frozen=True)
class Standing:
    """Without trials that are set aside."""

    counts: dict[str, int]
    """Trials of every status, zeros too."""
    reasons: list[tuple[str, str, int]]
    """(status, reason, trials) of what did not end well, the most frequent first."""
    failed: list[str]
    """Keys of failed trials, the first to fail first."""
    running: list[tuple[str, str | None, str]]
    """(key, driver, job) of the trials that were begun and have no end."""
    drivers: list[str]
    """Those that are on the store's list: they live, or have died without a word."""
    shared: bool
    """Whether drivers of several folders may be on that list."""

    @classmethod
    def of(cls, ask: Ask, *, shared: bool) -> Standing:
        """Raises `ValueError` for an answer that no store of ours has."""
        found = {status: int(number) for status, number in ask(COUNTS)}
        statuses = get_args(Status)
        if strange := found.keys() - set(statuses):
            raise ValueError(f"{min(map(str, strange))!r} is no status")
        return cls(
            counts={status: found.get(status, 0) for status in statuses},
            reasons=[(str(status), printable(str(reason)), int(number)) for status, reason, number in ask(REASONS)],
            failed=[str(key) for (key,) in ask(FAILED)],
            running=[(str(key), owner and str(owner), str(job or key)) for key, owner, job in ask(RUNNING)],
            drivers=[str(name) for (name,) in ask(DRIVERS)],
            shared=shared,
        )


def glance(folder: RunFolder) -> Standing | None:
    """How the run of a folder stands, by the SQLite file that it has; None where anything about that is not as usual.

    Then the store itself is to be opened, which says what is wrong, or asks somewhere else.
    """
    file, sessions = folder.path / "trials.db", folder.read_manifest()["sessions"]
    if not sessions or sessions[-1].get("storage") or not file.is_file() or not file.stat().st_size:
        return None
    try:
        with opened(file) as connection:
            tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('trials', 'about')"
            if connection.execute(tables).fetchone() != (2,):
                return None
            if connection.execute("SELECT schema FROM about").fetchall() != [(SCHEMA,)]:
                return None
            return Standing.of(connection.execute, shared=False)
    except (sqlite3.Error, ValueError, TypeError, OverflowError):
        return None


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """A store's file, a stranger's perhaps: nothing in it runs, and it is as before when it is closed."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode={_mode(file)}", timeout=10, uri=True)) as connection:
        for pragma in ("query_only=ON", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        yield connection


def _mode(file: Path) -> str:
    """How SQLite opens a file so that it is as before when it is closed.

    What a killed driver wrote last is in files beside it, and stays there only if it is opened to read; where there are
    none, SQLite makes them, and takes them away only if it may write.
    """
    beside = [file.with_name(f"{file.name}-{name}") for name in ("wal", "shm")]
    return "ro" if all(each.is_file() and each.stat().st_size for each in beside) else "rw"
