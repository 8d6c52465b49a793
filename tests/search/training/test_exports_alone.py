"""Each format, in a process without this package, gives the stored test error on the raw images of the data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alone import USES, use

from ablations.study import Ablation
from resnet_space import api
from resnet_space.api.folders import open_folder
from search.data import DataSet, load
from search.running.choice import choose

STUDY: dict[str, Any] = {
    "name": "taken-away",
    "question": "Does a gate help?",
    "net": "resnet20",
    "set": {"width": 0.25, "stages.*.units": 1},
    "baseline": "plain",
    "arms": {"plain": {}, "gated": {"set": {"unit.shortcut": "exclusive_gate"}}},
    "data": "digits",
    "recipe": {"base": "digits", "epochs": 3},
    "seeds": 2,
}
OPTIONS: dict[str, tuple[str, bool | None]] = {
    ".py": ("taken.py", None),
    ".py, raw": ("taken.py", True),
    ".onnx": ("taken.onnx", None),
    ".pt2": ("taken.pt2", None),
    ".pt2, raw": ("taken.pt2", True),
    "hub": ("taken/", None),
    "preprocessor_config.json": ("taken/", None),
}
"""The path and the preprocessing of the export that each program uses."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "run"
    api.run(Ablation.of(STUDY), out, inline=True)
    return out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the raw test images and their labels."""
    test = load(DataSet(name="digits")).test
    np.save(tmp_path / "images.npy", test.x.numpy())
    np.save(tmp_path / "labels.npy", test.y.numpy())
    return tmp_path


def test_there_is_an_export_for_each_program() -> None:
    assert OPTIONS.keys() == USES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", USES)
def test_alone_it_gives_the_stored_test_error_on_raw_images(name: str, run: Path, folder: Path) -> None:
    with open_folder(run) as stored:
        wanted = choose(stored, "gated", seed=1).facts
    path, preprocessing = OPTIONS[name]
    api.export(run, "gated", f"{folder}/{path}", seed=1, preprocessing=preprocessing)
    found = use(name, folder)
    assert 0 < found["error"] < 0.8, "a network that has learned something"
    assert found["error"] == wanted["test_error"], "to the digit"
    assert float(found["facts"]["test_error"]) == wanted["test_error"]
    assert (found["facts"]["seed"], found["facts"]["arm"]) == ("1", "gated")
    assert found["classes"] == [str(digit) for digit in range(10)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [".py, raw", ".onnx", ".pt2, raw"])
def test_an_ensemble_alone_gives_its_error_on_raw_images(name: str, run: Path, folder: Path) -> None:
    with open_folder(run) as stored:
        wanted = choose(stored, "gated", ensemble=True).facts["test_error"]
    path, preprocessing = OPTIONS[name]
    api.export(run, "gated", f"{folder}/{path}", ensemble=True, preprocessing=preprocessing)
    found = use(name, folder)
    assert found["error"] == wanted == float(found["facts"]["test_error"])
    assert found["facts"]["output"] == "probabilities (N, 10)"
    assert len(json.loads(found["facts"]["members_test_errors"])) == 2
