"""Databases for the store's contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

DATABASES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "sqlite": lambda request: f"sqlite:///{request.getfixturevalue('tmp_path') / 'trials.db'}",
    "postgresql": lambda request: str(request.getfixturevalue("postgresql_url")),
}
"""A fresh database of each kind; a row more is a database more under the same contract."""


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return DATABASES[request.param](request)
