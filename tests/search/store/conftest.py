"""A store in each kind of database, and trials for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from search.store.store import Store
from search.trials.trial import TrialSpec


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(url)
    yield store
    store.close()


@pytest.fixture(scope="module")
def specs(trial: Callable[..., TrialSpec]) -> list[TrialSpec]:
    return [trial(seed=seed) for seed in range(4)]
