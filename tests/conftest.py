"""What every test stands on: one thread, no window, a cache of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

# Before anything imports torch: more threads than cores make small nets slower, and sums less repeatable.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty `RESNET_SPACE_CACHE` for the session, so that no test reads or writes the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET_SPACE_CACHE", str(folder))
        yield folder
