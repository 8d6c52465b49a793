"""Which stored trials belong to a run, given its folder, and the note about foreign trials, which do not."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from resnet_space import documents
from resnet_space.errors import InputError, printable
from search.data.description import DataSet, labels
from search.files.folder import RunFolder
from search.store.status import RunStatus, open_read_only
from search.trials.events import Status
from search.trials.identity import Identity
from search.trials.recipe import Recipe, resolve_recipe

if TYPE_CHECKING:
    from search.store.store import Store
    from search.trials.record import TrialRecord


def identity(recipe: Recipe, folder: RunFolder, store: Store) -> Identity:
    """Return the identity of a run's trials on the folder's data set.

    If the manifest has no fingerprint, it is that of most trials.

    Raises:
        InputError: the manifest lacks the fingerprint of a further data set, which no count of trials can replace.
    """
    found = folder.fingerprints
    if not found and folder.place:
        raise InputError(f"{folder.manifest}: has no fingerprint of data set {folder.place + 1} of the study")
    return Identity(
        recipe, found[0] if found else _most_common(each.spec.get("fingerprint") for each in store.records())
    )


def identities(recipe: Recipe, folder: RunFolder, store: Store) -> list[Identity]:
    """Return the identities of a run's trials, one for each data set of the run."""
    found = [Identity(recipe, fingerprint) for fingerprint in folder.own_fingerprints]
    return found or [identity(recipe, folder, store)]


class OwnTrials(NamedTuple):
    """A run's own trials on one data set, among the stored ones."""

    identity: Identity
    records: list[TrialRecord]
    others: int
    """The number of foreign trials: stored, but not the run's on any of its data sets."""


def own_trials(recipe: Recipe, folder: RunFolder, store: Store) -> OwnTrials:
    """Return the stored trials of a run on the folder's data set.

    Raises:
        InputError: the store has none.
    """
    found, stored = identity(recipe, folder, store), store.records()
    records = found.own_records(stored)
    if not records:
        raise InputError(f"{folder.path}: no trials yet; {foreign_note(len(stored))}")
    return OwnTrials(found, records, count_not_owned(stored, identities(recipe, folder, store)))


def count_not_owned(records: Iterable[TrialRecord], own: Sequence[Identity]) -> int:
    """Return the number of records that belong to none of these identities."""
    return sum(not any(each.owns(record) for each in own) for record in records)


def run_status(records: Iterable[TrialRecord], total: RunStatus) -> RunStatus:
    """Return the status of these trials alone, from the status of all trials; those set aside do not count."""
    from search.trials.record import failed

    counted = [record for record in records if not record.aside]
    counts = Counter(str(record.status) for record in counted)
    reasons = Counter((str(record.status), printable(record.reason)) for record in counted if record.reason)
    keys = {record.key for record in counted}
    return replace(
        total,
        counts={status: counts[status] for status in get_args(Status)},
        reasons=sorted(((*why, number) for why, number in reasons.items()), key=lambda row: (-row[2], row[:2])),
        failed=failed(counted),
        running=[row for row in total.running if row[0] in keys],
    )


def foreign_note(number: int | None) -> str:
    """Return the note about this number of foreign trials; empty for none, or an unknown number."""
    if not number:
        return ""
    subject, verb = ("1 stored trial", "is") if number == 1 else (f"{number} stored trials", "are")
    return f"{subject} {verb} of other data, another recipe or another version, and {verb} not part of any mean"


def count_foreign(folder: RunFolder, storage: str | None = None) -> int | None:
    """Return the number of foreign trials; None if the study cannot be read, which other commands report.

    Reads the SQLite file of a run's folder directly: importing SQLAlchemy takes longer than the query.
    """
    try:
        study = documents.read(folder.study)
        recipe = Recipe.of(resolve_recipe(study["recipe"] if isinstance(study, Mapping) else None))
    except (InputError, KeyError):
        return None
    found, sessions, file = folder.own_fingerprints, folder.read_manifest()["sessions"], folder.path / "trials.db"
    if found and not storage and not sessions[-1].get("storage") and file.is_file():
        own = [Identity(recipe, fingerprint) for fingerprint in found]
        try:
            with open_read_only(file) as connection:
                rows = connection.execute("SELECT key, architecture, seed FROM trials").fetchall()
        except sqlite3.Error:
            pass  # The store reports what is wrong.
        else:
            return sum(not any(str(key) == each.key(str(net), seed) for each in own) for key, net, seed in rows)

    from search.store.store import Store

    with closing(Store.of(folder, storage)) as store:
        return store.count_foreign(identities(recipe, folder, store))


def count_by_data_set(
    folder: RunFolder, storage: str | None = None, interrupted: Collection[str] = ()
) -> dict[str, dict[str, int]]:
    """Return the number of trials by status on each data set of a run, by its label; empty for a run on one.

    Args:
        interrupted: keys of trials that are marked as running and count as waiting.
    """
    try:
        study = documents.read(folder.study)
        if not isinstance(study, Mapping) or not isinstance(study.get("data"), list):
            return {}
        recipe = Recipe.of(resolve_recipe(study["recipe"]))
        datasets = [DataSet.of(each) for each in study["data"]]
    except (InputError, KeyError):
        return {}
    from search.store.store import Store

    with closing(Store.of(folder, storage)) as store:
        records = [record for record in store.records() if not record.aside]
        owners = [identity(recipe, folder.at(place), store) for place in range(len(datasets))]
    counts = {}
    for label, own in zip(labels(datasets), owners, strict=True):
        found = Counter(
            "waiting" if record.key in interrupted else str(record.status) for record in own.own_records(records)
        )
        counts[label] = {status: found[status] for status in get_args(Status)}
    return counts


def _most_common(found: Iterable[Any]) -> str:
    counts = Counter(each for each in found if isinstance(each, str))
    return min(counts, key=lambda each: (-counts[each], each), default="")
