"""What does an empty trial cost, compared with one in Ray Tune and in Ray alone, and is it constant over 5,000 trials?

Ours: Ray, the driver, the store on disk, progress reports. Ray Tune: a function trainable that imports torch and
reports once, in processes that are reused. Ray alone: an ActorPool of actors that import torch and return a number;
nothing is stored. All use one local Ray of two CPUs, run the same number of trials, and alternate. Each is measured
from the first call to the last clean-up: once for few trials, which is mostly the start of processes, and once for
more. The difference is what the further trials cost.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import simulated
from measuring import ROUNDS, Goal, Measured, in_turns, main, median_of, ratio

CPUS = 2
FEW, MORE = 100, 600
"""Trials per round of each side."""
FIRST = 200
"""Growth of time is measured after this number of trials; growth of memory after five times as many, when every code
path has run."""


def ours(number: int) -> Callable[[], float]:
    """Return the measurement of this number of trials, in seconds; as the other sides."""

    def seconds() -> float:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            simulated.run_trials(Path(folder) / "run", number)
        return time.monotonic() - began

    return seconds


def by_tune(number: int) -> Callable[[], float]:
    from ray import tune

    def trainable(config: dict[str, Any]) -> None:
        import torch

        tune.report({"error": float(torch.zeros(()))})

    def seconds() -> float:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(num_samples=number, reuse_actors=True),
                run_config=tune.RunConfig(storage_path=folder, verbose=0),
            ).fit()
        return time.monotonic() - began

    return seconds


def by_pool(number: int) -> Callable[[], float]:
    import ray
    from ray.util import ActorPool

    @ray.remote(num_cpus=1)
    class Worker:
        def __init__(self) -> None:
            import torch

            self.torch = torch

        def trial(self, seed: int) -> float:
            return float(self.torch.zeros(()))

    def seconds() -> float:
        began = time.monotonic()
        workers = [Worker.remote() for _ in range(CPUS)]
        errors = ActorPool(workers).map_unordered(lambda worker, seed: worker.trial.remote(seed), range(number))
        assert sum(1 for _ in errors) == number
        for worker in workers:
            ray.kill(worker)
        return time.monotonic() - began

    return seconds


PEERS = (
    ("Ray Tune, which reuses its processes", by_tune, Goal("most", 0.3)),
    ("Ray's ActorPool, which stores nothing", by_pool, Goal("most", 1)),
)


def measure(quick: bool) -> Iterator[Measured]:
    from search.running.ray import cluster

    ray = cluster.ray
    few, more, rounds = (10, 30, 1) if quick else (FEW, MORE, ROUNDS)
    ray.init(address="local", num_cpus=CPUS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    makers = (ours, *(peer for _, peer, _ in PEERS))
    sides = [maker(number) for maker in makers for number in (few, more)]
    found = in_turns(*sides, rounds=rounds, warm_up=0 if quick else 1)
    ray.shutdown()
    for place, (name, _, goal) in enumerate(PEERS, 1):
        names = ("our_seconds_a_trial", "their_seconds_a_trial")
        yield ratio(
            f"{few} empty trials, with the start of processes: ours / {name}",
            None,
            [(each[0] / few, each[2 * place] / few) for each in found],
            names=names,
        )
        yield ratio(
            f"each further empty trial, up to {more}: ours / {name}",
            goal,
            [(_each(each[:2], more - few), _each(each[2 * place :], more - few)) for each in found],
            names=names,
        )
    if quick:
        return
    number, first = 5000, FIRST
    # One sweep of 5,000 trials is enough: growth is measured between its windows.
    sweeps = [simulated.run_sweep(number)]
    windows = [(_window(swept.ends, number, first), _window(swept.ends, first, first)) for swept in sweeps]
    cpu = [(_window(swept.cpu, number, first), _window(swept.cpu, first, first)) for swept in sweeps]
    sizes = f"{first:,} to {number:,} trials through one driver"
    yield ratio(
        f"seconds per trial, {sizes}",
        Goal("most", 1.2),
        windows,
        names=("seconds_a_trial_at_the_end", "seconds_a_trial_at_first"),
        trials_a_window=first,
    )
    yield ratio(
        f"the driver's CPU seconds per trial, {sizes}",
        None,
        cpu,
        names=("cpu_seconds_a_trial_at_the_end", "cpu_seconds_a_trial_at_first"),
    )
    warm = number // 5
    yield median_of(
        f"growth of the driver's memory, {warm:,} to {number:,} trials",
        Goal("most", 20, "%"),
        [100 * (swept.mib[-1] / swept.mib[warm - 1] - 1) for swept in sweeps],
        unit="%",
        mib_at_first=[round(swept.mib[warm - 1]) for swept in sweeps],
        mib_at_the_end=[round(swept.mib[-1]) for swept in sweeps],
    )


def _each(seconds: Sequence[float], further: int) -> float:
    """Return the seconds of each further trial, from the seconds of few and of more trials."""
    return (seconds[1] - seconds[0]) / further


def _window(times: list[float], end: int, length: int) -> float:
    """Return the seconds per trial in a window around trial `end`, or before it at the end of the sweep.

    Start-up is left out.
    """
    end = min(end + length // 2, len(times))
    return (times[end - 1] - times[end - 1 - length]) / length


if __name__ == "__main__":
    main(measure, number=6, about=__doc__ or "")
