"""Rows of a damaged SQLite file, as far as they can be read: what cannot is stepped over."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

LEAST_ROW = 64
"""Bytes: a row of ours takes more, so a file has not more rows than this says."""

DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""The second, where what SQLite says of it holds a damaged name."""

Row = tuple[Any, ...]


class Salvage:
    """A file's tables, read by row number upwards, then one by one where a page is missing or says nonsense."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        # As bytes: what is no text must not end the reading of a table.
        self._connection.text_factory = bytes
        # The first lets SQLite open a file that has fewer pages than its head says; it must be said ahead of all else.
        for pragma in ("writable_schema=ON", "trusted_schema=OFF", "cell_size_check=ON", "query_only=ON"):
            with suppress(*DAMAGE):
                self._connection.execute(f"PRAGMA {pragma}")
        self._most = path.stat().st_size // LEAST_ROW
        self.gaps = 0
        """Places, of one row or many that stand together, that could not be read."""

    def close(self) -> None:
        self._connection.close()

    def sound(self) -> bool:
        """Whether nothing is wrong with the file."""
        with suppress(*DAMAGE):
            # Without what lets it overlook a missing end.
            self._connection.execute("PRAGMA writable_schema=OFF")
            try:
                return self._connection.execute("PRAGMA integrity_check(1)").fetchall() == [(b"ok",)]
            finally:
                self._connection.execute("PRAGMA writable_schema=ON")
        return False

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        """The rows that can be read, in order; none of a table that is not found, or has not these columns."""
        number, inside = 0, False
        query = f"SELECT rowid, {', '.join(columns)} FROM {table} NOT INDEXED WHERE rowid > ? ORDER BY rowid"
        try:
            self._connection.execute(f"{query} LIMIT 0", (0,))
        except DAMAGE:
            self.gaps += 1
            return
        last = self._last(table)
        while number < last:
            try:
                for row in self._connection.execute(query, (number,)):
                    if not isinstance(row[0], int) or row[0] <= number:
                        raise sqlite3.DatabaseError("row numbers do not go up")
                    number, inside = row[0], False
                    yield tuple(_text(value) for value in row[1:])
                return
            except DAMAGE:
                self.gaps += not inside
                # The next row may be of the same page: on, number by number, until one can be read.
                number, inside = number + 1, True

    def _last(self, table: str) -> int:
        """The last row's number, or the last that it may have."""
        try:
            ((number,),) = self._connection.execute(f"SELECT max(rowid) FROM {table} NOT INDEXED").fetchall()
        except (*DAMAGE, ValueError):
            return self._most
        return number if isinstance(number, int) else 0


def _text(value: Any) -> Any:
    """Text as text; bytes that are none stay bytes, which no column of ours has."""
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return value.decode()
    return value
