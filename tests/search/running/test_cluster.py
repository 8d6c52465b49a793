"""Runs on several nodes: `--address`, a lost node, and nodes that fail the preflight checks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import bad_kernels
import numpy as np
import pytest
from nodes import Nodes, training
from processes import still
from runs import Run, numbers, stored, write

pytestmark = pytest.mark.long

LONG: dict[str, Any] = {
    "seeds": 1,
    "recipe": {"base": "digits", "epochs": 960, "batch_size": 32},
    "resources": {"checkpoint_seconds": 0},
}
"""Two trials that take longer than the start of a worker, with checkpoints after every epoch."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    with Run(write(folder, **LONG), folder / "run", "--inline") as run:
        assert run.end() == 0, run.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A head node without CPUs and two worker nodes with one CPU each, protected by a token."""
    with Nodes() as started:
        started.worker()
        started.worker()
        yield started


def on_both_nodes(run: Run) -> None:
    """Wait until each of two nodes, with one CPU each, runs one of the two trials. A Ray worker takes seconds to start,
    so if there is only one process, it is paused until the second has started."""
    first, *others = run.until(lambda: training(os.getpid()))
    run.until(run.running)
    with nullcontext() if others else still(first):
        run.until(lambda: run.running() == 2)


def test_a_run_on_separate_nodes_has_the_numbers_of_one_inline(nodes: Nodes, tmp_path: Path, undisturbed: Path) -> None:
    with Run(
        write(tmp_path, **LONG), tmp_path / "run", "--address", nodes.address, environment=nodes.environment
    ) as run:
        on_both_nodes(run)
        assert run.end() == 0, run.stderr
    assert "data set 'digits': looking for it on 2 more nodes" in run.stderr
    assert numbers(tmp_path / "run") == numbers(undisturbed)


def test_a_run_that_is_stopped_on_a_cluster_leaves_it_free_for_the_next(
    nodes: Nodes, tmp_path: Path, undisturbed: Path
) -> None:
    study, address = write(tmp_path, **LONG), ("--address", nodes.address)
    with Run(study, tmp_path / "run", *address, environment=nodes.environment) as run:
        run.until(lambda: run.epochs() >= 2)
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 128 + signal.SIGTERM, run.stderr
    assert run.stderr.splitlines()[-1].startswith("stopped by SIGTERM; ")
    with Run(study, tmp_path / "run", *address, environment=nodes.environment) as run:
        assert run.end() == 0, run.stderr
    assert numbers(tmp_path / "run") == numbers(undisturbed)


def test_a_cluster_with_a_token_refuses_a_driver_without_it(nodes: Nodes, tmp_path: Path) -> None:
    stranger = {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""}
    with Run(write(tmp_path), tmp_path / "run", "--address", nodes.address, environment=stranger) as run:
        assert run.end() == 2, run.stderr
    assert "Traceback" not in run.stderr
    assert f"error: --address {nodes.address}: " in run.stderr
    assert stored(tmp_path / "run")[2]["waiting"] == 4


def test_nodes_that_are_not_fit_are_refused_by_name_before_the_first_trial(tmp_path: Path) -> None:
    """One node has its own folder at the path of the run's folder, and one has another torch."""
    shared = tmp_path / "shared"
    shared.mkdir()
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mounts of one's own here")
    old = tmp_path / "old" / "torch-1.13.1.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.13.1\n")
    alone = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{shared}" && exec "$0" "$@"')
    with Nodes() as nodes:
        nodes.worker()
        nodes.worker(around=alone)
        nodes.worker(PYTHONPATH=f"{old.parent}:{Path(__file__).parents[2]}")
        address = ("--address", nodes.address)
        with Run(write(tmp_path), shared / "run", *address, environment=nodes.environment) as run:
            assert run.end() == 2
    first, *lines = (line for line in run.stderr.splitlines() if line.startswith("error: "))
    assert first == "error: 2 of 3 nodes cannot take trials:"
    told = sorted(re.sub(r"node \S+ \(\w{8}\)", "node N", line.removeprefix("error: ")) for line in lines)
    assert told[0].startswith(f"node N: {shared}/run/checkpoints does not exist, or is not the folder in which the run")
    assert re.fullmatch(r"node N: has torch 1\.13\.1, and \S+ is here", told[1])
    assert len(told) == 2
    assert stored(shared / "run")[2]["waiting"] == 4


def test_a_node_that_joins_a_run_gets_trials_unless_its_versions_differ(tmp_path: Path, undisturbed: Path) -> None:
    old = tmp_path / "old" / "torch-1.13.1.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.13.1\n")
    with Nodes() as nodes:
        nodes.worker()
        address = ("--address", nodes.address)
        with Run(write(tmp_path, **LONG), tmp_path / "run", *address, environment=nodes.environment) as run:
            run.until(run.running)
            (first,) = training(os.getpid())
            # It would do both trials before the others are there.
            with still(first):
                nodes.worker(PYTHONPATH=f"{old.parent}:{Path(__file__).parents[3]}")
                run.until(lambda: "gets no trials" in run.stderr)
                nodes.worker()
                run.until(lambda: run.running() == 2)
            assert run.end() == 0, run.stderr
    (line,) = (line for line in run.stderr.splitlines() if "gets no trials" in line)
    assert re.fullmatch(r"node \S+ \(\w{8}\) gets no trials: it has torch 1\.13\.1, and \S+ is here", line)
    trials, _, counts = stored(tmp_path / "run")
    assert counts["complete"] == 2
    assert trials["attempts"].tolist() == [1, 1]
    assert numbers(tmp_path / "run") == numbers(undisturbed)


