"""A GPU, or the CPU to try out the tests themselves; small networks on random images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_space import Architecture, preset
from search.data import DataSet, Images, load
from search.trials.recipe import Recipe
from search.trials.trial import TrialSpec

VARIABLE = "RESNET_SPACE_GPU_TESTS"
"""`cpu` runs the tests that need no CUDA on the CPU, as `RESNET_SPACE_ALL` does: untried tests are often wrong."""

BATCH = 32
WHOLE_BATCHES = 8
LAST_BATCH = 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Do not turn warnings into failures: the GPU's libraries differ from machine to machine."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    if os.environ.get(VARIABLE) == "cpu" or os.environ.get("RESNET_SPACE_ALL"):
        return "cpu"
    pytest.skip(f"needs a GPU; {VARIABLE}=cpu tries these tests on the CPU")


@pytest.fixture
def gpu(device: str) -> str:
    """The device for tests that cannot run on a CPU."""
    if device == "cpu":
        pytest.skip("needs a GPU")
    return device


@pytest.fixture(scope="session")
def net(device: str) -> Architecture:
    """A network of three units. On a GPU it is as wide as ResNet-20, because the choice of kernels depends on that."""
    small = {"stages.*.units": 1, "input_shape": [3, 16, 16]}
    return preset("resnet20").assign(small | ({"width": 0.25, "input_shape": [3, 8, 8]} if device == "cpu" else {}))


@pytest.fixture(scope="session")
def data(net: Architecture) -> DataSet:
    images = BATCH * WHOLE_BATCHES + LAST_BATCH
    return DataSet(name="fake", size=net.input_shape[1], channels=3, classes=10, samples=2 * images, limit=images)


@pytest.fixture(scope="session")
def images(data: DataSet) -> Images:
    """Full batches and a smaller last one."""
    return load(data)


@pytest.fixture(scope="session")
def specs(net: Architecture, data: DataSet, images: Images) -> Callable[..., list[TrialSpec]]:
    """`specs(2, changes={"width": 2}, epochs=3, ...)`: trials of two seeds; other arguments go to the recipe."""

    def make(seeds: int = 1, changes: dict[str, Any] | None = None, **recipe: Any) -> list[TrialSpec]:
        settings = {"epochs": 1, "batch_size": BATCH, "lr": 0.01, **recipe}
        made = net.assign(changes or {})
        shared: dict[str, Any] = {"architecture": made, "data": data, "fingerprint": images.fingerprint}
        return [TrialSpec(recipe=Recipe.of(settings), seed=seed, **shared) for seed in range(seeds)]

    return make
