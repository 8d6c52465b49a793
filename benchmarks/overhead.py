"""What does an empty trial cost, beside one of plain Ray Tune, and does it stay so over 5,000 of them?

Ours: Ray, the driver, the store on disk, progress told; workers are kept. Plain: a function trainable that imports
torch and reports once, in Tune as it comes. Both on one local Ray of two CPUs, in turns, each from the first call to
the last clean-up, with the start of its workers. A plain trial takes seconds, so there are fewer of them a round; the
seconds of a trial are compared.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import simulated
from measuring import ROUNDS, Goal, Measured, in_turns, main, ratio, several

FIRST = 200
"""Trials behind which the growth is measured from; memory from five times as many, when all has been seen."""


def ours(number: int) -> Callable[[], float]:
    def seconds() -> float:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            simulated.go(Path(folder) / "run", number)
        return (time.monotonic() - began) / number

    return seconds


def plain(number: int) -> Callable[[], float]:
    from ray import tune

    def trainable(config: dict[str, Any]) -> None:
        import torch

        tune.report({"error": float(torch.zeros(()))})

    def seconds() -> float:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(num_samples=number),
                run_config=tune.RunConfig(storage_path=folder, verbose=0),
            ).fit()
        return (time.monotonic() - began) / number

    return seconds


def measure(quick: bool) -> Iterator[Measured]:
    from search.running.ray import cluster

    ray = cluster.ray
    few, rounds = (2, 1) if quick else (20, ROUNDS)
    many = 50 if quick else 200
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    sides = in_turns(ours(many), plain(few), rounds=rounds, warm_up=0 if quick else 1)
    ray.shutdown()
    yield ratio(
        f"a trial of {many} empty ones: ours / plain Ray Tune",
        Goal("most", 0.15),
        sides,
        names=("our_seconds_a_trial", "plain_seconds_a_trial"),
        our_trials_a_round=many,
        plain_trials_a_round=few,
    )
    if quick:
        return
    number, first = 5000, FIRST
    # One of 5,000: what it says of growth is told by every window of it.
    sweeps = [simulated.sweep_of(number)]
    windows = [(_window(swept.ends, number, first), _window(swept.ends, first, first)) for swept in sweeps]
    cpu = [(_window(swept.cpu, number, first), _window(swept.cpu, first, first)) for swept in sweeps]
    sizes = f"{first:,} to {number:,} trials through one driver"
    yield ratio(
        f"seconds a trial, {sizes}",
        Goal("most", 1.2),
        windows,
        names=("seconds_a_trial_at_the_end", "seconds_a_trial_at_first"),
        trials_a_window=first,
    )
    yield ratio(
        f"the driver's CPU seconds a trial, {sizes}",
        None,
        cpu,
        names=("cpu_seconds_a_trial_at_the_end", "cpu_seconds_a_trial_at_first"),
    )
    behind = number // 5
    yield several(
        f"growth of the driver's memory, {behind:,} to {number:,} trials",
        Goal("most", 20, "%"),
        [100 * (swept.mib[-1] / swept.mib[behind - 1] - 1) for swept in sweeps],
        unit="%",
        mib_at_first=[round(swept.mib[behind - 1]) for swept in sweeps],
        mib_at_the_end=[round(swept.mib[-1]) for swept in sweeps],
    )


def _window(times: list[float], end: int, length: int) -> float:
    """Seconds a trial over those around this one, or before it where it is the last: start-up is left out."""
    end = min(end + length // 2, len(times))
    return (times[end - 1] - times[end - 1 - length]) / length


if __name__ == "__main__":
    main(measure, number=6, about=__doc__ or "")
