"""Which driver holds each trial, so that several drivers on one database share the trials and run none twice."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sql

from resnet_space.errors import InputError
from search.store import database
from search.store.tables import drivers, trials
from search.trials.events import FINISHED

LEASE_SECONDS = 60.0
"""A driver without a heartbeat for this long counts as dead, and other drivers claim its trials."""
HEARTBEAT_SECONDS = 10.0
"""Between two heartbeats."""
KEYS_PER_STATEMENT = 500
"""Databases limit the number of parameters of one SQL statement."""

log = logging.getLogger(__name__)


class Claims:
    """This driver's claims on trials, next to those of other drivers on the same database.

    A driver is alive while its heartbeat count increases. A driver that waits for another one's trials watches that
    count with its own monotonic clock. Clocks are never compared, so a clock that is wrong, or is set back, on any
    machine changes nothing.
    """

    def __init__(self, engine: sql.Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self.clock = engine, clock
        self.driver = new_driver()
        self.lease = LEASE_SECONDS
        # After a power cut no driver of an SQLite file is alive, so nobody needs its claims. Those of a server's other
        # drivers can be.
        self._wait_for_disk = engine.dialect.name != "sqlite"
        # Built once: building a statement takes longer than executing it.
        some = trials.c.key.in_(sql.bindparam("keys", expanding=True)) & trials.c.status.not_in(FINISHED)
        me: sql.BindParameter[str] = sql.bindparam("me")
        job: Any = sql.func.coalesce(sql.bindparam("name"), trials.c.job)
        self._take = trials.update().where(some & _not_held_by_others(me)).values(owner=me, job=job)
        self._held = sql.select(trials.c.key).where(some & (trials.c.owner == me))
        self._last_beats: dict[str, tuple[int, float]] = {}
        """By other driver: its latest heartbeat count, and when this driver first saw that count."""
        self._count, self._joined = 0, False

    def claim(self, keys: Collection[str], job: str | None = None) -> set[str]:
        """Claim these trials; return the keys of those that this driver now holds.

        A trial can be claimed if it is not finished and no other living driver holds it.

        Args:
            job: the name of the job that the trials become part of; without it, they keep their job.
        """
        wanted, held = list(keys), set[str]()
        with database.writing(self._engine, one_at_a_time=True, wait_for_disk=self._wait_for_disk) as connection:
            self._heartbeat(connection)
            for begun in range(0, len(wanted), KEYS_PER_STATEMENT):
                which = {"keys": wanted[begun : begun + KEYS_PER_STATEMENT], "me": self.driver}
                connection.execute(self._take, which | {"name": job})
                held |= set(connection.execute(self._held, which).scalars())
        return held

    def reclaim(self, *, alone: bool = False) -> int:
        """Return running trials that no living driver holds to "waiting"; return their number.

        Args:
            alone: True if there is certainly no other driver.
        """
        with database.writing(self._engine, one_at_a_time=True) as connection:
            if alone:
                connection.execute(drivers.delete().where(drivers.c.name != self.driver))
            else:
                self._remove_dead_drivers(connection)
            return self._unclaim(connection, self._unclaimed())

    def release(self, driver: str | None = None) -> None:
        """Remove this driver, or another one that has certainly ended; its unfinished trials wait again."""
        name = driver or self.driver
        with database.writing(self._engine, one_at_a_time=True) as connection:
            connection.execute(drivers.delete().where(drivers.c.name == name))
            self._unclaim(connection, trials.c.owner == name)
            self._joined = self._joined and name != self.driver

    def unfinished(self, keys: Collection[str]) -> dict[str, str | None]:
        """Return the unfinished ones of these trials, each with the other living driver that holds it, or None."""
        wanted, found = list(keys), dict[str, str | None]()
        with database.writing(self._engine, one_at_a_time=True) as connection:
            self._remove_dead_drivers(connection)
            for begun in range(0, len(wanted), KEYS_PER_STATEMENT):
                some = trials.c.key.in_(wanted[begun : begun + KEYS_PER_STATEMENT]) & trials.c.status.not_in(FINISHED)
                query = sql.select(trials.c.key, trials.c.owner, self._unclaimed()).where(some)
                found |= {str(key): None if free else str(owner) for key, owner, free in connection.execute(query)}
        return found

    def other_drivers(self) -> list[str]:
        """Return the names of other drivers that are alive, or not yet silent for long enough to count as dead."""
        with database.writing(self._engine, one_at_a_time=True) as connection:
            self._remove_dead_drivers(connection)
            return sorted(connection.execute(sql.select(drivers.c.name).where(drivers.c.name != self.driver)).scalars())

    def heartbeat(self) -> None:
        """Increase this driver's heartbeat count."""
        with database.writing(self._engine, wait_for_disk=False) as connection:
            self._heartbeat(connection)

    def require_sole_driver(
        self, *, report: Callable[[str], object], wait: Callable[[float], object] = time.sleep
    ) -> None:
        """Register as the only driver: wait until all others have been silent for the length of a lease.

        Raises:
            InputError: another driver is alive.
        """
        self.heartbeat()
        first = self._read_beats()
        waits = False
        while others := self.other_drivers():
            now = self._read_beats()
            if living := [name for name in others if now.get(name) != first.setdefault(name, now.get(name, 0))]:
                self.release()
                raise InputError(
                    f"storage {database.masked(self._engine.url)!r}: {driver_label(living[0])} already drives this "
                    "search, and a search has one driver; more machines join it through Ray: --address"
                )
            if not waits:
                former = driver_label(others[0])
                report(f"{former} drove this search before; waiting {self.lease:.0f} s for its heartbeat")
            waits = True
            wait(min(1.0, self.lease / 4))

    def _read_beats(self) -> dict[str, int]:
        with database.reading(self._engine) as connection:
            query = sql.select(drivers.c.name, drivers.c.beat).where(drivers.c.name != self.driver)
            return {str(name): int(beat) for name, beat in connection.execute(query)}

    def _heartbeat(self, connection: sql.Connection) -> None:
        # Always an update: a driver that is about to remove this one waits for it, and then sees the new count.
        self._count += 1
        update = drivers.update().where(drivers.c.name == self.driver).values(beat=self._count)
        if not connection.execute(update).rowcount:
            connection.execute(drivers.insert().values(name=self.driver, beat=self._count))
            if self._joined:
                log.warning(
                    "this driver was silent for over %.0f s and counted as dead: other drivers can have claimed its "
                    "trials; the result that is stored first counts",
                    self.lease,
                )
        self._joined = True

    def _remove_dead_drivers(self, connection: sql.Connection) -> None:
        """Delete drivers whose lease has expired."""
        rows = connection.execute(sql.select(drivers).where(drivers.c.name != self.driver)).all()
        now = self.clock()
        self._last_beats = {
            name: seen if (seen := self._last_beats.get(name)) and seen[0] == beat else (beat, now)
            for name, beat in rows
        }
        for name, (beat, since) in self._last_beats.items():
            if now - since >= self.lease:
                # Only with this count: it can have sent a heartbeat just now.
                connection.execute(drivers.delete().where((drivers.c.name == name) & (drivers.c.beat == beat)))

    def _unclaimed(self) -> sql.ColumnElement[bool]:
        """Condition: no other living driver holds the trial."""
        return _not_held_by_others(sql.literal(self.driver))

    def _unclaim(self, connection: sql.Connection, which: sql.ColumnElement[bool]) -> int:
        unfinished = trials.c.status.not_in(FINISHED) & which
        connection.execute(trials.update().where(unfinished & trials.c.owner.is_not(None)).values(owner=None))
        begun = trials.c.owner.is_(None) & (trials.c.status == "running")
        return connection.execute(trials.update().where(begun).values(status="waiting")).rowcount


