"""Settings and fixtures of all tests: one thread, no window, a separate cache."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verbs import Cli

    from ablations.across.run import RunAcross
    from ablations.run import AblationRun
    from resnet_space import Architecture
    from search.data import Images
    from search.trials.trial import TrialSpec

# Before anything imports torch: more threads than cores make small nets slower, and sums less repeatable.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import pytest
from caches import AFTER_A_MODULE, AFTER_A_TEST, forget
from pieces import arrange

WITHOUT_PLUGINS = Path(__file__).parent / "gpu"
"""Tests that run on a machine with a GPU, where there is pytest and little else."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Accept the settings of plugins that are not installed: no test in `gpu/` needs them."""
    if not pluginmanager.hasplugin("timeout"):
        parser.addini("timeout", "seconds of a test (pytest-timeout)")


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("xdist"):
        config.addinivalue_line("markers", "xdist_group(name): what one process runs (pytest-xdist)")
    # By default xdist starts with the files that have the most tests, whatever the order here: those are fast ones.
    config.option.loadscopereorder = False


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Turn off hypothesis's deadline before a test module is imported: the first example of a test can import modules,
    which takes seconds on a busy machine."""
    if isinstance(collector, pytest.Module) and not collector.path.is_relative_to(WITHOUT_PLUGINS):
        from hypothesis import settings

        settings.register_profile("unhurried", deadline=None)
        settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip long tests unless `RESNET_SPACE_ALL` is set, and group tests for parallel processes (see `pieces`)."""
    if not os.environ.get("RESNET_SPACE_ALL"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes long; RESNET_SPACE_ALL=1 runs it, as CI does"))
    arrange(items)


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty `RESNET_SPACE_CACHE` for the session, so that no test reads or writes the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET_SPACE_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """After each test, clear the caches that depend on the environment or on patched functions (see `caches`)."""
    yield
    forget(AFTER_A_TEST)


@pytest.fixture(autouse=True, scope="module")
def forgotten_with_the_module() -> Iterator[None]:
    """After each module, clear the caches that take longer to fill."""
    yield
    forget(AFTER_A_MODULE)


@pytest.fixture(scope="session")
def tiny_net() -> "Architecture":
    """Three units with 4, 8 and 16 channels for 8x8 images: an epoch of 200 digits takes less than 0.1 s."""
    from resnet_space import preset

    return preset("resnet20").assign({"width": 0.25, "stages.*.units": 1, "input_shape": [1, 8, 8]})


@pytest.fixture(scope="session")
def digits() -> "Images":
    """scikit-learn's digits: 200 for training, 180 for validation, 359 for testing; 7 batches of 32 per epoch."""
    from search.data import DataSet, load

    return load(DataSet(name="digits", limit=200))


@pytest.fixture(scope="session")
def trial(tiny_net: "Architecture", digits: "Images") -> Callable[..., "TrialSpec"]:
    """`trial(seed=1, net=..., epochs=2, ...)`: a trial of the tiny net on `digits`; the rest goes to the recipe."""
    from search.data import DataSet
    from search.trials.recipe import Recipe
    from search.trials.trial import TrialSpec

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
    """A local Ray cluster with two CPUs, which `search.running.ray` finds and leaves running."""
    from search.running.ray import cluster  # sets what ray reads when it is imported

    ray = cluster.ray
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def ablation(tmp_path: Path, digits: "Images") -> Callable[..., "AblationRun"]:
    """`ablation({arm: [0.1, 0.2, "diverged", None]}, planned=...)`: a run with these test errors by seed, untrained.

    A word is the final status of a trial, None a waiting trial. A list is a complete trial's validation errors by
    epoch; the last one is its test error, and training errors are half of them. The first arm is the baseline. Arms are
    gates with different biases, or with `factors` the cells of a design. Called again for a folder, it continues that
    run. With `predicted`, predictions for the test images are stored, and errors are rounded to whole images.
    """
    from answers import predictions_with_error

    from ablations.plan import AblationPlan
    from ablations.run import AblationRun
    from ablations.study import Ablation
    from resnet_space import api
    from search.data import load
    from search.running.plan import start_run
    from search.trials.events import Epoch, Finished

    def make(
        results: dict[str, list[Any]],
        *,
        folder: str = "run",
        epochs: int = 0,
        predicted: bool = False,
        **fields: Any,
    ) -> AblationRun:
        listed = {
            "arms": {
                name: {"set": {"unit.shortcut": {"kind": "exclusive_gate", "gate_bias": -place}}}
                for place, name in enumerate(results)
            },
            "baseline": next(iter(results)),
        }
        study = Ablation.of(
            {
                "name": "made",
                "net": "resnet20",
                "set": {"width": 0.25, "stages.*.units": 1},
                **({} if "factors" in fields else listed),
                "data": {"name": "digits", "limit": 200},
                "recipe": "digits",
                "seeds": len(next(iter(results.values()))),
                **fields,
            }
        )
        by_seed = study.data.split == "seed"
        plan = AblationPlan.of(study, load(study.data) if by_seed else digits)
        with start_run(plan, tmp_path / folder) as (_, store):
            for name, values in results.items():
                for seed, value in enumerate(values):
                    spec = plan.setups[name].spec(seed)
                    store.add([spec])
                    curve = [(0.5 / epoch, 0.6 / epoch) for epoch in range(1, epochs + 1 if value is not None else 1)]
                    if isinstance(value, list):
                        curve, value = [(error / 2, error) for error in value], value[-1]
                    for epoch, errors in enumerate(curve, 1):
                        store.write([Epoch(spec.key, epoch, epoch, 0.1, 1 / epoch, *errors, 1.0, 1.0)])
                    if isinstance(value, str):
                        store.write([Finished(spec.key, value, "because")])
                    elif value is not None and predicted:
                        own = load(study.data, seed=seed) if by_seed else digits
                        made = predictions_with_error(value, own, seed=seed)
                        store.write(
                            [
                                Finished(
                                    spec.key, "complete", "", made.error, value, 1.0, 1.0, predictions=made.to_bytes()
                                )
                            ]
                        )
                    elif value is not None:
                        store.write([Finished(spec.key, "complete", "", value, value, 1.0, 1.0)])
        read = api.open_run(tmp_path / folder)
        assert isinstance(read, AblationRun)
        return read

    return make


@pytest.fixture
def across(tmp_path: Path) -> Callable[..., "RunAcross"]:
    """`across([{arm: [0.1, 0.2, "diverged"]}, ...], planned=...)`: a run with these test errors by data set and seed.

    As `ablation`, on made data sets of 2, 3, ... classes.
    """
    from ablations.across.plan import PlanAcross
    from ablations.across.run import RunAcross
    from ablations.study import Ablation
    from resnet_space import api
    from search.running.plan import start_run
    from search.trials.events import Finished

    def make(results: list[dict[str, list[Any]]], *, folder: str = "run", **fields: Any) -> RunAcross:
        arms = {
            name: {"set": {"unit.shortcut": {"kind": "exclusive_gate", "gate_bias": -place}}}
            for place, name in enumerate(results[0])
        }
        sets = [{"name": "fake", "size": 8, "samples": 60, "classes": 2 + place} for place in range(len(results))]
        study = Ablation.of(
            {
                "name": "made",
                "net": "resnet20",
                "set": {"width": 0.25, "stages.*.units": 1},
                "arms": arms,
                "baseline": next(iter(arms)),
                "data": sets,
                "fail_above": 0.9,
                "recipe": "digits",
                "seeds": len(next(iter(results[0].values()))),
                **fields,
            }
        )
        plan = api.plan(study)
        assert isinstance(plan, PlanAcross)
        with start_run(plan, tmp_path / folder) as (_, store):
            for part, by_arm in zip(plan.parts.values(), results, strict=True):
                for name, values in by_arm.items():
                    for seed, value in enumerate(values):
                        spec = part.spec(part.architectures[name], seed)
                        store.add([spec])
                        if isinstance(value, str):
                            store.write([Finished(spec.key, value, "because")])
                        elif value is not None:
                            store.write([Finished(spec.key, "complete", "", value, value, 1.0, 1.0)])
        read = api.open_run(tmp_path / folder)
        assert isinstance(read, RunAcross)
        return read

    return make


@pytest.fixture
def resnet_space(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Cli":
    """`resnet_space("status", folder)`: run the command line in this process, in an empty folder."""
    import sys

    from verbs import Result

    from resnet_space import cli

    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["resnet-space", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        return Result(status, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The folder of a PostgreSQL server's socket. Without an installed server, skip the test; in CI, fail."""
    from postgres import programs, server

    if (found := programs()) is None:
        missing = "there is no PostgreSQL server in /usr/lib/postgresql (Debian's package `postgresql`)"
        pytest.fail(missing) if os.environ.get("RESNET_SPACE_ALL") else pytest.skip(missing)
    with server(found) as folder:
        yield folder


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    """The URL of an empty database for this test only."""
    import secrets

    import psycopg

    name = f"t{secrets.token_hex(8)}"
    with psycopg.connect(host=postgresql_server, user="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://postgres@/{name}?host={postgresql_server}"
