"""Which stored trials belong to a run, given its folder, and the note about foreign trials, which do not."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from resnet_space import documents
from resnet_space.errors import InputError, printable
from search.data.description import DataSet
from search.files.folder import RunFolder
from search.store.status import RunStatus, open_read_only
from search.trials.events import Status
from search.trials.identity import Identities, Identity
from search.trials.recipe import Recipe, resolve_recipe
from search.trials.setup import HEADS
from search.trials.trial import TrialSpec

if TYPE_CHECKING:
    from search.store.store import Store
    from search.trials.record import TrialRecord
    from search.trials.study import Study


@dataclass(frozen=True)
class StoredImages:
    """What a run's folder knows of the images of a data set; see `KnownImages`."""

    shape: tuple[int, int, int]
    classes: int
    fingerprint: str


def own_fingerprint(folder: RunFolder, store: Store) -> str:
    """Return the fingerprint of the folder's data set; if the manifest has none, that of most trials.

    Raises:
        InputError: the manifest lacks the fingerprint of a further data set, which no count of trials can replace.
    """
    found = folder.fingerprints
    if not found and folder.place:
        raise InputError(f"{folder.manifest}: has no fingerprint of data set {folder.place + 1} of the study")
    return found[0] if found else _most_common(each.spec.get("fingerprint") for each in store.records())


def identities(study: Study, folder: RunFolder, store: Store) -> Identities:
    """Return the identities of a run's trials on the folder's data set.

    Raises:
        InputError: as `own_fingerprint`.
    """
    whole = own_fingerprint(folder, store)
    prints = {data: _print(data, study, folder, whole) for data in study.datasets}
    return identities_of(study, store, prints)


def identities_of(study: Study, store: Store, prints: Mapping[DataSet, str]) -> Identities:
    """Return the same, given the fingerprints of the data of `trainings`; an empty one is not known."""
    own = [Identity(recipe, prints[data]) for recipe, data in study.trainings if prints[data]]
    return Identities(own, () if study.settled else _found(study, store, prints[study.dataset]))


def _print(data: DataSet, study: Study, folder: RunFolder, whole: str) -> str:
    """Return the fingerprint of the data of an arm; empty if it is not stored."""
    if data == study.dataset:
        return whole
    return str((folder.facts_of(data.identifying) or {}).get("fingerprint", ""))


def _found(study: Study, store: Store, whole: str) -> Iterator[Identity]:
    """Yield the identities of stored trials whose recipe and data the space of a search can have."""
    own = study.dataset.identifying
    for spec in store.trainings().values():
        try:
            recipe, data = Recipe.of(spec["recipe"]), DataSet.of(spec["data"])
        except (InputError, KeyError):
            continue  # of another version
        if study.makes(recipe, data) and (data.identifying != own or spec["fingerprint"] == whole):
            yield Identity(recipe, str(spec["fingerprint"]))


def all_identities(study: Study, folder: RunFolder, store: Store) -> Identities:
    """Return the identities of a run's trials on all of its data sets.

    Args:
        study: the complete one, or its part on the folder's data set.
    """
    if study.several:
        parts = [identities(part, folder.at(place), store) for place, part in enumerate(study.on_each.values())]
        return Identities([own for part in parts for own in part.own])
    others = {each for each in folder.every_fingerprint if [each] != folder.fingerprints[:1]}
    elsewhere = [Identity(recipe, each) for each in others for recipe, _ in study.trainings]
    own = identities(study, folder, store)
    return own | Identities(elsewhere) if elsewhere else own


