"""What every test stands on: one thread, no window, a cache of its own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet_space import Architecture
    from search.data import Images
    from search.trial import TrialSpec

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


@pytest.fixture(scope="session")
def tiny_net() -> "Architecture":
    """Three units of 4, 8 and 16 channels on 8x8 images: an epoch of 200 digits takes under 0.1 s."""
    from resnet_space import preset

    return preset("resnet20").assign({"width": 0.25, "stages.*.units": 1, "input_shape": [1, 8, 8]})


@pytest.fixture(scope="session")
def digits() -> "Images":
    """200 of scikit-learn's digits to train on, 180 to validate, 359 to test: 7 batches of 32 an epoch."""
    from search.data import DataSet, load

    return load(DataSet(name="digits", limit=200))


@pytest.fixture(scope="session")
def trial(tiny_net: "Architecture", digits: "Images") -> Callable[..., "TrialSpec"]:
    """`trial(seed=1, net=..., epochs=2, ...)`: a trial of the tiny net on `digits`; the rest is the recipe's."""
    from search.data import DataSet
    from search.recipe import Recipe
    from search.trial import TrialSpec

    def make(*, net: "Architecture" = tiny_net, seed: int = 0, data: DataSet | None = None, **recipe: Any) -> TrialSpec:
        length = {} if {"epochs", "steps"} & set(recipe) else {"epochs": 3}
        return TrialSpec(
            architecture=net,
            recipe=Recipe.of({"batch_size": 32, **length, **recipe}),
            data=data or DataSet(name="digits", limit=200),
            fingerprint=digits.fingerprint,
            seed=seed,
        )

    return make


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A Ray of this machine's own with two CPUs, which `ray_runner` finds and leaves running."""
    from search import ray_runner  # sets what ray reads when it is imported

    ray = ray_runner.ray
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
