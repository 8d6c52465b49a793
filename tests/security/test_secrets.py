"""What must not be told is not stored, printed or reported: passwords of a storage, and the environment."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import sqlalchemy as sql
from verbs import Cli

from resnet_space.errors import InputError
from search.store import database
from search.store.store import Store

SECRET = "hunter2"

URLS = [
    f"postgresql+psycopg://ada:{SECRET}@localhost:1/db",
    f"postgresql+psycopg://ada:{SECRET}@localhost:port/db",
    f"postgresql+psycopg://ada:{SECRET}/@x@localhost/db",
    f"postgresql+psycopg://:{SECRET}@localhost/db",
    f"postgresql+psycopg://ada@localhost/db?password={SECRET}",
    f"postgresql+psycopg://ada@localhost/db?sslmode=require&sslpassword={SECRET}&application_name=x",
    f"mysql://ada:{SECRET}@localhost/db",
    f"nosuch://ada:{SECRET}@localhost/db",
    f"sqlite://ada:{SECRET}@/x",
]


@pytest.mark.parametrize("url", URLS)
def test_no_message_about_a_storage_tells_its_password(url: str, runs: Path, tmp_path: Path, resnet_space: Cli) -> None:
    result = resnet_space("run", runs / "ablation.yaml", "--out", tmp_path / "run", "--inline", "--storage", url)
    assert result.status == 2
    assert SECRET not in result.out + result.err
    assert "storage '" in result.err
    told = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET in path.read_text(errors="replace")]
    assert told == []


@pytest.mark.parametrize("url", [url for url in URLS if "port/" not in url and "@x@" not in url])
def test_what_the_manifest_names_a_storage_by_has_no_password(url: str) -> None:
    name = database.without_secrets(sql.make_url(url))
    assert SECRET not in name
    assert sql.make_url(name).host == sql.make_url(url).host


def test_what_is_no_secret_stays_in_the_name() -> None:
    url = "postgresql+psycopg://ada@host:5432/db?sslmode=require"
    assert database.without_secrets(sql.make_url(url)) == url


@pytest.mark.parametrize("url", ["mysql://host/db", "oracle://host/db"])
def test_a_database_that_we_do_not_speak_to_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"^storage "):
        Store(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_run_whose_trials_would_be_gone_is_refused(url: str, runs: Path, tmp_path: Path, resnet_space: Cli) -> None:
    result = resnet_space("run", runs / "ablation.yaml", "--out", tmp_path / "run", "--inline", "--storage", url)
    assert result.status == 2
    assert "would be gone with this process; name a file: sqlite:///trials.db" in result.err


def test_no_variable_of_the_environment_is_stored_or_reported(
    sent: Path, resnet_space: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert resnet_space("run", "study.yaml", "--out", sent, "--inline").status == 0
    assert resnet_space("report", sent, "--format", "tex,csv").status == 0
    holding = [path.name for path in sent.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert holding == []


def test_a_manifest_holds_these_facts_and_no_others(sent: Path) -> None:
    [session] = json.loads((sent / "manifest.json").read_text())["sessions"]
    assert set(session["machine"]) == {"host", "system", "python", "cpus", "processor", "gpus"}
    others = set(session) - {"began", "machine", "versions", "commit", "fingerprint", "storage", "planned", "joules"}
    assert not [name for name in others if re.search("env|argv|user|home|path|password|token", name)]