def varied(study: Study, store: Store, trainings: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return `Study.varied` of recipes and data, by `Identity.training`; of those of earlier versions, the study's."""
    found = {}
    stored = store.trainings(trainings)
    for training in trainings:
        spec = stored.get(training)
        try:
            recipe, data = (Recipe.of(spec["recipe"]), DataSet.of(spec["data"])) if spec else study.trainings[0]
        except (InputError, KeyError) as error:
            raise InputError(f"storage {store.name!r}: a trial has no valid recipe and data: {error}") from None
        found[training] = study.varied(recipe, data)
    return found


class OwnTrials(NamedTuple):
    """A run's own trials on one data set, among the stored ones."""

    identities: Identities
    records: list[TrialRecord]
    others: int
    """The number of foreign trials: stored, but not the run's on any of its data sets."""


def own_trials(study: Study, folder: RunFolder, store: Store) -> OwnTrials:
    """Return the stored trials of a run on the folder's data set.

    Raises:
        InputError: the store has none.
    """
    found, stored = identities(study, folder, store), store.records()
    records = found.own_records(stored)
    if not records:
        raise InputError(f"{folder.path}: no trials yet" + (f"; {foreign_note(len(stored))}" if stored else ""))
    return OwnTrials(found, records, count_not_owned(stored, all_identities(study, folder, store)))


def count_not_owned(records: Iterable[TrialRecord], own: Identities) -> int:
    """Return the number of records that have none of these identities."""
    return sum(not own.owns(record) for record in records)


def images_of(
    study: Study, folder: RunFolder, specs: Iterable[tuple[str, Mapping[str, Any]]]
) -> dict[DataSet, StoredImages]:
    """Return what is known of the images of each data set of the study's `trainings`.

    Args:
        specs: descriptions of trials of the run, as they are stored, each with its name for messages; at least one.
            They show the shape of images that an earlier version did not store.

    Raises:
        InputError: one of them is no description of a trial.
    """
    # One trial of each data: reading a description takes longer than anything else here.
    alike = {json.dumps(spec.get("data"), sort_keys=True): (name, spec) for name, spec in specs}
    read = [TrialSpec.of(spec, source=name) for name, spec in alike.values()]
    examples = {json.dumps(spec.data.identifying): spec for spec in read}
    some = next(iter(examples.values())).architecture
    found = {}
    for data in study.datasets:
        facts = folder.data if data == study.dataset else folder.facts_of(data.identifying)
        example = examples.get(json.dumps(data.identifying))
        if example is not None:
            net = example.architecture
            found[data] = StoredImages(net.input_shape, net.classes, example.fingerprint)
        elif facts:
            channels, height, width = facts["shape"]
            found[data] = StoredImages((channels, height, width), len(facts["classes"]), facts["fingerprint"])
        else:
            # Nothing was trained on them.
            found[data] = StoredImages(some.input_shape, some.classes, "")
    return found


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


def needs_study(folder: RunFolder) -> bool:
    """Whether the complete study is needed to find a run's own trials; fast to find out.

    It is if there are several data sets, or if networks can differ in recipe or data.
    """
    try:
        study = documents.read(folder.study)
    except InputError:
        return False
    parts = study if isinstance(study, Mapping) else {}
    named = any(_names_training(parts.get(name)) for name in ("set", "arms", "factors", "space", "tune"))
    return named or isinstance(parts.get("data"), list)


def _names_training(value: Any) -> bool:
    if isinstance(value, str):
        return value.split(".")[0] in HEADS
    if isinstance(value, Mapping):
        return any(map(_names_training, (*value, *value.values())))
    return isinstance(value, list) and any(map(_names_training, value))


def count_foreign(folder: RunFolder, storage: str | None = None) -> int | None:
    """Return the number of foreign trials of a run without `needs_study`.

    None if the study cannot be read, which other commands report. Reads the SQLite file of a run's folder directly:
    importing SQLAlchemy takes longer than the query.
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
        prints = found or [own_fingerprint(folder, store)]
        return store.count_foreign(Identities([Identity(recipe, each) for each in prints]))


def count_by_data_set(
    folder: RunFolder, study: Study, store: Store, interrupted: Collection[str] = ()
) -> dict[str, dict[str, int]]:
    """Return the number of trials by status on each data set of a run, by its label; empty for a run on one.

    Args:
        interrupted: keys of trials that are marked as running and count as waiting.
    """
    if not study.several:
        return {}
    records = [record for record in store.records() if not record.aside]
    counts = {}
    for place, (label, part) in enumerate(study.on_each.items()):
        own = identities(part, folder.at(place), store)
        found = Counter(
            "waiting" if record.key in interrupted else str(record.status) for record in own.own_records(records)
        )
        counts[label] = {status: found[status] for status in get_args(Status)}
    return counts


def _most_common(found: Iterable[Any]) -> str:
    counts = Counter(each for each in found if isinstance(each, str))
    return min(counts, key=lambda each: (-counts[each], each), default="")
