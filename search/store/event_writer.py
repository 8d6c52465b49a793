"""Write events of trials to the store: several in one transaction, with one statement for each kind of event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql

from search.store import database
from search.store.claims import KEYS_PER_STATEMENT
from search.store.tables import epochs, predictions, probes, trials
from search.trials.events import FINISHED, Epoch, Event, Finished, Probe, Started

Row = Mapping[str, Any]


class EventWriter:
    """Writes events to the tables of a store.

    Transactions of epochs alone do not wait for the disk. They survive a kill of this process. After a power cut, the
    last epochs of trials that have not ended can be missing until these trials resume. A transaction with any other
    event waits for the disk, and everything before it is then on disk too.
    """

    def __init__(self, engine: sql.Engine) -> None:
        self._engine = engine
        key = trials.c.key == sql.bindparam("of")
        # Built once: building and hashing a statement takes longer than writing a row with it.
        self._statuses = (
            sql.select(trials.c.key, trials.c.status)
            .where(trials.c.key.in_(sql.bindparam("keys", expanding=True)))
            .with_for_update()
        )
        self._start = trials.update().where(key).values(status="running", attempts=trials.c.attempts + 1)
        self._end = trials.update().where(key)
        self._upserts = {table: self._upsert(table) for table in (epochs, probes, predictions)}

    def write(self, events: Sequence[Event]) -> list[Event]:
        """Store events, and return those that are new: not those of a trial that has ended, here or before.

        Raises:
            KeyError: one of the trials was never added. Nothing is stored.
        """
        if not events:
            return []
        keys = sorted({event.key for event in events})
        wait_for_disk = any(map(_happens_once, events))
        with database.writing(self._engine, one_at_a_time=len(keys) > 1, wait_for_disk=wait_for_disk) as connection:
            new = _before_their_ends(events, self._read_statuses(connection, keys))
            ends = [event for event in new if isinstance(event, Finished)]
            # Predictions are in the transaction of their end: both are always of one measurement.
            contents = [{"key": end.key, "content": end.predictions} for end in ends if end.predictions]
            for statement, rows in (
                (self._start, [_start(event) for event in new if isinstance(event, Started)]),
                (self._upserts[epochs], [vars(event) for event in new if isinstance(event, Epoch)]),
                (self._upserts[probes], [vars(event) for event in new if isinstance(event, Probe)]),
                (self._upserts[predictions], contents),
                (self._end, [_end(event) for event in ends]),
            ):
                if rows:
                    connection.execute(statement, rows)
        return new

    def _read_statuses(self, connection: sql.Connection, keys: Sequence[str]) -> dict[str, str]:
        """Return the statuses of these trials.

        PostgreSQL locks their rows until the transaction ends: if two drivers report the same trial's end, the first
        one wins.
        """
        found = dict[str, str]()
        for begun in range(0, len(keys), KEYS_PER_STATEMENT):
            rows = connection.execute(self._statuses, {"keys": keys[begun : begun + KEYS_PER_STATEMENT]})
            found |= {str(key): str(status) for key, status in rows}
        return found

    def _upsert(self, table: sql.Table) -> Any:
        """Return the statement that inserts a row, or changes the row with its key."""
        insert = database.insert(self._engine, table)
        changes = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
        return insert.on_conflict_do_update(index_elements=table.primary_key.columns, set_=changes)


def _happens_once(event: Event) -> bool:
    """Whether an event must be on disk before anyone acts on it, because nothing can tell it again.

    The others can be lost by a power cut: a resumed trial reports all of its epochs again, those of its checkpoint too,
    a search refuses an infeasible network again, and notices are not stored.
    """
    if isinstance(event, Finished):
        return event.status != "infeasible"
    return isinstance(event, Started | Probe)


def _before_their_ends(events: Iterable[Event], statuses: Mapping[str, str]) -> list[Event]:
    """Return the events that happened before the end of their trial, or end it.

    Raises:
        KeyError: a trial without a status.
    """
    ended, found = {key for key, status in statuses.items() if status in FINISHED}, list[Event]()
    for event in events:
        if event.key not in statuses:
            raise KeyError(event.key)
        if event.key not in ended:
            found.append(event)
        if isinstance(event, Finished):
            ended.add(event.key)
    return found


def _start(event: Started) -> Row:
    return {
        "of": event.key,
        "host": event.host[:255],
        "device": event.device[:32],
        "together": event.together,
        "started": datetime.now(UTC),
    }


def _end(event: Finished) -> Row:
    values = {name: value for name, value in vars(event).items() if name not in ("key", "predictions")}
    texts = {"reason": _storable(event.reason), "traceback": _storable(event.traceback)}
    return values | texts | {"of": event.key, "finished": datetime.now(UTC)}


def _storable(text: str) -> str:
    """Return the text without characters that databases refuse: NUL, and lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
