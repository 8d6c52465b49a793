"""A power cut, as an SQLite store survives it at worst: only what a transaction has waited for is on disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from search.store.store import Store


class Disk:
    """The files of a store as they were after the last transaction that waited for the disk."""

    def __init__(self, file: Path, place: Path) -> None:
        self.file, self.place = file, place
        self._waits, self.transactions, self.waited = False, 0, 0

    def cut(self) -> Store:
        """Return the store that is there after a power cut."""
        self._keep()
        return Store.at(self.place)

    def look(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        """Look at a statement before it is executed."""
        if statement == "BEGIN IMMEDIATE":
            self._keep()
            ((level,),) = cursor.connection.execute("PRAGMA synchronous").fetchall()
            # 2 is FULL: SQLite syncs the complete log after the transaction. 1 is NORMAL: it does not.
            self._waits = level == 2
            self.transactions, self.waited = self.transactions + 1, self.waited + self._waits

    def _keep(self) -> None:
        if self._waits:
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir()
            for side in ("", "-wal"):
                if (file := self.file.with_name(self.file.name + side)).exists():
                    shutil.copy(file, self.place / file.name)
        self._waits = False


@contextmanager
def watched(store: Store, place: Path) -> Iterator[Disk]:
    """Watch which transactions of a store wait for the disk; `place` is a new folder for its files."""
    disk = Disk(Path(str(store.engine.url.database)), place)
    sql.event.listen(store.engine, "before_cursor_execute", disk.look)
    try:
        yield disk
    finally:
        sql.event.remove(store.engine, "before_cursor_execute", disk.look)