def _not_held_by_others(me: sql.ColumnElement[str]) -> sql.ColumnElement[bool]:
    """Condition: no living driver but this one holds the trial."""
    others = sql.select(drivers.c.name).where(drivers.c.name != me)
    return trials.c.owner.is_(None) | trials.c.owner.not_in(others)


def new_driver() -> str:
    """Return a unique driver name, HOST:PROCESS:RANDOM."""
    return f"{socket.gethostname()[:250]}:{os.getpid()}:{secrets.token_hex(8)}"


def driver_label(driver: str) -> str:
    """Return a driver's name as messages show it: "process 77 on anvil"."""
    host, _, process = driver.rpartition(":")[0].rpartition(":")
    return f"process {process} on {host}" if process else driver


@contextmanager
def registered(claims: Claims, driver: str, former: str | None, every: float | None = None) -> Iterator[None]:
    """Register this driver while the context is open: send heartbeats from a thread, and release its trials at the end.

    Args:
        former: the previous driver of the same folder, which has certainly ended.
        every: seconds between heartbeats; default: `HEARTBEAT_SECONDS`.
    """
    claims.driver = driver
    if former:
        claims.release(former)
    done = threading.Event()
    thread = threading.Thread(
        target=_heartbeat_until, args=(claims, done, every or HEARTBEAT_SECONDS), name="heartbeat", daemon=True
    )
    claims.heartbeat()
    thread.start()
    try:
        yield
    finally:
        done.set()
        # Do not wait for a server that does not answer: the thread ends with the process.
        thread.join(timeout=5)
        try:
            claims.release()
        except Exception as error:
            log.warning(
                "could not remove this driver from the store (%s): other drivers wait for %.0f s before they claim its "
                "trials",
                error,
                claims.lease,
            )


def _heartbeat_until(claims: Claims, done: threading.Event, every: float) -> None:
    silent: Any = None
    while not done.wait(every):
        try:
            claims.heartbeat()
            silent = None
        except Exception as error:
            if silent is None:
                log.warning(
                    "could not send a heartbeat (%s): after %.0f s without one, other drivers can claim this driver's "
                    "trials",
                    error,
                    claims.lease,
                )
            silent = error
