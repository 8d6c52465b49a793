"""What does an empty trial cost, compared with one in plain Ray Tune, and is the cost constant over 5,000 trials?

Ours: Ray, the driver, the store on disk, progress reports; workers are reused. Plain: a function trainable that imports
torch and reports once, in Tune with default settings. Both use one local Ray of two CPUs and alternate. Each is
measured from the first call to the last clean-up, including the start of its workers. A plain trial takes seconds, so a
round has fewer of them; the seconds per trial are compared.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import simulated
from measuring import ROUNDS, Goal, Measured, in_turns, main, median_of, ratio

FIRST = 200
"""Growth of time is measured after this number of trials; growth of memory after five times as many, when every code
path has run."""


def ours(number: int) -> Callable[[], float]:
    def seconds() -> float:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            simulated.run_trials(Path(folder) / "run", number)
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
    from search.running import ray_runner

    ray = ray_runner.ray
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


def _window(times: list[float], end: int, length: int) -> float:
    """Return the seconds per trial in a window around trial `end`, or before it at the end of the sweep.

    Start-up is left out.
    """
    end = min(end + length // 2, len(times))
    return (times[end - 1] - times[end - 1 - length]) / length


if __name__ == "__main__":
    main(measure, number=6, about=__doc__ or "")
