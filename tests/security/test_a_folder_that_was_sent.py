"""A run's folder from a stranger: reading it changes nothing, leads nowhere else, and calls nobody."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from verbs import Cli, every_verb

from resnet_space import InputError
from search.files.folder import RunFolder
from search.store.store import Store

Send = Callable[[str], Path]


def contents(folder: Path) -> dict[str, str]:
    """The contents of the files, without those that verbs write and those that SQLite leaves when it reads."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith((".db-shm", ".db-wal", "optuna.db")) and "report" not in path.parts
    }


def stored(folder: Path, statement: str, *values: Any) -> None:
    """Change its database."""
    connection = sqlite3.connect(folder / "trials.db")
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def named(folder: Path, **facts: Any) -> None:
    """Change the last session of its manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sessions"][-1].update(facts)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("kind", ["ablation", "search"])
def test_reading_a_folder_leaves_it_as_it_was(kind: str, send: Send, resnet_space: Cli) -> None:
    sent = send(kind)
    before = contents(sent)
    assert [result.status for result in every_verb(resnet_space, sent)[:-2]] == [0, 0, 0, 0]
    assert contents(sent) == before


@pytest.mark.parametrize("name", ["checkpoints", "report", "trials.db", "manifest.json", "study.yaml", "checkpoints/x"])
def test_a_link_out_of_the_folder_is_refused_and_not_followed(name: str, sent: Path, resnet_space: Cli) -> None:
    outside = sent.parent / "outside"
    link = sent / name
    if link.is_file():
        outside.write_bytes(link.read_bytes())
        link.unlink()
    else:
        outside.mkdir()
        (outside / "checkpoint.pt").write_text("mine")
        if link.is_dir():
            link.rename(sent.parent / "aside")
    link.symlink_to(outside)
    before = contents(sent.parent)
    for result in (*every_verb(resnet_space, sent)[:-1], resnet_space("run", "study.yaml", "--out", sent, "--inline")):
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith(f"error: {link}: leads out of the run's folder, to {outside}")
    assert contents(sent.parent) == before


def test_a_link_within_the_folder_may_stay(sent: Path, resnet_space: Cli) -> None:
    (sent / "checkpoints").rename(sent / "large")
    (sent / "checkpoints").symlink_to("large")
    assert resnet_space("status", sent).status == 0


def test_the_folder_itself_may_be_a_link(sent: Path, resnet_space: Cli) -> None:
    Path("here").symlink_to(sent)
    assert resnet_space("status", "here").status == 0


@pytest.mark.parametrize("key", ["../../outside", "/etc/passwd", "x" * 16, ""])
def test_a_key_that_is_a_path_is_no_key(key: str, sent: Path, resnet_space: Cli) -> None:
    stored(sent, "UPDATE trials SET key = ? WHERE key = (SELECT min(key) FROM trials)", key)
    result = resnet_space("report", sent, "--format", "csv")
    assert result.status == 2
    assert "trials.db': damaged: key: " in result.err


def test_a_server_that_the_manifest_names_is_not_called(sent: Path, resnet_space: Cli) -> None:
    named(sent, storage="postgresql+psycopg://ada:hunter2@stranger.example/db")
    result = resnet_space("status", sent)
    assert result.status == 2
    assert result.err == (
        f"error: {sent}: its trials are in postgresql+psycopg://ada:***@stranger.example/db; "
        "to read them there, give --storage URL\n"
    )


def test_a_file_that_the_manifest_names_is_read_and_never_written(sent: Path, resnet_space: Cli) -> None:
    mine = sent.parent / "mine.db"
    connection = sqlite3.connect(mine)
    connection.execute("CREATE TABLE letters (text TEXT)")
    connection.commit()
    connection.close()
    before = mine.read_bytes()
    named(sent, storage=f"sqlite:///{mine}")
    result = resnet_space("status", sent)
    assert (result.status, result.out) == (2, "")
    assert mine.read_bytes() == before
    named(sent, storage=f"sqlite:///{sent.parent / 'nowhere.db'}")
    assert "there is no such file" in resnet_space("status", sent).err
    assert not (sent.parent / "nowhere.db").exists()


def test_a_view_in_place_of_a_table_is_no_store(sent: Path) -> None:
    stored(sent, "ALTER TABLE about RENAME TO hidden")
    stored(sent, "CREATE VIEW about AS SELECT schema FROM hidden")
    with pytest.raises(InputError, match="written with schema none"):
        Store.at(sent, new=False)


def test_a_store_that_is_read_cannot_be_written(sent: Path) -> None:
    store = Store.at(sent, new=False)
    with pytest.raises(InputError, match="readonly"):
        store.retry()
    store.close()


MANIFESTS = {
    "[]": "Input should be",
    "{": "Expecting property name",
    '{"sessions": 3}': "sessions: ",
    '{"sessions": [{}]}': "sessions.0.began: ",
    '{"sessions": [{"joules": NaN}]}': "NaN is not JSON",
    "[" * 100_000: "recursion",
    "\udcff": "utf-8",
}


@pytest.mark.parametrize("text", MANIFESTS, ids=lambda text: ascii(text[:30]))
def test_what_is_no_manifest_is_told_and_not_overwritten(text: str, sent: Path, resnet_space: Cli) -> None:
    content = text.encode("utf-8", "surrogateescape")
    (sent / "manifest.json").write_bytes(content)
    for result in (resnet_space("status", sent), resnet_space("run", "study.yaml", "--out", sent, "--inline")):
        assert (result.status, result.out) == (2, "")
        assert re.match(rf"error: {sent}/manifest.json: not a manifest: .*{MANIFESTS[text]}", result.err)
    assert (sent / "manifest.json").read_bytes() == content


DAMAGES = [
    "UPDATE trials SET spec = '{'",
    "UPDATE trials SET spec = '[]'",
    "UPDATE trials SET spec = '{}'",
    "UPDATE trials SET status = 'odd'",
    "UPDATE trials SET seed = -1",
    "UPDATE trials SET test_error = 'none'",
    "UPDATE trials SET validation_error = 9e999",
    "UPDATE trials SET started = 'yesterday'",
    "UPDATE trials SET reason = x'ff00'",
    "UPDATE trials SET proposal = '3'",
    "UPDATE epochs SET loss = 'low'",
    "DROP TABLE epochs",
    "ALTER TABLE trials DROP COLUMN host",
    "UPDATE about SET schema = 99",
]


@pytest.mark.parametrize("kind", ["ablation", "search"])
@pytest.mark.parametrize("statement", DAMAGES)
def test_a_store_that_says_nonsense_is_told_of_without_a_traceback(
    statement: str, kind: str, send: Send, resnet_space: Cli
) -> None:
    sent = send(kind)
    stored(sent, statement)
    result = resnet_space("report", sent, "--format", "csv")
    assert (result.status, result.out) == (2, "")
    assert re.match(r"error: (storage 'sqlite:///.*trials\.db': |trial [0-9a-f]{16}: |.*no trials)", result.err), (
        result.err
    )


def test_the_folder_of_another_study_s_is_refused(sent: Path, resnet_space: Cli) -> None:
    result = resnet_space("run", "transitions", "--out", sent, "--inline")
    assert result.status == 2
    assert "holds another study" in result.err


@pytest.mark.parametrize("text", ["- a\n", "name: 3\n", "kind: ablation\n"])
def test_a_study_that_is_none_is_told_of(text: str, sent: Path, resnet_space: Cli) -> None:
    (sent / "study.yaml").write_text(text)
    result = resnet_space("front", sent)
    assert result.status == 2
    assert result.err.startswith(f"error: {sent}/study.yaml: ")


def test_a_file_in_place_of_the_report_s_folder_is_told_of(sent: Path, resnet_space: Cli) -> None:
    (sent / "report").write_text("mine")
    result = resnet_space("report", sent, "--format", "csv")
    assert (result.status, result.out) == (2, "")
    assert result.err == f"error: {sent}/report: File exists\n"
    assert (sent / "report").read_text() == "mine"


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    import os

    from search.files.atomic import write_text

    (tmp_path / "mine").write_text("mine")
    (tmp_path / f".report.md.{os.getpid()}").symlink_to(tmp_path / "mine")
    write_text(tmp_path / "report.md", "new")
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "report.md").read_text() == "new"


def test_the_name_of_a_study_is_no_path() -> None:
    from resnet_space.api import studies

    with pytest.raises(InputError, match="name: must be 1-64 lower-case letters"):
        studies.of({"name": "../../x", "kind": "ablation"})


def test_an_empty_folder_is_no_run_s(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a run's folder \(it has no study.yaml\)"):
        RunFolder.existing(tmp_path)
