"""What is left of a damaged store, as a store; the damaged file is kept beside it."""

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
from search.store.tables import SCHEMA, about, epochs, probes, trials
from search.trials.events import FINISHED, Epoch, Probe
from search.trials.record import TrialRecord
from search.trials.trial import TrialSpec

Kept = TrialRecord | Epoch | Probe
KINDS: dict[sql.Table, type[Kept]] = {trials: TrialRecord, epochs: Epoch, probes: Probe}

SIDES = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a file."""


@dataclass(frozen=True)
class Repaired:
    """What a repair has found. `gaps` are places that could not be read, `refused` rows that are not as written."""

    trials: int
    ended: int
    epochs: int
    gaps: int
    refused: int
    kept: Path | None
    """The damaged file; None if nothing was wrong."""

    @property
    def lines(self) -> list[str]:
        """For people."""
        found = f"{self.trials} trials, {self.ended} of them ended, and {self.epochs} epochs"
        if self.kept is None:
            return [f"nothing is wrong: {found}"]
        return [
            f"recovered {found}",
            f"lost what stood in {self.gaps} places that cannot be read, and {self.refused} rows that are not as they "
            "were written",
            f"the damaged file is kept: {self.kept}",
            "lost trials wait again at the next `resnet-space run`",
        ]


def repair(folder: Path) -> Repaired:
    """Make `trials.db` of a run's folder anew from what can be read of it, row by row.

    A row is taken if it is what was written, as far as that can be told: a trial if its key is that of its
    description, an epoch if its trial is there. The new file takes the place of the old one at once.

    Raises:
        InputError: there is no such file, or it is of another schema.
    """
    file = folder / "trials.db"
    if not file.is_file():
        raise InputError(f"{folder}: there is no trials.db")
    with tempfile.TemporaryDirectory(prefix=".repair-", dir=folder) as scratch:
        copy, new = Path(scratch) / "old.db", Path(scratch) / "new.db"
        shutil.copyfile(file, copy)
        if (log := _beside(file, "-wal")).is_file():
            shutil.copyfile(log, _beside(copy, "-wal"))
        with closing(Salvage(copy)) as old:
            if old.sound() and (found := _intact(copy)):
                return found
            _same_schema(old, file)
            found = _salvaged(old, new)
        return _put(found, file, new)


def _intact(copy: Path) -> Repaired | None:
    """What there is, if all of it can be read."""
    try:
        with closing(Store(_url(copy), new=False)) as store:
            records, curves = store.records(), store.curves()
            store.propagation()
            if any(_wrong(record) for record in records):
                return None
    except InputError:
        return None
    ended = sum(record.status in FINISHED for record in records)
    return Repaired(len(records), ended, len(curves), 0, 0, None)


def _same_schema(old: Salvage, file: Path) -> None:
    """Raise if the file is a store of another version; a number that no version had is damage."""
    there = {row[0] for row in old.rows(about.name, ["schema"])}
    if SCHEMA not in there and (other := there & set(range(1, 100))):
        raise InputError(f"{file}: written with schema {min(other)}; this version reads schema {SCHEMA}")


def _salvaged(old: Salvage, new: Path) -> Repaired:
    """The new store, and what is in it."""
    refused, keys, counts = 0, set[str](), Counter[str]()
    with closing(Store(_url(new))) as store:
        with database.writing(store.engine) as connection:
            for table, kind in KINDS.items():
                names = [column.name for column in table.columns]
                for values in old.rows(table.name, names):
                    row = dict(zip(names, values, strict=True))
                    # An epoch of a trial that is lost would be of another attempt.
                    known = table is trials or row["key"] in keys
                    if not known or (record := _moved(connection, table, kind, row)) is None:
                        refused += 1
                        continue
                    counts[table.name] += 1
                    if isinstance(record, TrialRecord):
                        keys.add(record.key)
                        counts["ended"] += record.status in FINISHED
        return Repaired(len(keys), counts["ended"], counts["epochs"], old.gaps, refused, None)


def _moved(connection: sql.Connection, table: sql.Table, kind: type[Kept], row: dict[str, Any]) -> Kept | None:
    """The record of a row that is in the new store now; None of one that is not as it was written."""
    if any(isinstance(value, str) and "\0" in value for value in row.values()):
        # Nothing that we write: of a page that is missing, SQLite may read zeros.
        return None
    same = [column == row[column.name] for column in table.primary_key]
    record: Kept | None = None
    try:
        # As SQLite had them: what they mean is seen when they are read.
        marks = ", ".join("?" * len(row))
        connection.exec_driver_sql(f"INSERT INTO {table.name} VALUES ({marks})", tuple(row.values()))
        columns = [table.c[field.name] for field in fields(kind)]
        [record] = database.checked(kind, connection.execute(sql.select(*columns).where(*same)).mappings())
        if isinstance(record, TrialRecord) and _wrong(record):
            record = None
    except sql.exc.IntegrityError:
        # One of this name is there already.
        return None
    except (InputError, ValueError, TypeError, KeyError, LookupError, OverflowError, RecursionError):
        record = None
    if record is None:
        connection.execute(table.delete().where(*same))
    elif table is trials:
        # No driver is at work, so none has it in hand.
        connection.execute(table.update().where(*same).values(owner=None))
    return record


def _wrong(record: TrialRecord) -> bool:
    """Whether a trial's description is not the one that it is named by."""
    try:
        spec = TrialSpec.of(record.spec)
        return (spec.key, spec.architecture.key, spec.seed) != (record.key, record.architecture, record.seed)
    except InputError:
        return True


def _put(found: Repaired, file: Path, new: Path) -> Repaired:
    """The new file in the place of the old one, which is kept, with what SQLite needs to read it."""
    kept = next(path for n in count(1) if not (path := file.with_name(f"{file.name}.damaged-{n}")).exists())
    with new.open("rb+") as written:
        os.fsync(written.fileno())
    try:
        kept.hardlink_to(file)
    except OSError:
        shutil.copy2(file, kept)
    for side in SIDES:
        # Or SQLite would take what stands there for the new file's.
        if _beside(file, side).exists():
            _beside(file, side).replace(_beside(kept, side))
    new.replace(file)
    return replace(found, kept=kept)


def _beside(file: Path, side: str) -> Path:
    return file.with_name(file.name + side)


def _url(file: Path) -> sql.URL:
    return sql.URL.create("sqlite", database=str(file))
