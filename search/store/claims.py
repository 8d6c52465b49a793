"""Whose hands a trial is in, so that drivers on one database share its trials and do none twice."""

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
"""A driver that gives no sign of life for so long is taken for dead, and others take up its trials."""
BEAT_SECONDS = 10.0
"""Between two signs of life."""
AT_ONCE = 500
"""Keys in a statement."""

log = logging.getLogger(__name__)


class Claims:
    """A driver's place among those on one database.

    A driver lives while its count of beats goes up. Who waits for another's trials watches that count by a clock of
    its own that only runs forward. So no two clocks are compared: one that is set back, or ahead, on any machine,
    changes nothing.
    """

    def __init__(self, engine: sql.Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self.clock = engine, clock
        self.driver = new_driver()
        self.lease = LEASE_SECONDS
        self._seen: dict[str, tuple[int, float]] = {}
        """Of each other driver its latest beat, and when that was seen first."""
        self._count, self._joined = 0, False

    def take(self, keys: Collection[str], job: str | None = None) -> set[str]:
        """Which of these trials are in this driver's hands now: those that had no end, and were in no other's.

        `job` is what they are from now on parts of; without, of what they were.
        """
        wanted, mine = list(keys), set[str]()
        values = {"owner": self.driver} | ({"job": job} if job else {})
        with database.writing(self._engine, one_at_a_time=True) as connection:
            self._beat(connection)
            for begun in range(0, len(wanted), AT_ONCE):
                some = trials.c.key.in_(wanted[begun : begun + AT_ONCE]) & trials.c.status.not_in(FINISHED)
                connection.execute(trials.update().where(some & self._free()).values(values))
                mine |= set(
                    connection.execute(sql.select(trials.c.key).where(some & (trials.c.owner == self.driver))).scalars()
                )
        return mine

    def reclaim(self, *, alone: bool = False) -> int:
        """Trials that were begun, and are in no living driver's hands, wait again; how many they were.

        Args:
            alone: it is known that there is no other driver.
        """
        with database.writing(self._engine, one_at_a_time=True) as connection:
            if alone:
                connection.execute(drivers.delete().where(drivers.c.name != self.driver))
            else:
                self._bury(connection)
            return self._let_go(connection, self._free())

    def release(self, driver: str | None = None) -> None:
        """This driver, or one that is known to have ended, is none any more; what it had in hand waits."""
        name = driver or self.driver
        with database.writing(self._engine, one_at_a_time=True) as connection:
            connection.execute(drivers.delete().where(drivers.c.name == name))
            self._let_go(connection, trials.c.owner == name)
            self._joined = self._joined and name != self.driver

    def left(self, keys: Collection[str]) -> dict[str, str | None]:
        """Those of these trials that have no end, each with the other living driver that has it in hand, if any."""
        wanted, found = list(keys), dict[str, str | None]()
        with database.writing(self._engine, one_at_a_time=True) as connection:
            self._bury(connection)
            for begun in range(0, len(wanted), AT_ONCE):
                some = trials.c.key.in_(wanted[begun : begun + AT_ONCE]) & trials.c.status.not_in(FINISHED)
                query = sql.select(trials.c.key, trials.c.owner, self._free()).where(some)
                found |= {str(key): None if free else str(owner) for key, owner, free in connection.execute(query)}
        return found

    def others(self) -> list[str]:
        """Other drivers that live, or have not been silent for long enough to say that they don't."""
        with database.writing(self._engine, one_at_a_time=True) as connection:
            self._bury(connection)
            return sorted(connection.execute(sql.select(drivers.c.name).where(drivers.c.name != self.driver)).scalars())

    def beat(self) -> None:
        """Give a sign of life."""
        with database.writing(self._engine) as connection:
            self._beat(connection)

    def alone(self, *, told: Callable[[str], object], wait: Callable[[float], object] = time.sleep) -> None:
        """Be the only driver: wait until each of the others has been silent for long enough.

        Raises:
            InputError: another one lives.
        """
        self.beat()
        first = self._beats()
        waits = False
        while others := self.others():
            now = self._beats()
            if living := [name for name in others if now.get(name) != first.setdefault(name, now.get(name, 0))]:
                self.release()
                raise InputError(
                    f"storage {database.shown(self._engine.url)!r}: {shown(living[0])} drives this search already, and "
                    "a search has one driver; more machines join it through Ray: --address"
                )
            if not waits:
                told(f"{shown(others[0])} drove this search; waiting {self.lease:.0f} s for a sign of life from it")
            waits = True
            wait(min(1.0, self.lease / 4))

    def _beats(self) -> dict[str, int]:
        with database.reading(self._engine) as connection:
            query = sql.select(drivers.c.name, drivers.c.beat).where(drivers.c.name != self.driver)
            return {str(name): int(beat) for name, beat in connection.execute(query)}

    def _beat(self, connection: sql.Connection) -> None:
        # An update, also where it only says that it lives: who is about to bury it waits for this, and sees it.
        self._count += 1
        mine = drivers.update().where(drivers.c.name == self.driver).values(beat=self._count)
        if not connection.execute(mine).rowcount:
            connection.execute(drivers.insert().values(name=self.driver, beat=self._count))
            if self._joined:
                log.warning(
                    "this driver was silent for over %.0f s, and was taken for dead: others may have taken up "
                    "its trials; what ends first counts",
                    self.lease,
                )
        self._joined = True

    def _bury(self, connection: sql.Connection) -> None:
        """Take the dead off the list."""
        there = connection.execute(sql.select(drivers).where(drivers.c.name != self.driver)).all()
        now = self.clock()
        self._seen = {
            name: seen if (seen := self._seen.get(name)) and seen[0] == beat else (beat, now) for name, beat in there
        }
        for name, (beat, since) in self._seen.items():
            if now - since >= self.lease:
                # Unless it has given a sign just now.
                connection.execute(drivers.delete().where((drivers.c.name == name) & (drivers.c.beat == beat)))

    def _free(self) -> sql.ColumnElement[bool]:
        """In no other living driver's hands."""
        others = sql.select(drivers.c.name).where(drivers.c.name != self.driver)
        return trials.c.owner.is_(None) | trials.c.owner.not_in(others)

    def _let_go(self, connection: sql.Connection, which: sql.ColumnElement[bool]) -> int:
        unfinished = trials.c.status.not_in(FINISHED) & which
        connection.execute(trials.update().where(unfinished & trials.c.owner.is_not(None)).values(owner=None))
        begun = trials.c.owner.is_(None) & (trials.c.status == "running")
        return connection.execute(trials.update().where(begun).values(status="waiting")).rowcount


def new_driver() -> str:
    """A name that no driver has had: HOST:PROCESS:CHANCE."""
    return f"{socket.gethostname()[:250]}:{os.getpid()}:{secrets.token_hex(8)}"


def shown(driver: str) -> str:
    """A driver's name for people."""
    host, _, process = driver.rpartition(":")[0].rpartition(":")
    return f"process {process} on {host}" if process else driver


@contextmanager
def living(claims: Claims, driver: str, former: str | None, every: float | None = None) -> Iterator[None]:
    """Be this driver meanwhile: give signs of life from a thread of its own, and leave at the end.

    Args:
        former: the driver before this one in the same place, which is known to have ended.
    """
    claims.driver = driver
    if former:
        claims.release(former)
    done = threading.Event()
    thread = threading.Thread(
        target=_beat_until, args=(claims, done, every or BEAT_SECONDS), name="signs of life", daemon=True
    )
    claims.beat()
    thread.start()
    try:
        yield
    finally:
        done.set()
        # A server that does not answer is not waited for: the thread ends with the process.
        thread.join(timeout=5)
        try:
            claims.release()
        except Exception as error:
            log.warning(
                "the store could not be told that this driver ends (%s): others wait for %.0f s until they "
                "take up its trials",
                error,
                claims.lease,
            )


def _beat_until(claims: Claims, done: threading.Event, every: float) -> None:
    silent: Any = None
    while not done.wait(every):
        try:
            claims.beat()
            silent = None
        except Exception as error:
            if silent is None:
                log.warning(
                    "no sign of life could be given (%s): after %.0f s of it others may take up this driver's trials",
                    error,
                    claims.lease,
                )
            silent = error
