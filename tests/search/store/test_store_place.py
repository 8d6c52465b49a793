"""A store is found by its URL or inside a folder; anything else is an input error, and no message has a password."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from resnet_space.errors import InputError
from search.store.store import Store


@pytest.mark.parametrize(
    "url",
    [
        "trials.db",
        "",
        "nosuch://host/db",
        "sqlite:////nonexistent/folder/trials.db",
        "mysql://host/db",
        "sqlite://:x/y",
    ],
)
def test_a_url_that_is_not_a_databases_is_an_input_error(url: str) -> None:
    with pytest.raises(InputError, match=r"^storage ") as caught:
        Store(url)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_a_database_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "trials.db").write_text("a letter to my aunt, " * 100)
    with pytest.raises(InputError, match="not a database"):
        Store.at(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://ada:hunter2@localhost:1/db",
        "mysql://ada:hunter2@host/db",
        "postgresql://ada:hunter2@host:port/db",
    ],
)
def test_an_error_does_not_show_the_password(url: str) -> None:
    with pytest.raises(InputError) as caught:
        Store(url)
    assert "ada" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_refused_database_is_closed(tmp_path: Path) -> None:
    Store.at(tmp_path).close()
    with sqlite3.connect(tmp_path / "trials.db") as connection:
        connection.execute("UPDATE about SET schema = 99")
    connection.close()
    with pytest.raises(InputError, match="schema 99"):
        Store.at(tmp_path)
    mapped = [path for path in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(path)]
    assert mapped == []


@pytest.mark.parametrize("name", ["plain", "what? 50% #1", "σ & co; a=b"])
def test_a_folder_of_any_name_has_its_store_inside(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    Store.at(tmp_path / name).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "trials.db").is_file()


def test_a_store_inside_a_folder_has_no_name_and_one_elsewhere_has_its_url(tmp_path: Path) -> None:
    inside, elsewhere = Store.at(tmp_path), Store(f"sqlite:///{tmp_path / 'other.db'}")
    assert inside.name is None
    assert elsewhere.name == f"sqlite:///{tmp_path / 'other.db'}"
    inside.close()
    elsewhere.close()
