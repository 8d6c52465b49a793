"""A small trained network, and a folder to export it to."""

from __future__ import annotations

from pathlib import Path

import pytest
from taking import NET, Take, trained_once

from search.training.export import export


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_once(NET, tmp_path_factory.mktemp("trial"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder to write into."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def take(weights: Path, out: Path) -> Take:
    """`take("net.py")` exports `NET` into `out`, with its weights unless others are given."""

    def make(name: str, weights: Path | None = weights, **facts: str | int | float) -> list[Path]:
        return export(NET, out / name, weights=weights, facts=facts)

    return make
