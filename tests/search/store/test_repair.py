"""A damaged store is reported, and `repair` recovers the readable rows: only true rows, none of them changed."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweeping import sweep

from resnet_space.errors import InputError
from search.running.feed import Feed
from search.store.repair import RepairReport, repair
from search.store.store import Store
from search.store.tables import ADDED
from search.trials.events import Epoch, Event, Finished, Probe, Started
from search.trials.predictions import Predictions
from search.trials.record import TrialRecord
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]
Content = tuple[dict[str, TrialRecord], dict[tuple[str, int], Any], dict[tuple[str, int], Probe], dict[str, bytes]]

TRIALS, EPOCHS = 12, 8


def end(spec: TrialSpec) -> Finished:
    if spec.seed % 4 == 3:
        # Longer than a page, so that it continues elsewhere in the file.
        return Finished(spec.key, "failed", "OSError: gone", traceback=f"line of {spec.seed}\n" * 1600)
    return Finished(
        spec.key,
        "complete",
        test_error=spec.seed / 64,
        validation_error=spec.seed / 32,
        seconds=3.0,
        top5_error=spec.seed / 128,
        predictions=predicted(spec.seed),
    )


def predicted(seed: int) -> bytes:
    """The predictions of a trial for 300 images, `seed` of them wrong."""
    label = np.arange(300) % 10
    answer = np.where(np.arange(300) < seed, (label + 1) % 10, label)
    loss = np.random.default_rng(seed).random(300)
    return Predictions("0" * 16, label, answer, loss, np.full(300, 0.5)).to_bytes()


def does(feed: Feed) -> None:
    """A runner that gives each trial its own numbers."""
    while job := feed.next():
        for spec in job.trials:
            feed.tell([Started(spec.key, "anvil", "cpu")])
            feed.tell([Probe(spec.key, 0, [0.5, spec.seed], [1.0, None], [2.0, 3.0], [0.0, 0.25])])
            for number in range(1, EPOCHS + 1):
                error = (spec.seed + number) / 64
                feed.tell([Epoch(spec.key, number, 7 * number, 0.1, 2.0, error, error, 1.0, 200.0)])
            feed.tell([end(spec)])


def at(folder: Path) -> Store:
    """A folder's store that does not wait for the disk."""
    store = Store.at(folder)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA synchronous=OFF")
    return store


def content(store: Store) -> Content:
    records = {record.key: record for record in store.records()}
    curves = {(row["key"], row["epoch"]): row for row in store.curves().to_dict("records")}
    probes = {(probe.key, probe.epoch): probe for probe in store.propagation()}
    return records, curves, probes, store.predictions(records)


def read(folder: Path) -> Content:
    store = Store.at(folder, new=False)
    try:
        return content(store)
    finally:
        store.close()


def read_by(folder: Path, *, new: bool) -> Content | InputError:
    """The content of a folder's store, or the error that opening or reading it raises."""
    try:
        store = Store.at(folder, new=new)
        try:
            return content(store)
        finally:
            store.close()
    except InputError as error:
        return error


@pytest.fixture(scope="module")
def specs(trial: Trial) -> list[TrialSpec]:
    return [trial(seed=seed) for seed in range(TRIALS)]


