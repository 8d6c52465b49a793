"""`read_run_status` gives the store's own answers, faster; for an unusual file it gives None."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from search.files.folder import RunFolder
from search.store.status import SCHEMA, read_run_status
from search.store.store import Store
from search.trials.events import Finished, Started
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

SESSION = {
    "began": "2026-01-01T00:00:00+00:00",
    "machine": {"host": "here", "system": "Linux", "python": "3.11", "cpus": 2, "gpus": []},
    "versions": {},
    "commit": None,
}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run's folder with one session and no trials."""
    (tmp_path / "manifest.json").write_text(json.dumps({"sessions": [SESSION]}))
    return RunFolder(tmp_path)


@pytest.fixture
def store(folder: RunFolder) -> Iterator[Store]:
    opened = Store.at(folder.path)
    yield opened
    opened.close()


def test_the_status_from_the_file_equals_the_stores(folder: RunFolder, store: Store, trial: Trial) -> None:
    specs = [trial(seed=seed) for seed in range(6)]
    store.add(specs)
    keys = [spec.key for spec in specs]
    for key in keys[:4]:
        store.write([Started(key, "here", "cpu")])
    store.write([Finished(keys[2], "failed", "why\x1b[31m", traceback="...")])
    store.write([Finished(keys[0], "failed", "why\x1b[31m")])
    store.write([Finished(keys[1], "diverged", "loss is nan at step 1")])
    store.write([Finished(keys[4], "failed", "of another space")])
    store.set_aside([keys[4]])
    found = read_run_status(folder)
    assert found is not None
    assert found == store.run_status()
    assert found.counts == {
        "waiting": 1, "running": 1, "complete": 0, "pruned": 0, "diverged": 1, "failed": 2, "infeasible": 0
    }  # fmt: skip
    assert [number for *_, number in found.reasons] == [2, 1]
    assert found.failed == [keys[2], keys[0]]


STRANGE: dict[str, Callable[[Path], object]] = {
    "no session": lambda path: (path / "manifest.json").unlink(),
    "trials elsewhere": lambda path: (path / "manifest.json").write_text(
        json.dumps({"sessions": [SESSION | {"storage": "sqlite:////elsewhere.db"}]})
    ),
    "no file": lambda path: (path / "trials.db").unlink(),
    "a file of nothing": lambda path: (path / "trials.db").write_bytes(b""),
    "no database": lambda path: (path / "trials.db").write_bytes(b"an essay on ResNets" * 100),
    "another schema": lambda path: changed(path, f"UPDATE about SET schema = {SCHEMA + 1}"),
    "no status": lambda path: changed(path, "UPDATE trials SET status = 'thriving'"),
    "no table": lambda path: changed(path, "DROP TABLE about"),
    "a view": lambda path: changed(
        path, "ALTER TABLE trials RENAME TO others; CREATE VIEW trials AS SELECT * FROM others"
    ),
}


def changed(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path / "trials.db")) as connection:
        connection.executescript(script)


@pytest.mark.parametrize("what", STRANGE)
def test_an_unusual_store_has_no_status_from_its_file(what: str, folder: RunFolder, trial: Trial) -> None:
    store = Store.at(folder.path)
    store.add([trial()])
    store.close()
    assert read_run_status(folder) is not None
    STRANGE[what](folder.path)
    assert read_run_status(folder) is None


def test_reading_the_status_changes_nothing(folder: RunFolder, store: Store, trial: Trial) -> None:
    store.add([trial()])
    store.close()
    before = (folder.path / "trials.db").read_bytes()
    read_run_status(folder)
    assert (folder.path / "trials.db").read_bytes() == before


def test_status_of_a_folder_imports_neither_sqlalchemy_nor_torch(folder: RunFolder, store: Store, trial: Trial) -> None:
    store.add([trial()])
    (folder.path / "study.yaml").write_text("name: mine")
    code = (
        "import sys; from resnet_space.cli import app; app(['status', sys.argv[1]], standalone_mode=False); "
        "sys.exit(bool({'sqlalchemy', 'torch', 'pandas'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(folder.path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "waiting     1" in ran.stdout
