"""Databases for the store's contract, drivers on them, and buckets."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest
from buckets import CREDENTIALS, Server
from clocks import Clock

from search.store.store import Store

DATABASES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "sqlite": lambda request: f"sqlite:///{request.getfixturevalue('tmp_path') / 'trials.db'}",
    "postgresql": lambda request: str(request.getfixturevalue("postgresql_url")),
}
"""A fresh database of each kind; a new row puts another database under the same contract."""


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return DATABASES[request.param](request)


@pytest.fixture(scope="session")
def credentials() -> Iterator[None]:
    """Put the credentials of the S3 server into this process's environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def s3(credentials: None) -> Iterator[Server]:
    """An S3 server."""
    with Server() as started:
        yield started


@pytest.fixture
def bucket_url(s3: Server) -> str:
    """The URL of a place in the test's own bucket."""
    return s3.url(f"b{secrets.token_hex(8)}")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def driver(url: str, clock: Clock) -> Iterator[Callable[[], Store]]:
    """Opens another driver on the same database; all drivers share one clock."""
    made: list[Store] = []

    def opened() -> Store:
        made.append(Store(url))
        made[-1].claims.clock = clock
        return made[-1]

    yield opened
    for store in made:
        store.close()
