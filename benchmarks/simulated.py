"""Sweeps of simulated trials on Ray: everything in a run except the training. Each sweep is a separate process.

    python benchmarks/simulated.py 1000 --seconds 2 --nodes 4 --slots 4

Prints JSON: when the trials ended, and the driver's memory at these times. The store is on disk, as in a run's folder;
progress is written to a console without output. A node is a raylet of this machine with simulated CPUs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
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

GATE = "gate"
"""Name of a file: started trials wait until it exists."""


@dataclass
class SweepResult:
    """The course of a sweep: times in seconds since the gate opened, memory in MiB."""

    start_up: float = 0.0
    """Seconds from the beginning until every needed worker has its first trial and the gate opens."""
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
    """Simulate a trial of one epoch of known length, which waits for the gate."""
    for spec in job.trials:
        yield Started(spec.key, "nowhere", "cpu")
        while seconds and checkpoints and not (checkpoints / GATE).exists():
            time.sleep(0.02)
        time.sleep(seconds)
        yield Epoch(spec.key, 1, 1, 0.1, 1.0, 0.5, 0.5, seconds, 1.0)
        yield Finished(spec.key, "complete", "", 0.5, 0.5, 1.0, seconds)


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run_trials(
    folder: Path, number: int, *, seconds: float = 0.0, at_first: int = 1, heard: Callable[[Event], None] | None = None
) -> SweepResult:
    """Run `number` trials of `seconds` each on the connected Ray; the gate opens when `at_first` trials have
    started."""
    from search.running import ray_runner

    found, began, started = SweepResult(), time.monotonic(), 0
    opened = began
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    todo, store = jobs(number), Store.at(folder)
    with (
        open(os.devnull, "w") as nowhere,
        Progress(total=number, already=0, steps=1, console=Console(file=nowhere)) as progress,
    ):

        def tell(event: Event) -> None:
            nonlocal opened, started
            progress.tell(event)
            if isinstance(event, Started):
                started += 1
                if started == at_first:
                    opened = time.monotonic()
                    (checkpoints / GATE).touch()
            elif isinstance(event, Finished):
                found.ends.append(time.monotonic() - opened)
                found.mib.append(resident())
                found.cpu.append(time.process_time())
            if heard:
                heard(event)

        runner = partial(
            ray_runner.run,
            resources=Resources(),
            checkpoints=checkpoints,
            work=partial(simulated, seconds=seconds),
        )
        sweep(todo, store, runner, tell)
    store.close()
    found.start_up, found.over = opened - began, time.monotonic() - opened
    return found


def run_sweep(number: int, *, seconds: float = 0.0, nodes: int = 1, slots: int = 2) -> SweepResult:
    """Call `run_trials` in a new process with its own Ray."""
    command = [sys.executable, __file__, str(number), "--seconds", str(seconds)]
    command += ["--nodes", str(nodes), "--slots", str(slots)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{ran.stderr}")
    return SweepResult(**json.loads(ran.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int)
    parser.add_argument("--seconds", type=float, default=0.0, help="length of a trial")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--slots", type=int, default=2, help="concurrent trials per node")
    given = parser.parse_args()

    from search.running import ray_runner

    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    if given.nodes == 1:
        ray_runner.ray.init(address="local", num_cpus=given.slots, **quiet)
    else:
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": given.slots})
        for _ in range(given.nodes - 1):
            cluster.add_node(num_cpus=given.slots)
        cluster.wait_for_nodes()
        ray_runner.ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        found = run_trials(
            Path(folder), given.number, seconds=given.seconds, at_first=min(given.number, given.nodes * given.slots)
        )
    ray_runner.ray.shutdown()
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