def test_nodes_without_the_data_or_with_others_are_refused_by_name_before_the_first_trial(tmp_path: Path) -> None:
    """One node has an empty data folder, and one has other images under the same name."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mounts of one's own here")
    folders = [tmp_path / name for name in ("data", "others", "none")]
    for number, folder in enumerate(folders):
        folder.mkdir()
        images = np.random.default_rng(number).integers(0, 256, (200, 8, 8), dtype=np.uint8)
        if folder.name != "none":
            np.savez(folder / "images.npz", x=images, y=np.arange(200) % 10)
    data, *elsewhere = folders
    with Nodes() as nodes:
        nodes.worker()
        for folder in elsewhere:
            mount = f'mount --bind "{folder}" "{data}" && exec "$0" "$@"'
            nodes.worker(around=("unshare", "--mount", "sh", "-c", mount))
        study = write(tmp_path, data={"name": "npz", "root": str(data / "images.npz")})
        with Run(study, tmp_path / "run", "--address", nodes.address, environment=nodes.environment) as run:
            assert run.end() == 2, run.stderr
    first, *lines = (line for line in run.stderr.splitlines() if line.startswith("error: "))
    assert first == "error: 2 of 3 nodes cannot take trials:", run.stderr
    told = sorted(re.sub(r"node \S+ \(\w{8}\)", "node N", line.removeprefix("error: ")) for line in lines)
    assert "has other contents there (fingerprint " in told[0]
    assert "images.npz" in told[1]
    assert "--data-root" in told[1]
    assert stored(tmp_path / "run")[2]["waiting"] == 4


def test_a_node_whose_kernels_are_wrong_is_refused_by_name_before_the_first_trial(tmp_path: Path) -> None:
    with Nodes() as nodes:
        nodes.worker()
        nodes.worker(**bad_kernels.environment(tmp_path, "lie_always conv2d 8"))
        with Run(write(tmp_path), tmp_path / "run", "--address", nodes.address, environment=nodes.environment) as run:
            assert run.end() == 2
    assert "error: 1 of 2 nodes cannot take trials:" in run.stderr
    assert re.search(r"error: node \S+ \(\w{8}\): kernel Conv2d\(4, 8, .* is wrong: gradient of weight has", run.stderr)
    assert stored(tmp_path / "run")[2]["waiting"] == 4


def test_a_trial_of_a_removed_node_resumes_on_another_after_its_checkpoint(tmp_path: Path, undisturbed: Path) -> None:
    """With `ray.cluster_utils.Cluster`, which removes a node without notifying it."""
    from ray.cluster_utils import Cluster

    # Its nodes take SIGTERM for themselves, in this process.
    before_ray = signal.getsignal(signal.SIGTERM)
    one = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, connect=False, head_node_args={**one, "num_cpus": 0})
    try:
        lost = [cluster.add_node(**one), cluster.add_node(**one)][-1]
        cluster.wait_for_nodes()
        out = tmp_path / "run"
        # Its processes have what this one has; a driver that asks for a token would not be answered to.
        same = {"RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "disabled")}
        with Run(write(tmp_path, **LONG), out, "--address", cluster.address, environment=same) as run:
            on_both_nodes(run)
            run.until(lambda: run.epochs() >= 4)
            _, before, _ = stored(out)
            cluster.remove_node(lost, allow_graceful=False)
            assert run.end() == 0, run.stderr
    finally:
        cluster.shutdown()
        signal.signal(signal.SIGTERM, before_ray)
    _goes_on(out, before, undisturbed)


def test_a_trial_of_a_lost_node_resumes_on_another_without_a_shared_file_system(
    bucket_url: str, tmp_path: Path, undisturbed: Path
) -> None:
    """Each worker has its own disk at the path of the driver's run folder; checkpoints are in a bucket."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mounts of one's own here")
    out = tmp_path / "run"
    out.mkdir()
    alone = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{out}" && exec "$0" "$@"')
    with Nodes() as nodes:
        nodes.worker(around=alone)
        lost = nodes.worker(around=alone)
        where = ("--address", nodes.address, "--checkpoints", bucket_url)
        with Run(write(tmp_path, **LONG), out, *where, environment=nodes.environment) as run:
            on_both_nodes(run)
            run.until(lambda: run.epochs() >= 4)
            _, before, _ = stored(out)
            nodes.kill(lost)
            assert run.end() == 0, run.stderr
    _goes_on(out, before, undisturbed)
    assert not (out / "checkpoints").exists()


def _goes_on(out: Path, before: Any, undisturbed: Path) -> None:
    """One of two trials was started twice, and no stored epoch was repeated."""
    trials, after, counts = stored(out)
    assert counts["complete"] == 2
    assert sorted(trials["attempts"]) == [1, 2]
    assert numbers(out) == numbers(undisturbed)
    # Clocks never agree twice: an epoch that was done again would have another.
    both = before.merge(after, on=["key", "epoch"], suffixes=("", "_after"))
    assert both["seconds"].tolist() == both["seconds_after"].tolist()
