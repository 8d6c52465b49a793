"""Which of the stored trials are of a run, as its folder says what it is; what is said of the others."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from resnet_space import documents
from resnet_space.errors import InputError, printable
from search.files.folder import RunFolder
from search.store.status import Standing, opened
from search.trials.events import Status
from search.trials.identity import Identity
from search.trials.recipe import Recipe, resolved

if TYPE_CHECKING:
    from search.store.store import Store
    from search.trials.record import TrialRecord


def identity(recipe: Recipe, folder: RunFolder, store: Store) -> Identity:
    """Of a run's trials. Where the manifest does not say which data it is of, most of the trials do."""
    found = folder.fingerprints
    return Identity(recipe, found[0] if found else _most(each.spec.get("fingerprint") for each in store.records()))


class Own(NamedTuple):
    """A run's trials among those that are stored."""

    identity: Identity
    records: list[TrialRecord]
    others: int
    """How many stored trials are not the run's."""


def own(recipe: Recipe, folder: RunFolder, store: Store) -> Own:
    """The stored trials of a run.

    Raises:
        InputError: there are none.
    """
    found, stored = identity(recipe, folder, store), store.records()
    mine = found.own(stored)
    if not mine:
        raise InputError(f"{folder.path}: no trials yet; {left_out(len(stored))}")
    return Own(found, mine, len(stored) - len(mine))


def standing(records: Iterable[TrialRecord], whole: Standing) -> Standing:
    """How these trials stand, of a store's whole standing; those that are set aside do not count."""
    from search.trials.record import failed

    counted = [record for record in records if not record.aside]
    counts = Counter(str(record.status) for record in counted)
    reasons = Counter((str(record.status), printable(record.reason)) for record in counted if record.reason)
    keys = {record.key for record in counted}
    return replace(
        whole,
        counts={status: counts[status] for status in get_args(Status)},
        reasons=sorted(((*why, number) for why, number in reasons.items()), key=lambda row: (-row[2], row[:2])),
        failed=failed(counted),
        running=[row for row in whole.running if row[0] in keys],
    )


def left_out(number: int | None) -> str:
    """What is said of stored trials that are not the run's; nothing where there are none, or it is not known."""
    if not number:
        return ""
    subject, verb = ("1 stored trial", "is") if number == 1 else (f"{number} stored trials", "are")
    return f"{subject} {verb} of other data, another recipe or another version, and {verb} in no mean"


def strangers(folder: RunFolder, storage: str | None = None) -> int | None:
    """How many stored trials are not the run's; None where its study cannot be read, which other verbs say.

    The file of a run's folder is asked itself: importing SQLAlchemy takes longer than the answer.
    """
    try:
        study = documents.read(folder.study)
        recipe = Recipe.of(resolved(study["recipe"] if isinstance(study, Mapping) else None))
    except (InputError, KeyError):
        return None
    found, sessions, file = folder.fingerprints, folder.read_manifest()["sessions"], folder.path / "trials.db"
    if found and not storage and not sessions[-1].get("storage") and file.is_file():
        own = Identity(recipe, found[0])
        try:
            with opened(file) as connection:
                rows = connection.execute("SELECT key, architecture, seed FROM trials").fetchall()
        except sqlite3.Error:
            pass  # The store says what is wrong.
        else:
            return sum(str(key) != own.key(str(architecture), seed) for key, architecture, seed in rows)

    from search.store.store import Store

    with closing(Store.of(folder, storage)) as store:
        return store.others(identity(recipe, folder, store))


def _most(found: Iterable[Any]) -> str:
    counts = Counter(each for each in found if isinstance(each, str))
    return min(counts, key=lambda each: (-counts[each], each), default="")
