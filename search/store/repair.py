"""Repair a damaged store: copy all readable rows to a new file, and keep the damaged file next to it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, fields, replace
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from resnet_space.errors import InputError
from search.store import database
from search.store.salvage import Salvage
from search.store.store import Store
from search.store.tables import ADDED, OPTIONAL, SCHEMA, about, epochs, predictions, probes, trials
from search.trials.events import FINISHED, Epoch, Probe
from search.trials.predictions import Predictions
from search.trials.record import Key, TrialRecord
from search.trials.trial import TrialSpec


@dataclass(frozen=True)
class StoredPredictions:
    """A row of the table of predictions."""

    key: Key
    content: bytes


StoredRecord = TrialRecord | Epoch | Probe | StoredPredictions
RECORD_TYPES: dict[sql.Table, type[StoredRecord]] = {
    trials: TrialRecord,
    epochs: Epoch,
    probes: Probe,
    predictions: StoredPredictions,
}

SIDE_SUFFIXES = ("-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps next to a database file."""


@dataclass(frozen=True)
class RepairReport:
    """The result of a repair. `gaps` counts places that could not be read, `refused` rows with wrong content."""

    trials: int
    ended: int
    epochs: int
    gaps: int
    refused: int
    kept: Path | None
    """The damaged file; None if nothing was wrong."""

    @property
    def lines(self) -> list[str]:
        """The report as lines of text."""
        found = f"{self.trials} trials, {self.ended} of them ended, and {self.epochs} epochs"
        if self.kept is None:
            return [f"nothing is wrong: {found}"]
        return [
            f"recovered {found}",
            f"lost: {self.gaps} places that cannot be read, and {self.refused} rows with wrong content",
            f"the damaged file is kept: {self.kept}",
            "the next `resnet-space run` repeats lost trials",
        ]


def repair(folder: Path) -> RepairReport:
    """Rebuild `trials.db` of a run's folder from the rows that can still be read.

    A row is copied if its content can be verified: a trial if its key matches its description, an epoch if its trial
    was copied. The new file replaces the old one in a single step.

    Raises:
        InputError: there is no such file, or it has another schema.
    """
    file = folder / "trials.db"
    if not file.is_file():
        raise InputError(f"{folder}: there is no trials.db")
    with tempfile.TemporaryDirectory(prefix=".repair-", dir=folder) as scratch:
        copy, new = Path(scratch) / "old.db", Path(scratch) / "new.db"
        shutil.copyfile(file, copy)
        if (log := _side_file(file, "-wal")).is_file():
            shutil.copyfile(log, _side_file(copy, "-wal"))
        with closing(Salvage(copy)) as old:
            if old.is_intact() and (found := _report_if_intact(copy)):
                return found
            _check_schema(old, file)
            found = _salvage(old, new)
        return _install(found, file, new)


def _report_if_intact(copy: Path) -> RepairReport | None:
    """Return the report of a store in which everything can be read; None if it is damaged."""
    try:
        with closing(Store(_url(copy), new=False)) as store:
            records, curves = store.records(), store.curves()
            store.propagation()
            contents = store.predictions([record.key for record in records])
            stored: list[StoredRecord] = [StoredPredictions(key, content) for key, content in contents.items()]
            if any(_is_inconsistent(record) for record in [*stored, *records]):
                return None
    except InputError:
        return None
    ended = sum(record.status in FINISHED for record in records)
    return RepairReport(len(records), ended, len(curves), 0, 0, None)


def _check_schema(old: Salvage, file: Path) -> None:
    """Raise InputError if the file is a store of another schema; a number that no version has used is damage."""
    versions = {row[0] for row in old.rows(about.name, ["schema"])}
    if SCHEMA not in versions and (other := versions & set(range(1, 100))):
        raise InputError(f"{file}: written with schema {min(other)}; this version reads schema {SCHEMA}")


def _salvage(old: Salvage, new: Path) -> RepairReport:
    """Create the new store from the readable rows, and return what it holds."""
    refused, keys, counts = 0, set[str](), Counter[str]()
    with closing(Store(_url(new))) as store:
        with database.writing(store.engine) as connection:
            for table, kind in RECORD_TYPES.items():
                if table.name in OPTIONAL and not old.has(table.name):
                    continue
                empty = dict.fromkeys(column.name for column in table.columns)
                names = [name for name in empty if name not in ADDED or old.has(table.name, name)]
                for values in old.rows(table.name, names):
                    row = empty | dict(zip(names, values, strict=True))
                    # If the trial is lost it will run again, so its epochs would be those of another attempt.
                    known = table is trials or row["key"] in keys
                    if not known or (record := _copy_row(connection, table, kind, row)) is None:
                        refused += 1
                        continue
                    counts[table.name] += 1
                    if isinstance(record, TrialRecord):
                        keys.add(record.key)
                        counts["ended"] += record.status in FINISHED
        return RepairReport(len(keys), counts["ended"], counts["epochs"], old.gaps, refused, None)


def _copy_row(
    connection: sql.Connection, table: sql.Table, kind: type[StoredRecord], row: dict[str, Any]
) -> StoredRecord | None:
    """Copy a row to the new store and return its record; None, and no copy, if its content is wrong."""
    if any(isinstance(value, str) and "\0" in value for value in row.values()):
        # We never write zeros in text, but SQLite can read zeros from a missing page.
        return None
    same = [column == row[column.name] for column in table.primary_key]
    record: StoredRecord | None = None
    try:
        # Copy the raw values; reading them back checks their types.
        marks = ", ".join("?" * len(row))
        connection.exec_driver_sql(f"INSERT INTO {table.name} VALUES ({marks})", tuple(row.values()))
        columns = [table.c[field.name] for field in fields(kind)]
        [record] = database.validated(kind, connection.execute(sql.select(*columns).where(*same)).mappings())
        if _is_inconsistent(record):
            record = None
    except sql.exc.IntegrityError:
        # A row with this key is already there.
        return None
    except (InputError, ValueError, TypeError, KeyError, LookupError, OverflowError, RecursionError):
        record = None
    if record is None:
        connection.execute(table.delete().where(*same))
    elif table is trials:
        # No driver is running, so none holds the trial.
        connection.execute(table.update().where(*same).values(owner=None))
    return record


def _is_inconsistent(record: StoredRecord) -> bool:
    """Whether a trial's key does not match its description, or predictions do not match their checksum."""
    try:
        if isinstance(record, StoredPredictions):
            Predictions.from_bytes(record.content)
        if not isinstance(record, TrialRecord):
            return False
        spec = TrialSpec.of(record.spec)
        return (spec.key, spec.architecture.key, spec.seed) != (record.key, record.architecture, record.seed)
    except (InputError, ValueError):
        return True


def _install(found: RepairReport, file: Path, new: Path) -> RepairReport:
    """Replace the old file by the new one; keep the old one, with the side files that SQLite needs to read it."""
    kept = next(path for n in count(1) if not (path := file.with_name(f"{file.name}.damaged-{n}")).exists())
    with new.open("rb+") as written:
        os.fsync(written.fileno())
    try:
        kept.hardlink_to(file)
    except OSError:
        shutil.copy2(file, kept)
    for side in SIDE_SUFFIXES:
        # Otherwise SQLite would apply the old side files to the new file.
        if _side_file(file, side).exists():
            _side_file(file, side).replace(_side_file(kept, side))
    new.replace(file)
    return replace(found, kept=kept)


def _side_file(file: Path, side: str) -> Path:
    return file.with_name(file.name + side)


def _url(file: Path) -> sql.URL:
    return sql.URL.create("sqlite", database=str(file))