@pytest.fixture(scope="module")
def whole(specs: list[TrialSpec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with a store that was closed normally."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("study.yaml", "manifest.json"):
        (folder / name).write_text('{"sessions": []}')
    store = at(folder)
    sweep([Job(trials=(spec,)) for spec in specs], store, does, lambda _: None)
    store.close()
    return folder


@pytest.fixture(scope="module")
def truth(whole: Path) -> Content:
    return read(whole)


def damaged(whole: Path, to: Path, change: Callable[[bytearray], object]) -> Path:
    """A copy of the folder with a changed file."""
    folder = Path(shutil.copytree(whole, to))
    data = bytearray((folder / "trials.db").read_bytes())
    change(data)
    (folder / "trials.db").write_bytes(data)
    return folder


def assert_part_of(truth: Content, found: Content) -> None:
    for whole, part in zip(truth, found, strict=True):
        assert part == {key: whole[key] for key in part}


def page_size(data: bytes) -> int:
    return int.from_bytes(data[16:18], "big")


def test_a_damaged_store_of_an_earlier_version_is_repaired(whole: Path, truth: Content, tmp_path: Path) -> None:
    older = Path(shutil.copytree(whole, tmp_path / "older"))
    with closing(sqlite3.connect(older / "trials.db")) as connection:
        for name in ADDED:
            connection.execute(f"ALTER TABLE trials DROP COLUMN {name}")
        connection.commit()
    without = {key: replace(record, **dict.fromkeys(ADDED)) for key, record in truth[0].items()}
    assert read(older)[0] == without
    folder = damaged(older, tmp_path / "damaged", lambda data: data.__delitem__(slice(-page_size(data), None)))
    assert repair(folder).kept is not None
    found = read(folder)
    assert found[0]
    assert_part_of((without, *truth[1:]), found)


@pytest.mark.slow
def test_a_store_truncated_at_any_page_boundary_is_reported_and_repaired_and_the_run_resumes(
    whole: Path, truth: Content, specs: list[TrialSpec], tmp_path: Path
) -> None:
    original = (whole / "trials.db").read_bytes()
    size = page_size(original)
    boundaries = range(0, len(original), size)
    assert len(boundaries) > 30
    recovered = []
    for boundary in boundaries:
        folder = damaged(whole, tmp_path / str(boundary), lambda data, at=boundary: data.__delitem__(slice(at, None)))
        for new in (False, True):
            said = read_by(folder, new=new)
            assert isinstance(said, InputError), "a page is missing"
            assert str(said).endswith(f"; `resnet-space repair {folder}` recovers what can be read")
            assert "\n" not in str(said)
        assert (folder / "trials.db").read_bytes() == original[:boundary], "reading changes nothing"
        found = repair(folder)
        assert found.kept is not None
        assert found.kept.read_bytes() == original[:boundary]
        part = read(folder)
        assert_part_of(truth, part)
        assert (found.trials, found.epochs) == (len(part[0]), len(part[1]))
        recovered.append(found.trials)
        if boundary // size % 3:
            shutil.rmtree(folder)
            continue
        store = at(folder)
        done: list[Event] = []
        sweep([Job(trials=(spec,)) for spec in specs], store, does, done.append)
        assert not {event.key for event in done} & set(part[0]), "a recovered trial does not run again"
        assert {key: record.test_error for key, record in content(store)[0].items()} == {
            key: record.test_error for key, record in truth[0].items()
        }
        store.close()
        shutil.rmtree(folder)
    assert recovered[0] == 0
    assert max(recovered) >= TRIALS - 2, "only the rows of the last page are lost"
    assert len(set(recovered)) > 3


@pytest.mark.slow
def test_changed_bytes_anywhere_are_reported_or_harmless_and_repair_never_fails(
    whole: Path, truth: Content, tmp_path: Path
) -> None:
    """A changed number within a row goes unnoticed, since a row has no checksum; a changed key does not."""
    rng = random.Random(7)
    keys = set(truth[0])
    for number in range(30):

        def turn(data: bytearray) -> None:
            for _ in range(rng.choice([1, 16, 256])):
                data[rng.randrange(len(data))] ^= rng.randrange(1, 256)

        folder = damaged(whole, tmp_path / str(number), turn)
        for new in (False, True):
            said = read_by(folder, new=new)
            assert not isinstance(said, InputError) or "\n" not in str(said)
        found = repair(folder)
        part = read(folder)
        assert set(part[0]) <= keys
        assert {key for key, _ in part[1]} <= set(part[0])
        assert found.trials == len(part[0])
        shutil.rmtree(folder)


def test_a_damaged_page_loses_its_own_rows_and_no_others(whole: Path, truth: Content, tmp_path: Path) -> None:
    size = page_size((whole / "trials.db").read_bytes())
    pages = (whole / "trials.db").stat().st_size // size
    most = 0
    for page in range(1, pages, 3):
        folder = damaged(
            whole,
            tmp_path / str(page),
            lambda data, at=page * size: data.__setitem__(slice(at, at + size), b"\xff" * size),
        )
        repair(folder)
        part = read(folder)
        assert_part_of(truth, part)
        most += len(part[0]) == TRIALS
    assert most > pages / 9, "most pages hold epochs and indexes"


def test_an_intact_store_is_not_changed(whole: Path, truth: Content, tmp_path: Path) -> None:
    folder = damaged(whole, tmp_path / "run", lambda data: None)
    before = (folder / "trials.db").read_bytes()
    assert repair(folder) == RepairReport(TRIALS, TRIALS, EPOCHS * TRIALS, 0, 0, None)
    assert (folder / "trials.db").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "study.yaml", "trials.db"]


def test_repair_also_reads_the_side_files_of_a_killed_driver(
    specs: list[TrialSpec], tmp_path: Path, whole: Path
) -> None:
    """The last writes are in SQLite's write-ahead log, and not yet in the file."""
    (tmp_path / "a").mkdir()
    store = at(tmp_path / "a")
    jobs = [Job(trials=(spec,)) for spec in specs]
    sweep(jobs[:6], store, does, lambda _: None)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    sweep(jobs, store, does, lambda _: None)
    killed = tmp_path / "b"
    killed.mkdir()
    for side in ("", "-wal"):
        shutil.copy(tmp_path / "a" / f"trials.db{side}", killed / f"trials.db{side}")
    truth = content(store)
    store.close()
    with (killed / "trials.db").open("rb+") as file:
        file.truncate(8 * page_size((whole / "trials.db").read_bytes()))
    assert repair(killed).kept
    part = read(killed)
    assert_part_of(truth, part)
    assert {spec.key for spec in specs[6:]} & set(part[0]), "trials that are only in the log"
    assert not (killed / "trials.db-wal").exists()
    assert (killed / "trials.db.damaged-1-wal").is_file()


def test_every_damaged_file_is_kept(whole: Path, tmp_path: Path) -> None:
    folder = damaged(whole, tmp_path / "run", lambda data: data.__delitem__(slice(40_000, None)))
    first = repair(folder).kept
    data = (folder / "trials.db").read_bytes()
    (folder / "trials.db").write_bytes(data[: len(data) // 2])
    second = repair(folder).kept
    assert (first, second) == (folder / "trials.db.damaged-1", folder / "trials.db.damaged-2")
    assert first is not None
    assert first.stat().st_size == 40_000


def test_a_trial_whose_key_does_not_match_is_not_recovered(whole: Path, truth: Content, tmp_path: Path) -> None:
    folder = damaged(whole, tmp_path / "run", lambda data: None)
    with sqlite3.connect(folder / "trials.db") as connection:
        connection.execute("UPDATE trials SET seed = 99 WHERE seed = 2")
        connection.execute("UPDATE trials SET spec = replace(spec, '\"epochs\": 3', '\"epochs\": 4') WHERE seed = 3")
        connection.execute("UPDATE trials SET test_error = 'low' WHERE seed = 4")
    connection.close()
    found = repair(folder)
    assert (found.trials, found.gaps, found.refused) == (TRIALS - 3, 0, 3 * (1 + EPOCHS + 1) + 2)
    assert_part_of(truth, read(folder))


def test_predictions_that_do_not_match_their_checksum_are_not_recovered(
    whole: Path, truth: Content, tmp_path: Path
) -> None:
    folder = damaged(whole, tmp_path / "run", lambda data: None)
    (key, *_) = sorted(truth[3])
    content = bytearray(truth[3][key])
    content[len(content) // 2] ^= 1
    with sqlite3.connect(folder / "trials.db") as connection:
        connection.execute("UPDATE predictions SET content = ? WHERE key = ?", (bytes(content), key))
    connection.close()
    found = repair(folder)
    assert (found.trials, found.gaps, found.refused) == (TRIALS, 0, 1)
    assert truth[3].keys() - read(folder)[3].keys() == {key}


def test_a_damaged_store_of_an_earlier_version_has_no_gap_where_predictions_would_be(
    whole: Path, truth: Content, tmp_path: Path
) -> None:
    folder = damaged(whole, tmp_path / "run", lambda data: None)
    with sqlite3.connect(folder / "trials.db") as connection:
        connection.execute("DROP TABLE predictions")
        connection.execute("UPDATE trials SET test_error = 'low' WHERE seed = 4")
    connection.close()
    found = repair(folder)
    assert (found.trials, found.gaps) == (TRIALS - 1, 0)
    assert read(folder)[3] == {}


def test_a_store_of_another_schema_is_not_changed(whole: Path, tmp_path: Path) -> None:
    folder = damaged(whole, tmp_path / "run", lambda data: None)
    with sqlite3.connect(folder / "trials.db") as connection:
        connection.execute("UPDATE about SET schema = 99")
    connection.close()
    before = (folder / "trials.db").read_bytes()
    with pytest.raises(InputError, match=r"trials\.db: written with schema 99; this version reads schema"):
        repair(folder)
    assert (folder / "trials.db").read_bytes() == before


def test_a_folder_without_a_store_has_nothing_to_repair(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no trials\.db"):
        repair(tmp_path)
