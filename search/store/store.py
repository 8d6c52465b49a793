"""The store: every trial, its epochs and its outcome, in a database; the only truth, written by the driver alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from resnet_space.errors import InputError
from search.files.folder import RunFolder
from search.store import database
from search.store.claims import Claims
from search.store.status import Standing
from search.store.tables import RESULTS as RESULTS
from search.store.tables import SCHEMA as SCHEMA
from search.store.tables import about, epochs, metadata, probes, trials
from search.trials.events import FINISHED, Epoch, Event, Finished, Probe, Started

if TYPE_CHECKING:
    import pandas as pd

    from resnet_space.fields import Lookup
    from search.trials.identity import Identity
    from search.trials.record import TrialRecord
    from search.trials.trial import TrialSpec

AT_ONCE = 500
"""Keys in a query."""


class Store:
    """Trials by key, in any database that SQLAlchemy speaks to; SQLite or PostgreSQL are tested for.

    What `write` has returned from is on disk. A trial finishes once: a later end of the same trial changes nothing.

    Raises:
        InputError: the URL is no database's, the database was written by another version of the schema, or holds what
            no store wrote. Without `new`, it is made by nobody: there must be one.
    """

    _inside = False

    def __init__(self, url: str | sql.URL, *, new: bool = True) -> None:
        self.engine = database.connect(url, new=new)
        self.claims = Claims(self.engine)
        try:
            found = self._schemas(new)
        except sql.exc.SQLAlchemyError as error:
            self.close()
            raise InputError(f"storage {database.shown(url)!r}: {str(error).splitlines()[0]}") from None
        except InputError:
            self.close()
            raise
        if found != {SCHEMA}:
            self.close()
            other = ", ".join(sorted(str(schema) for schema in found - {SCHEMA})) or "none"
            raise InputError(
                f"storage {database.shown(url)!r}: written with schema {other}; this version reads schema {SCHEMA}"
            )

    @classmethod
    def at(cls, folder: Path, *, new: bool = True) -> Store:
        """The SQLite store of a run's folder."""
        # Made of parts: a folder's name may hold what means something in a URL.
        url = sql.URL.create("sqlite", database=str(folder / "trials.db"))
        if (folder / "manifest.json").exists() and _cut_to_nothing(folder / "trials.db"):
            # Or else SQLite would take it for new.
            raise InputError(f"storage {database.shown(url)!r}: the file is empty{database.how_to_repair(url)}")
        store = cls(url, new=new)
        store._inside = True
        return store

    @classmethod
    def of(cls, folder: RunFolder, url: str | None = None) -> Store:
        """The store of a run, to read: the given URL, the file that its manifest names, or its own SQLite file.

        Raises:
            InputError: there is none, or it is on a server: the sender of a folder must not choose whom this machine
                calls.
        """
        sessions = folder.read_manifest()["sessions"]
        named = sessions[-1].get("storage") if sessions else None
        if url:
            return cls(url, new=False)
        if named and not named.startswith("sqlite"):
            there = database.shown(named)
            raise InputError(f"{folder.path}: its trials are in {there}; to read them there, give --storage URL")
        if named:
            return cls(named, new=False)
        if not (folder.path / "trials.db").is_file():
            raise InputError(f"{folder.path}: there is no trials.db")
        return cls.at(folder.path, new=False)

    @property
    def name(self) -> str | None:
        """The URL to find this store by, without its password; None for one inside a run's folder."""
        return None if self._inside else database.name(self.engine.url)

    @property
    def shared(self) -> bool:
        """Whether there may be other drivers: a run's folder has one."""
        return not self._inside

    def close(self) -> None:
        self.engine.dispose()

    def add(self, specs: Iterable[TrialSpec]) -> None:
        """Put trials on the list; those that are there already stay as they are."""
        rows = [_row(spec) for spec in specs]
        if rows:
            with database.writing(self.engine, one_at_a_time=True) as connection:
                connection.execute(self._insert(trials).on_conflict_do_nothing(), rows)

    def claim(self, keys: Collection[str], job: str | None = None) -> set[str]:
        """Which of these trials this driver is to do: without an end, and in no other driver's hands from now on.

        They are known by the name of their job, 16 characters, should they go on later.
        """
        return self.claims.take(keys, job)

    def reclaim(self) -> int:
        """Trials that dead drivers, or this one, left running wait again; how many there were.

        One inside a run's folder has no other driver: the folder's lock says so.
        """
        return self.claims.reclaim(alone=self._inside)

    def retry(self) -> int:
        """Trials that failed wait again; how many there were. What they were is in `attempts`."""
        with database.writing(self.engine) as connection:
            again = {"status": "waiting", "reason": "", "traceback": "", "finished": None, "owner": None}
            return connection.execute(trials.update().where(trials.c.status == "failed").values(again)).rowcount

    def write(self, event: Event) -> bool:
        """Store what happened; whether it was news.

        Raises:
            KeyError: the trial was never added.
        """
        with database.writing(self.engine) as connection:
            # Held until the end of this transaction: of two drivers that tell of one end, the first one wins.
            held = sql.select(trials.c.status).where(trials.c.key == event.key).with_for_update()
            status = connection.execute(held).scalar()
            if status is None:
                raise KeyError(event.key)
            if status in FINISHED:
                return False
            row = trials.update().where(trials.c.key == event.key)
            match event:
                case Started():
                    connection.execute(
                        row.values(
                            status="running",
                            host=event.host[:255],
                            device=event.device[:32],
                            together=event.together,
                            started=datetime.now(UTC),
                            attempts=trials.c.attempts + 1,
                        )
                    )
                case Epoch() | Probe():
                    table = epochs if isinstance(event, Epoch) else probes
                    insert = self._insert(table).values(**asdict(event))
                    changes = {name: insert.excluded[name] for name in asdict(event)}
                    connection.execute(insert.on_conflict_do_update(index_elements=["key", "epoch"], set_=changes))
                case Finished():
                    told = asdict(event) | {"reason": _text(event.reason), "traceback": _text(event.traceback)}
                    connection.execute(row.values(**told, finished=datetime.now(UTC)))
        return True

    def propose(self, spec: TrialSpec, proposal: Mapping[str, Any]) -> None:
        """A sampler has asked for this trial, with what, and as which number: onto the list, if it is not there."""
        asked = {"proposal": dict(proposal), "aside": False}
        insert = self._insert(trials).values(_row(spec) | asked)
        with database.writing(self.engine) as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["key"], set_=asked))

    def forget(self, keys: Collection[str]) -> None:
        """Take trials off the list that were never begun."""
        if keys:
            with database.writing(self.engine) as connection:
                gone = trials.delete().where((trials.c.key == sql.bindparam("of")) & (trials.c.attempts == 0))
                connection.execute(gone, [{"of": key} for key in keys])

    def set_aside(self, keys: Collection[str]) -> None:
        """These trials, and no others, are of a space that is no longer searched."""
        with database.writing(self.engine) as connection:
            connection.execute(trials.update().where(trials.c.aside).values(aside=False))
            if keys:
                bound = trials.update().where(trials.c.key == sql.bindparam("of")).values(aside=True)
                connection.execute(bound, [{"of": key} for key in keys])

    def standing(self) -> Standing:
        """How the run stands, for people and programs that ask."""
        with database.reading(self.engine) as connection:
            return Standing.of(lambda question: connection.exec_driver_sql(question), shared=self.shared)

    def counts(self) -> dict[str, int]:
        """Trials of every status, zeros too; without those set aside."""
        return self.standing().counts

    def seconds(self, key: str) -> float:
        """Training time of a trial so far."""
        with database.reading(self.engine) as connection:
            return float(
                connection.execute(sql.select(sql.func.sum(epochs.c.seconds)).where(epochs.c.key == key)).scalar() or 0
            )

    def records(self, keys: Sequence[str] | None = None) -> list[TrialRecord]:
        """Stored trials, all or those with these keys, in the order of keys."""
        from search.trials.record import TrialRecord

        query = sql.select(*(trials.c[field.name] for field in fields(TrialRecord))).order_by(trials.c.key)
        with database.reading(self.engine) as connection:
            rows = connection.execute(query).mappings().all()
            wanted = None if keys is None else set(keys)
            return database.checked(TrialRecord, (row for row in rows if wanted is None or row["key"] in wanted))

    def frame(self) -> pd.DataFrame:
        """One row a trial, without its spec."""
        import pandas as pd

        columns = [column for column in trials.columns if column.name not in ("spec", "proposal", "owner")]
        with database.reading(self.engine) as connection:
            return database.numbers(pd.read_sql(sql.select(*columns).order_by(trials.c.key), connection), columns)

    def results(self, own: Identity | None = None) -> pd.DataFrame:
        """One row a complete trial that is not set aside, by network and seed: what fronts are made of.

        With `own`, of the trials of that run alone: a mean over others too would be one of different things.
        """
        import numpy as np
        import pandas as pd

        query = (
            sql.select(*(trials.c[name] for name in (*RESULTS, "key")))
            .where(~trials.c.aside & (trials.c.status == "complete") & trials.c.validation_error.is_not(None))
            .order_by(trials.c.architecture, trials.c.seed, trials.c.validation_error)
        )
        with database.reading(self.engine) as connection:
            # The driver's own tuples: of 100,000 rows, making SQLAlchemy's takes longer than reading.
            rows = connection.execute(query).cursor.fetchall()
            if own is not None:
                rows = [row for row in rows if row[-1] == own.key(row[0], row[1])]
            numbers = np.array([row[1:-1] for row in rows], dtype=float).reshape(len(rows), len(RESULTS) - 1)
            if np.isinf(numbers).any():
                raise ValueError("an infinite result")
        names = pd.Series([str(row[0]) for row in rows], dtype="str")
        return pd.concat([names.rename("architecture"), pd.DataFrame(numbers, columns=list(RESULTS[1:]))], axis=1)

    def others(self, own: Identity) -> int:
        """How many trials are not of that run: of other data, another recipe or another version."""
        query = sql.select(trials.c.key, trials.c.architecture, trials.c.seed)
        with database.reading(self.engine) as connection:
            rows = connection.execute(query).cursor.fetchall()
            return sum(str(key) != own.key(architecture, seed) for key, architecture, seed in rows)

    def architectures(self, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        """The descriptions of networks by their keys."""
        found: dict[str, dict[str, Any]] = {}
        wanted = list(keys)
        with database.reading(self.engine) as connection:
            # Some at a time: databases take so many parameters and no more.
            for begun in range(0, len(wanted), AT_ONCE):
                some = trials.c.architecture.in_(wanted[begun : begun + AT_ONCE])
                for key, spec in connection.execute(sql.select(trials.c.architecture, trials.c.spec).where(some)):
                    found.setdefault(key, dict(spec["architecture"]))
        return found

    def describe(self, key: str) -> Lookup:
        """What expressions find in a network's description, by its key."""
        from resnet_space import Architecture
        from resnet_space.fields import lookup_of

        return lookup_of(Architecture.of(self.architectures([key])[key]))

    def curves(self) -> pd.DataFrame:
        """One row a trial and epoch."""
        import pandas as pd

        with database.reading(self.engine) as connection:
            frame = pd.read_sql(sql.select(epochs).order_by(epochs.c.key, epochs.c.epoch), connection)
            return database.numbers(frame, epochs.columns)

    def propagation(self) -> list[Probe]:
        """How signals propagated, by trial and epoch."""
        with database.reading(self.engine) as connection:
            query = sql.select(probes).order_by(probes.c.key, probes.c.epoch)
            return database.checked(Probe, connection.execute(query).mappings())

    def _schemas(self, new: bool) -> set[Any]:
        """The versions that the database says it is of; none where it has not our tables."""
        if new:
            with database.writing(self.engine, one_at_a_time=True) as connection:
                self._create(connection)
            database.check(self.engine)
        with database.reading(self.engine) as connection:
            # Tables, not views: those are a stranger's programs.
            there = sql.inspect(connection).get_table_names()
            found = set(connection.execute(sql.select(about.c.schema)).scalars()) if about.name in there else set()
            if found == {SCHEMA} and not metadata.tables.keys() <= set(there):
                raise LookupError(f"tables are missing, of {', '.join(metadata.tables)}")
            return found

    def _create(self, connection: sql.Connection) -> None:
        """Make what is not there, in a way that two processes may do at once."""
        fresh = not sql.inspect(connection).has_table(about.name)
        for table in metadata.sorted_tables:
            connection.execute(sql.schema.CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(sql.schema.CreateIndex(index, if_not_exists=True))
        if fresh:
            connection.execute(self._insert(about).values(schema=SCHEMA).on_conflict_do_nothing())

    def _insert(self, table: sql.Table) -> Any:
        return import_module(f"sqlalchemy.dialects.{self.engine.dialect.name}").insert(table)


def _cut_to_nothing(file: Path) -> bool:
    return file.is_file() and file.stat().st_size == 0


def _text(text: str) -> str:
    """Without what databases do not take: zeros, and halves of characters."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _row(spec: TrialSpec) -> dict[str, Any]:
    from resnet_space import complexity

    net, cost = spec.architecture, complexity(spec.architecture)
    return {
        "key": spec.key,
        "architecture": net.key,
        "seed": spec.seed,
        "spec": spec.model_dump(mode="json"),
        "depth": net.depth,
        "params": cost.params,
        "macs": cost.macs,
        "activations": cost.activations,
        "status": "waiting",
    }
