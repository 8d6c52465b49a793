"""Read the rows of a damaged SQLite file, and skip what cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

MIN_ROW_BYTES = 64
"""Every row takes more bytes than this, which limits the number of rows in a file."""

DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""UnicodeDecodeError: SQLite's error message can contain a damaged name."""

Values = tuple[Any, ...]


class Salvage:
    """Reads a file's tables in the order of row numbers, and tries row by row if a page is missing or damaged."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        # As bytes: text that cannot be decoded must not end the reading of a table.
        self._connection.text_factory = bytes
        # The first lets SQLite open a file with fewer pages than its header says; it must come before all others.
        for pragma in ("writable_schema=ON", "trusted_schema=OFF", "cell_size_check=ON", "query_only=ON"):
            with suppress(*DAMAGE):
                self._connection.execute(f"PRAGMA {pragma}")
        self._max_rows = path.stat().st_size // MIN_ROW_BYTES
        self.gaps = 0
        """The number of places that could not be read, each one row or several neighbouring rows."""

    def close(self) -> None:
        self._connection.close()

    def is_intact(self) -> bool:
        """Whether the file passes `PRAGMA integrity_check`."""
        with suppress(*DAMAGE):
            # With this pragma on, SQLite ignores a missing end of the file.
            self._connection.execute("PRAGMA writable_schema=OFF")
            try:
                return self._connection.execute("PRAGMA integrity_check(1)").fetchall() == [(b"ok",)]
            finally:
                self._connection.execute("PRAGMA writable_schema=ON")
        return False

    def has(self, table: str, column: str = "*") -> bool:
        """Whether a table has this column, or is there, and its definition can be read."""
        try:
            self._connection.execute(f"SELECT {column} FROM {table} NOT INDEXED LIMIT 0")
        except DAMAGE:
            return False
        return True

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Values]:
        """Yield the readable rows in order; none if the table is not found, or lacks one of these columns."""
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
                # The next row can be in the same page: try number by number until one can be read.
                number, inside = number + 1, True

    def _last(self, table: str) -> int:
        """Return the number of the last row, or the largest possible one if that cannot be read."""
        try:
            ((number,),) = self._connection.execute(f"SELECT max(rowid) FROM {table} NOT INDEXED").fetchall()
        except (*DAMAGE, ValueError):
            return self._max_rows
        return number if isinstance(number, int) else 0


def _text(value: Any) -> Any:
    """Return bytes decoded as text; leave them as bytes, which no column accepts, if they cannot be decoded."""
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return value.decode()
    return value
