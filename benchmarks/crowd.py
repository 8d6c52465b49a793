"""One real driver and a crowd of simulated workers: how many events per second does the driver take?

    python benchmarks/crowd.py 1000 --trials 1000 --epochs 100 --epoch-seconds 1.5

Simulated workers are tasks of a few processes. Each does what a real one does at its end of the exchange: it takes
jobs, reports a start and an end at once, and epochs in messages that are two seconds apart. The driver, the exchange,
the store on disk and the progress are those of a run. Prints JSON, with CPU seconds of the driver and of the exchange.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Before anything imports torch, or ray.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", RAY_USAGE_STATS_ENABLED="0")

from rich.console import Console
from simulated import jobs
from sweeping import sweep

from search.running.feed import Feed
from search.running.progress import Progress
from search.running.ray.attempts import Retries
from search.running.ray.connection import SECONDS_BETWEEN_REPORTS
from search.running.ray.dispatcher import Dispatcher
from search.running.ray.messages import Joined, Message, Reply, Report
from search.running.ray.runner import start_exchange
from search.running.ray.workforce import Demand
from search.store.store import Store
from search.trials.events import Epoch, Event, Finished, Started
from search.trials.resources import Resources
from search.trials.trial import Job

PREDICTIONS = 31_000
"""Bytes of a trial's predictions for 10,000 test images, which its end contains."""

WORKERS_A_PROCESS = 500


@dataclass
class CrowdResult:
    """What a driver did with its events."""

    workers: int
    events: int
    seconds: float
    """From the first event to the last."""
    driver_cpu_seconds: float
    exchange_cpu_seconds: float
    messages: int
    turns: int
    """How often the driver fetched messages."""
    late_seconds: float
    """How much longer the last trial took than its epochs."""

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds


@dataclass(frozen=True)
class Pace:
    """How simulated trials train: the number of epochs, and the seconds of each."""

    epochs: int
    epoch_seconds: float


class Crowd:
    """Some simulated workers."""

    def __init__(self, exchange: Any, pace: Pace) -> None:
        self.exchange, self.pace = exchange, pace

    async def work(self, names: list[str]) -> None:
        await asyncio.gather(*map(self._worker, names))

    async def _worker(self, name: str) -> None:
        await self.exchange.report.remote(Joined(name, "nowhere", {}))
        reply: Reply = await self.exchange.report.remote(Report(name, needs_job=True))
        while reply.job:
            for spec in Job.of(json.loads(reply.job)).trials:
                await self._train(name, spec.key)
            reply = await self.exchange.report.remote(Report(name, needs_job=True))

    async def _train(self, name: str, key: str) -> None:
        def send(*events: Event) -> Any:
            return self.exchange.report.remote(Report(name, events))

        seconds, waiting, began = self.pace.epoch_seconds, list[Event](), time.monotonic()
        on_its_way, sent = asyncio.ensure_future(send(Started(key, name, "cuda"))), began
        for number in range(1, self.pace.epochs + 1):
            await asyncio.sleep(began + number * seconds - time.monotonic())
            waiting.append(Epoch(key, number, number, 0.1, 1.0, 0.5, 0.5, seconds, 1.0))
            if on_its_way.done() and time.monotonic() - sent >= SECONDS_BETWEEN_REPORTS:
                on_its_way, sent = asyncio.ensure_future(send(*waiting)), time.monotonic()
                waiting.clear()
        await on_its_way
        end = Finished(key, "complete", "", 0.5, 0.5, 1.0, 1.0, predictions=os.urandom(PREDICTIONS))
        await send(*waiting, end)


class CountingDispatcher(Dispatcher):
    """Counts messages, and the turns in which it gets some."""

    turns, messages = 0, 0

    def handle(self, messages: Sequence[Message]) -> None:
        self.turns += bool(messages)
        self.messages += len(messages)
        super().handle(messages)


class Present:
    """A workforce whose workers are there already."""

    def __init__(self, workers: int) -> None:
        self.demand = Demand(lambda: workers, spare=0)

    def check(self) -> None:
        """Nothing can go wrong."""


def run_crowd(folder: Path, workers: int, trials: int, pace: Pace) -> CrowdResult:
    """Run trials on the connected Ray with simulated workers."""
    from search.running.ray.cluster import ray

    exchange, resources, times = start_exchange(), Resources(), list[float]()
    names = [f"worker{number}" for number in range(workers)]
    parts = [names[begin : begin + WORKERS_A_PROCESS] for begin in range(0, workers, WORKERS_A_PROCESS)]
    crowds = [ray.remote(Crowd).options(num_cpus=0).remote(exchange, pace) for _ in parts]
    done = [crowd.work.remote(part) for crowd, part in zip(crowds, parts, strict=True)]
    before: list[float] = []
    dispatchers: list[CountingDispatcher] = []
    store = Store.at(folder)
    with (
        open(os.devnull, "w") as nowhere,
        Progress(total=trials, already=0, steps=pace.epochs, console=Console(file=nowhere)) as progress,
    ):

        def tell(event: Event) -> None:
            if not times:
                before.extend((time.process_time(), _exchange_cpu_seconds()))
            times.append(time.monotonic())
            progress.tell(event)

        def runner(feed: Feed) -> None:
            feed.begin(workers)
            retries = Retries(resources, folder)
            dispatchers.append(
                CountingDispatcher(feed, exchange, Present(workers), retries, is_fit=lambda _: True, say=print)
            )
            dispatchers[0].run()

        sweep(jobs(trials), store, runner, tell)
        after = (time.process_time(), _exchange_cpu_seconds())
    ray.get(exchange.close.remote(at_once=False))
    ray.get(done)
    assert store.counts()["complete"] == trials
    store.close()
    seconds = times[-1] - times[0]
    return CrowdResult(
        workers=workers,
        events=len(times),
        seconds=seconds,
        driver_cpu_seconds=after[0] - before[0],
        exchange_cpu_seconds=after[1] - before[1],
        messages=dispatchers[0].messages,
        turns=dispatchers[0].turns,
        late_seconds=seconds - trials / workers * pace.epochs * pace.epoch_seconds,
    )


def _exchange_cpu_seconds() -> float:
    """Return the CPU seconds of the exchange, a process that this one has started."""
    stats = {int(path.parent.name): path.read_text() for path in Path("/proc").glob("[0-9]*/stat")}
    fields = {process: stat.rpartition(")")[2].split() for process, stat in stats.items()}
    for process, stat in stats.items():
        if "(ray::Exchange" in stat:
            above = process
            while above > 1 and above != os.getpid():
                above = int(fields[above][1])
            if above == os.getpid():
                return sum(map(int, fields[process][11:13])) / os.sysconf("SC_CLK_TCK")
    raise RuntimeError("there is no exchange")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workers", type=int)
    parser.add_argument("--trials", type=int, help="default: one for each worker")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--epoch-seconds", type=float, default=1.5)
    given = parser.parse_args()

    from search.running.ray.cluster import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        pace = Pace(given.epochs, given.epoch_seconds)
        found = run_crowd(Path(folder), given.workers, given.trials or given.workers, pace)
    ray.shutdown()
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
