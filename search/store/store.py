"""The store: every trial, its epochs and its result in a database. Only the driver writes to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from resnet_space.errors import InputError
from search.files.folder import RunFolder
from search.store import database, trained
from search.store.claims import KEYS_PER_STATEMENT, Claims
from search.store.event_writer import EventWriter
from search.store.status import RunStatus
from search.store.tables import ADDED, OPTIONAL, about, epochs, metadata, predictions, probes, trials
from search.store.tables import RESULTS as RESULTS
from search.store.tables import SCHEMA as SCHEMA
from search.trials.events import FINISHED, Event, Probe

if TYPE_CHECKING:
    import pandas as pd

    from resnet_space.fields import Lookup
    from search.trials.identity import Identities
    from search.trials.record import TrialRecord
    from search.trials.trial import TrialSpec


class Store:
    """Trials by key, in an SQLite or PostgreSQL database.

        store = Store("sqlite:///trials.db")
        store.add([spec])
        store.write([Started(spec.key, "anvil", "cpu")])

    A trial ends once: later events of it change nothing.

    Args:
        new: create the database if it does not exist; without it the store is read-only and must exist.

    Raises:
        InputError: not a database URL, a database with another schema, or one with content that no store wrote.
    """

    _in_run_folder = False
    _missing: tuple[str, ...] = ()
    """Columns of `ADDED` that the store does not have; only in a store that is read."""

    def __init__(self, url: str | sql.URL, *, new: bool = True) -> None:
        self.engine = database.connect(url, new=new)
        self.claims, self._writer = Claims(self.engine), EventWriter(self.engine)
        try:
            found = self._read_schemas(new)
        except sql.exc.SQLAlchemyError as error:
            self.close()
            raise InputError(f"storage {database.masked(url)!r}: {str(error).splitlines()[0]}") from None
        except InputError:
            self.close()
            raise
        if found != {SCHEMA}:
            self.close()
            other = ", ".join(sorted(str(schema) for schema in found - {SCHEMA})) or "none"
            raise InputError(
                f"storage {database.masked(url)!r}: written with schema {other}; this version reads schema {SCHEMA}"
            )

    @classmethod
    def at(cls, folder: Path, *, new: bool = True) -> Store:
        """The SQLite store of a run's folder."""
        # Built from parts: a folder's name can contain characters that are special in a URL.
        url = sql.URL.create("sqlite", database=str(folder / "trials.db"))
        if (folder / "manifest.json").exists() and _is_empty_file(folder / "trials.db"):
            # Otherwise SQLite would treat the file as a new database.
            raise InputError(f"storage {database.masked(url)!r}: the file is empty{database.repair_hint(url)}")
        store = cls(url, new=new)
        store._in_run_folder = True
        return store

    @classmethod
    def of(cls, folder: RunFolder, url: str | None = None) -> Store:
        """Open the store of a run for reading: the given URL, the file named in its manifest, or its own SQLite file.

        Raises:
            InputError: there is no store, or the manifest names a server: whoever sent the folder must not choose which
                server this machine connects to.
        """
        sessions = folder.read_manifest()["sessions"]
        named = sessions[-1].get("storage") if sessions else None
        if url:
            return cls(url, new=False)
        if named and not named.startswith("sqlite"):
            place = database.masked(named)
            raise InputError(f"{folder.path}: its trials are in {place}; to read them there, give --storage URL")
        if named:
            return cls(named, new=False)
        if not (folder.path / "trials.db").is_file():
            raise InputError(f"{folder.path}: there is no trials.db")
        return cls.at(folder.path, new=False)

    @property
    def name(self) -> str | None:
        """The store's URL without secrets; None for a store inside a run's folder."""
        return None if self._in_run_folder else database.without_secrets(self.engine.url)

    @property
    def shared(self) -> bool:
        """Whether other drivers can use this store; one inside a run's folder has a single driver."""
        return not self._in_run_folder

    def close(self) -> None:
        self.engine.dispose()

    def add(self, specs: Iterable[TrialSpec]) -> None:
        """Add trials with status "waiting"; those already stored stay unchanged."""
        rows = [_row(spec) for spec in specs]
        if rows:
            insert = self._insert(trials)
            # A trial that an earlier version stored gets its `training` only.
            known = insert.on_conflict_do_update(
                index_elements=["key"],
                set_={"training": insert.excluded.training},
                where=trials.c.training.is_(None),
            )
            with database.writing(self.engine, one_at_a_time=True) as connection:
                connection.execute(known, rows)

    def claim(self, keys: Collection[str], job: str | None = None) -> set[str]:
        """Claim these trials for this driver; return the keys of those that it now holds.

        Finished trials, and those of other living drivers, cannot be claimed. `job`, 16 characters, is stored with the
        trials, so that they resume as one job.
        """
        return self.claims.claim(keys, job)

    def reclaim(self) -> int:
        """Return trials that dead drivers, or this one, left running to "waiting"; return their number.

        A store inside a run's folder has no other driver: the folder's lock makes sure of that.
        """
        return self.claims.reclaim(alone=self._in_run_folder)

    def retry(self) -> int:
        """Return failed trials to "waiting"; return their number. `attempts` keeps counting their starts."""
        with database.writing(self.engine) as connection:
            again = {"status": "waiting", "reason": "", "traceback": "", "finished": None, "owner": None}
            return connection.execute(trials.update().where(trials.c.status == "failed").values(again)).rowcount

    def write(self, events: Sequence[Event]) -> list[Event]:
        """Store events in one transaction; return those that are new, without events of trials that had ended.

        When it returns, everything survives a kill of this process, and ends survive a power cut; see `EventWriter`.

        Raises:
            KeyError: one of the trials was never added. Nothing is stored.
        """
        return self._writer.write(events)

    def propose(self, spec: TrialSpec, proposal: Mapping[str, Any]) -> None:
        """Store a trial that a sampler proposed, with the proposal; add the trial if it is not stored yet.

        This does not wait for the disk: what follows from a proposal is stored after it, so a power cut that takes the
        proposal takes that too, and the search proposes again.
        """
        asked = {"proposal": dict(proposal), "aside": False, "training": spec.identity.training}
        insert = self._insert(trials).values(_row(spec) | asked)
        with database.writing(self.engine, wait_for_disk=False) as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["key"], set_=asked))

    def remove_unstarted(self, keys: Collection[str]) -> None:
        """Delete those of these trials that were never started."""
        if keys:
            with database.writing(self.engine) as connection:
                gone = trials.delete().where((trials.c.key == sql.bindparam("of")) & (trials.c.attempts == 0))
                connection.execute(gone, [{"of": key} for key in keys])

    def set_aside(self, keys: Collection[str]) -> None:
        """Mark exactly these trials as set aside: they are from a space that is no longer searched."""
        with database.writing(self.engine) as connection:
            connection.execute(trials.update().where(trials.c.aside).values(aside=False))
            if keys:
                bound = trials.update().where(trials.c.key == sql.bindparam("of")).values(aside=True)
                connection.execute(bound, [{"of": key} for key in keys])

    def run_status(self) -> RunStatus:
        """Return trials by status, failures and drivers."""
        with database.reading(self.engine) as connection:
            return RunStatus.of(lambda question: connection.exec_driver_sql(question), shared=self.shared)

    def counts(self) -> dict[str, int]:
        """Return the number of trials by status, also those with 0; trials set aside do not count."""
        return self.run_status().counts

    def records(self, keys: Sequence[str] | None = None) -> list[TrialRecord]:
        """Return stored trials, all or those with these keys, sorted by key."""
        from search.trials.record import TrialRecord

        query = sql.select(*(self._column(field.name) for field in fields(TrialRecord))).order_by(trials.c.key)
        queries = [query]
        if keys is not None:
            wanted = sorted(set(keys))
            queries = [query.where(trials.c.key.in_(some)) for some in _batches(wanted)]
        with database.reading(self.engine) as connection:
            rows = (row for each in queries for row in connection.execute(each).mappings())
            return database.validated(TrialRecord, rows)

    def ended(self) -> set[str]:
        """Return the keys of finished trials."""
        with database.reading(self.engine) as connection:
            query = sql.select(trials.c.key).where(trials.c.status.in_(FINISHED))
            return {str(key) for key in connection.execute(query).scalars()}

    def frame(self) -> pd.DataFrame:
        """Return one row per trial, without its spec."""
        import pandas as pd

        columns = [column for column in trials.columns if column.name not in ("spec", "proposal", "owner")]
        with database.reading(self.engine) as connection:
            query = sql.select(*(self._column(column.name) for column in columns)).order_by(trials.c.key)
            return database.finite(pd.read_sql(query, connection), columns)

    def results(self, own: Identities | None = None) -> pd.DataFrame:
        """Return one row per complete trial that is not set aside, sorted by network and seed: the input of fronts.

        With `own`, only the trials of that run, with their `Identity.training`: a mean that includes foreign trials
        would mix different settings.
        """
        import numpy as np
        import pandas as pd

        query = (
            sql.select(*(trials.c[name] for name in (*RESULTS, "key")))
            .where(~trials.c.aside & (trials.c.status == "complete") & trials.c.validation_error.is_not(None))
            .order_by(trials.c.architecture, trials.c.seed, trials.c.validation_error)
        )
        with database.reading(self.engine) as connection:
            # The database driver's own tuples: for 100,000 rows, creating SQLAlchemy's takes longer than reading.
            rows = connection.execute(query).cursor.fetchall()
            trainings = None
            if own is not None:
                identities = trained.identities_of_rows(connection, rows, own, stored=self._has_training)
                rows = [row for row, identity in zip(rows, identities, strict=True) if identity]
                trainings = [identity.training for identity in identities if identity]
            numbers = np.array([row[1:-1] for row in rows], dtype=float).reshape(len(rows), len(RESULTS) - 1)
            if np.isinf(numbers).any():
                raise ValueError("an infinite result")
        names = pd.Series([str(row[0]) for row in rows], dtype="str")
        frame = pd.concat([names.rename("architecture"), pd.DataFrame(numbers, columns=list(RESULTS[1:]))], axis=1)
        return frame if trainings is None else frame.assign(training=pd.Series(trainings, dtype="str"))

    def count_foreign(self, own: Identities) -> int:
        """Return the number of trials of other data, another recipe or another version than a run's."""
        query = sql.select(trials.c.architecture, trials.c.seed, trials.c.key)
        with database.reading(self.engine) as connection:
            rows = connection.execute(query).cursor.fetchall()
            return sum(
                each is None for each in trained.identities_of_rows(connection, rows, own, stored=self._has_training)
            )

    def trainings(self, among: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
        """Return the description of one trial of each recipe and data, by `Identity.training`.

        Args:
            among: only of these. Default: all, without those of trials that only an earlier version has stored.
        """
        with database.reading(self.engine) as connection:
            return {} if not self._has_training else trained.described(connection, among)

    def architectures(self, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the descriptions of networks, by their keys."""
        return {key: spec["architecture"] for key, spec in reversed(self.specs(keys))}

    def specs(self, networks: Collection[str]) -> list[tuple[str, dict[str, Any]]]:
        """Return the key of the network and the description of every trial of these networks."""
        query, found = sql.select(trials.c.architecture, trials.c.spec), list[tuple[str, dict[str, Any]]]()
        with database.reading(self.engine) as connection:
            for some in _batches(list(networks)):
                rows = connection.execute(query.where(trials.c.architecture.in_(some)))
                found += [(str(key), spec | {"architecture": dict(spec["architecture"])}) for key, spec in rows]
        return found

    def assignments(self, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the values of the axes by which a sampler proposed each of these networks, by the network's key."""
        found: dict[str, dict[str, Any]] = {}
        query = sql.select(trials.c.architecture, trials.c.proposal).where(trials.c.proposal.is_not(None))
        with database.reading(self.engine) as connection:
            for some in _batches(list(keys)):
                for key, proposal in connection.execute(query.where(trials.c.architecture.in_(some))):
                    found.setdefault(key, dict(proposal["assignment"]))
        return found

    def describe(self, key: str) -> Lookup:
        """Return the lookup of the fields of a network, its recipe and its data for expressions, by `Point.setup`."""
        with database.reading(self.engine) as connection:
            return trained.lookup_of(connection, key, stored=self._has_training)

    def curves(self) -> pd.DataFrame:
        """Return one row per trial and epoch."""
        import pandas as pd

        with database.reading(self.engine) as connection:
            frame = pd.read_sql(sql.select(epochs).order_by(epochs.c.key, epochs.c.epoch), connection)
            return database.finite(frame, epochs.columns)

    def propagation(self) -> list[Probe]:
        """Return the measurements of signal propagation, sorted by trial and epoch."""
        with database.reading(self.engine) as connection:
            query = sql.select(probes).order_by(probes.c.key, probes.c.epoch)
            return database.validated(Probe, connection.execute(query).mappings())

    def predictions(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return the predictions of these trials for the test images, by key, as `Predictions.to_bytes` wrote them.

        Trials without them are left out: incomplete ones, and those that an earlier version trained.
        """
        found = dict[str, bytes]()
        with database.reading(self.engine) as connection:
            if not sql.inspect(connection).has_table(predictions.name):
                return found
            for some in _batches(list(keys)):
                query = sql.select(predictions).where(predictions.c.key.in_(some))
                found |= {str(key): bytes(content) for key, content in connection.execute(query)}
        return found

    def _read_schemas(self, new: bool) -> set[Any]:
        """Return the schema versions stored in the database; empty if it has no table `about`."""
        if new:
            with database.writing(self.engine, one_at_a_time=True) as connection:
                self._create(connection)
            database.check_integrity(self.engine)
        with database.reading(self.engine) as connection:
            # Tables, not views: a view runs a query that somebody else wrote.
            tables = sql.inspect(connection).get_table_names()
            self._missing = _missing_columns(connection) if trials.name in tables else ()
            found = set(connection.execute(sql.select(about.c.schema)).scalars()) if about.name in tables else set()
            if found == {SCHEMA} and not metadata.tables.keys() - set(OPTIONAL) <= set(tables):
                raise LookupError(f"tables are missing, of {', '.join(metadata.tables)}")
            return found

    def _create(self, connection: sql.Connection) -> None:
        """Create missing tables and indexes; safe if two processes do it at once."""
        fresh = not sql.inspect(connection).has_table(about.name)
        for table in metadata.sorted_tables:
            connection.execute(sql.schema.CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(sql.schema.CreateIndex(index, if_not_exists=True))
        if fresh:
            connection.execute(self._insert(about).values(schema=SCHEMA).on_conflict_do_nothing())
        if set(connection.execute(sql.select(about.c.schema)).scalars()) == {SCHEMA}:
            for name in _missing_columns(connection):
                column = sql.schema.CreateColumn(trials.c[name]).compile(dialect=self.engine.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {trials.name} ADD COLUMN {column}")

    def _column(self, name: str) -> sql.ColumnElement[Any]:
        """Return a column of `trials`; empty if the store does not have it."""
        return sql.null().label(name) if name in self._missing else trials.c[name]

    @property
    def _has_training(self) -> bool:
        return "training" not in self._missing

    def _insert(self, table: sql.Table) -> Any:
        return database.insert(self.engine, table)


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the keys in batches, because databases limit the number of parameters of a statement."""
    for begun in range(0, len(keys), KEYS_PER_STATEMENT):
        yield keys[begun : begun + KEYS_PER_STATEMENT]


def _missing_columns(connection: sql.Connection) -> tuple[str, ...]:
    """Return the columns of `ADDED` that the store does not have."""
    stored = {column["name"] for column in sql.inspect(connection).get_columns(trials.name)}
    return tuple(name for name in ADDED if name not in stored)


def _is_empty_file(file: Path) -> bool:
    return file.is_file() and file.stat().st_size == 0


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
        "training": spec.identity.training,
    }
