"""Sweeps of simulated trials on Ray: everything in a run except the training. Each sweep is a separate command.

    python benchmarks/simulated.py 1000 --seconds 2 --nodes 4 --slots 4

Starts nodes, which are raylets of this machine with simulated CPUs, and then a driver on them. Prints JSON: when
workers started and trials ended, in seconds since the driver's command, and the driver's memory at these times. The
store is on disk, as in a run's folder; progress is written to a console without output. Without `--nodes` the driver
starts a local Ray, and that start is counted too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

# Before anything imports torch, or ray.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", RAY_USAGE_STATS_ENABLED="0")

from rich.console import Console
from sweeping import sweep

from resnet_space import preset
from search.data import DataSet
from search.running.progress import Progress
from search.store.store import Store
from search.trials.events import Epoch, Event, Finished, Started
from search.trials.recipe import Recipe
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec


@dataclass
class SweepResult:
    """The course of a sweep: times in seconds since its command, memory in MiB."""

    first: float = 0.0
    """The start of the first trial."""
    all_busy: float = 0.0
    """The start of the last worker's first trial."""
    ends: list[float] = field(default_factory=list)
    """The end of each trial, in order."""
    mib: list[float] = field(default_factory=list)
    """The driver's resident memory at each end."""
    cpu: list[float] = field(default_factory=list)
    """The driver's CPU seconds up to each end."""
    over: float = 0.0
    """The end of the clean-up."""


def jobs(number: int) -> list[Job]:
    """Return jobs of one trial each: one network with different seeds."""
    shared = TrialSpec(
        architecture=preset("resnet20"),
        recipe=Recipe(epochs=1),
        data=DataSet(name="digits"),
        fingerprint="0" * 16,
        seed=0,
    )
    return [Job(trials=(shared.model_copy(update={"seed": seed}),)) for seed in range(number)]


def simulated(job: Job, resources: Resources, checkpoints: Path | None, *, seconds: float) -> Generator[Event]:
    """Simulate a trial of one epoch of known length. The number of its process stands for the host."""
    for spec in job.trials:
        yield Started(spec.key, str(os.getpid()), "cpu")
        time.sleep(seconds)
        yield Epoch(spec.key, 1, 1, 0.1, 1.0, 0.5, 0.5, seconds, 1.0)
        yield Finished(spec.key, "complete", "", 0.5, 0.5, 1.0, seconds)


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run_trials(
    folder: Path, number: int, *, seconds: float = 0.0, address: str | None = None, began: float | None = None
) -> SweepResult:
    """Run `number` trials of `seconds` each on the Ray at `address`, on the connected one, or on a new local one.

    Times begin at `began` on the monotonic clock, or now.
    """
    from search.running.ray import runner as ray_runner

    found, began = SweepResult(), time.monotonic() if began is None else began
    workers = set[str]()
    folder.mkdir(parents=True, exist_ok=True)
    todo, store = jobs(number), Store.at(folder)
    with (
        open(os.devnull, "w") as nowhere,
        Progress(total=number, already=0, steps=1, console=Console(file=nowhere)) as progress,
    ):

        def tell(event: Event) -> None:
            progress.tell(event)
            if isinstance(event, Started) and event.host not in workers:
                workers.add(event.host)
                found.all_busy = time.monotonic() - began
                found.first = found.first or found.all_busy
            elif isinstance(event, Finished):
                found.ends.append(time.monotonic() - began)
                found.mib.append(resident())
                found.cpu.append(time.process_time())

        runner = partial(
            ray_runner.run,
            resources=Resources(),
            checkpoints=folder / "checkpoints",
            address=address,
            work=partial(simulated, seconds=seconds),
        )
        sweep(todo, store, runner, tell)
    store.close()
    found.over = time.monotonic() - began
    return found


def run_sweep(number: int, *, seconds: float = 0.0, nodes: int = 0, slots: int = 2) -> SweepResult:
    """Call `run_trials` in a new process, on new nodes; with 0 nodes on its own local Ray of two CPUs."""
    if not nodes:
        return _command(number, seconds)
    # The nodes use a token if the driver does: this sets Ray's mode.
    import search.running.ray.cluster  # noqa: F401, I001
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, connect=False, head_node_args={"num_cpus": slots})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=slots)
        cluster.wait_for_nodes()
        return _command(number, seconds, "--address", cluster.address)
    finally:
        cluster.shutdown()


def _command(number: int, seconds: float, *options: str) -> SweepResult:
    """Return the result of a sweep as its own command, whose clock begins now."""
    command = [sys.executable, __file__, str(number), "--seconds", str(seconds), *options]
    # The monotonic clock is the same in all processes of a machine.
    ran = subprocess.run([*command, "--began", str(time.monotonic())], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{ran.stderr}")
    return SweepResult(**json.loads(ran.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int)
    parser.add_argument("--seconds", type=float, default=0.0, help="length of a trial")
    parser.add_argument("--nodes", type=int, default=0, help="0: a local Ray of two CPUs")
    parser.add_argument("--slots", type=int, default=2, help="concurrent trials per node")
    parser.add_argument("--address", help="run on these nodes, which are there")
    parser.add_argument("--began", type=float, help="when this command began, on the monotonic clock")
    given = parser.parse_args()
    if given.nodes:
        found = run_sweep(given.number, seconds=given.seconds, nodes=given.nodes, slots=given.slots)
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = run_trials(
                Path(folder), given.number, seconds=given.seconds, address=given.address, began=given.began
            )
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
