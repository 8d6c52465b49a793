"""Sweeps of simulated trials on Ray: everything that a run does but the training. Each in a process of its own.

    python benchmarks/simulated.py 1000 --seconds 2 --nodes 4 --slots 4

Prints JSON: when the trials ended, and the driver's memory meanwhile. The store is on disk, as in a run's folder, the
progress is told to a console that leads nowhere. A node is a raylet of this machine with so many made up CPUs.
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

from resnet_space import preset
from search.data import DataSet
from search.running.feed import run_unfinished
from search.running.progress import Progress
from search.store.store import Store
from search.trials.events import Epoch, Event, Finished, Started
from search.trials.recipe import Recipe
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

GATE = "gate"
"""A file: while it is not there, no simulated trial that has begun goes on."""


@dataclass
class Swept:
    """What became of a sweep, in seconds since its first trial could go on, and MiB."""

    start_up: float = 0.0
    """From the beginning until every worker that is needed has its first trial."""
    ends: list[float] = field(default_factory=list)
    """When each trial ended, in order."""
    mib: list[float] = field(default_factory=list)
    """The driver's resident memory then."""
    cpu: list[float] = field(default_factory=list)
    """CPU seconds of the driver by then."""
    over: float = 0.0
    """When all was cleaned up."""


def jobs(number: int) -> list[Job]:
    """Trials of one network that differ in their seeds, each a job."""
    shared = TrialSpec(
        architecture=preset("resnet20"),
        recipe=Recipe(epochs=1),
        data=DataSet(name="digits"),
        fingerprint="0" * 16,
        seed=0,
    )
    return [Job(trials=(shared.model_copy(update={"seed": seed}),)) for seed in range(number)]


def simulated(job: Job, resources: Resources, checkpoints: Path | None, *, seconds: float) -> Generator[Event]:
    """A trial of one epoch of known length, that waits at the gate."""
    for spec in job.trials:
        yield Started(spec.key, "nowhere", "cpu")
        while seconds and checkpoints and not (checkpoints / GATE).exists():
            time.sleep(0.02)
        time.sleep(seconds)
        yield Epoch(spec.key, 1, 1, 0.1, 1.0, 0.5, 0.5, seconds, 1.0)
        yield Finished(spec.key, "complete", "", 0.5, 0.5, 1.0, seconds)


def resident() -> float:
    """MiB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def go(
    folder: Path, number: int, *, seconds: float = 0.0, at_first: int = 1, heard: Callable[[Event], None] | None = None
) -> Swept:
    """So many trials of so many seconds on the Ray that is connected; `at_first` of them begin at once."""
    from search.running.ray import runner as ray_runner

    found, began, started = Swept(), time.monotonic(), 0
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
        run_unfinished(todo, store, runner, tell)
    store.close()
    found.start_up, found.over = opened - began, time.monotonic() - opened
    return found


def sweep_of(number: int, *, seconds: float = 0.0, nodes: int = 1, slots: int = 2) -> Swept:
    """`go` in a process of its own, on a Ray of its own."""
    command = [sys.executable, __file__, str(number), "--seconds", str(seconds)]
    command += ["--nodes", str(nodes), "--slots", str(slots)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{ran.stderr}")
    return Swept(**json.loads(ran.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int)
    parser.add_argument("--seconds", type=float, default=0.0, help="of a trial")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--slots", type=int, default=2, help="trials a node does side by side")
    given = parser.parse_args()

    from search.running.ray.cluster import ray

    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    if given.nodes == 1:
        ray.init(address="local", num_cpus=given.slots, **quiet)
    else:
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": given.slots})
        for _ in range(given.nodes - 1):
            cluster.add_node(num_cpus=given.slots)
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        found = go(
            Path(folder), given.number, seconds=given.seconds, at_first=min(given.number, given.nodes * given.slots)
        )
    ray.shutdown()
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
