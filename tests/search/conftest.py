"""Databases for the store's contract, and drivers on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from clocks import Clock

from search.store import Store

DATABASES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "sqlite": lambda request: f"sqlite:///{request.getfixturevalue('tmp_path') / 'trials.db'}",
    "postgresql": lambda request: str(request.getfixturevalue("postgresql_url")),
}
"""A fresh database of each kind; a row more is a database more under the same contract."""


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return DATABASES[request.param](request)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def driver(url: str, clock: Clock) -> Iterator[Callable[[], Store]]:
    """Another driver on the same database; all of them go by the one clock."""
    made: list[Store] = []

    def opened() -> Store:
        made.append(Store(url))
        made[-1].claims.clock = clock
        return made[-1]

    yield opened
    for store in made:
        store.close()
