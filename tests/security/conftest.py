"""A run's folder as a stranger may have sent it: a real one, to be tampered with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

STUDY = """
name: mine
net: resnet20
set: {width: 0.25, stages.*.units: 1}
baseline: plain
arms: {plain: {}, before: {set: {unit.order: full_preactivation}}}
data: {name: fake, size: 8, samples: 120}
recipe: smoke
seeds: 1
"""

SEARCH = """
name: mine
kind: search
space: {base: resnet20, set: {stages.*.units: 1}, axes: {width: [0.25, 0.5]}}
budget: {trials: 2}
confirm: 1
data: {name: fake, size: 8, samples: 120}
recipe: smoke
"""


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ablation.yaml` and `search.yaml`, and the folders of their runs, `ablation` and `search`."""
    from resnet_space import api

    here = tmp_path_factory.mktemp("runs")
    for name, text in (("ablation", STUDY), ("search", SEARCH)):
        (here / f"{name}.yaml").write_text(text)
        api.run(api.study(here / f"{name}.yaml"), here / name, inline=True)
    return here


@pytest.fixture
def send(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """`send("search")`: a copy of that folder in the current, empty folder, with its study next to it."""
    monkeypatch.chdir(tmp_path)

    def copied(kind: str) -> Path:
        shutil.copy(runs / f"{kind}.yaml", tmp_path / "study.yaml")
        return Path(shutil.copytree(runs / kind, tmp_path / "sent"))

    return copied


@pytest.fixture
def sent(send: Callable[[str], Path]) -> Path:
    """An ablation's."""
    return send("ablation")
