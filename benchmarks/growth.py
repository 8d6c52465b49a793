"""Do more nodes run more trials? The time of sweeps from command to end, against the ideal time of their workers.

The nodes are raylets of this machine with simulated CPUs, and the trials sleep; their length is such that two real
cores can keep up. The cluster is there before. The clock runs from the command to the end of the last trial, so the
start of the driver and of all workers is counted; here all nodes start theirs on the same two cores. The ideal is
complete rounds of trials on all workers. Then a real driver gets a thousand simulated workers, to see how many events
per second it takes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

from measuring import HERE, ROUNDS, Goal, Measured, main, median_of
from simulated import jobs, run_sweep

from search.store.store import Store
from search.trials.events import Epoch

SLOTS = 4
"""Concurrent trials per node."""
SECONDS = 5.0
"""Length of a trial, with one epoch: 16 workers then report 3 trials, and 10 events, per second."""
SWEEPS = {1: (10, 100), 2: (10, 100), 4: (10, 100, 1000), 8: (100, 1000)}
"""Trials of each sweep, by nodes. A thousand on one node would take 20 minutes and show no more than a hundred."""
CROWDS = {
    "every 1.5 s": ("1000", "--epochs", "60"),
    "as fast as it can": ("1000", "--epochs", "100", "--epoch-seconds", "0.02"),
}
"""Simulated workers that report epochs at these times, with the options of `crowd.py`."""
LEAST_EVENTS = 2000
LEAST = 90


def efficiency(ends: list[float], workers: int, seconds: float) -> float:
    """Return the percentage of the ideal, for trials that end at these times."""
    return 100 * ceil(len(ends) / workers) * seconds / ends[-1]


def stored(events: int) -> float:
    """Return the events per second that a store on this disk takes, each written to disk before the next."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(Path(folder))
        (spec,) = jobs(1)[0].trials
        store.add([spec])
        began = time.monotonic()
        for number in range(1, events + 1):
            store.write([Epoch(spec.key, number, number, 0.1, 1.0, 0.5, 0.5, 1.0, 1.0)])
        seconds = time.monotonic() - began
        store.close()
    return events / seconds


def measure(quick: bool) -> Iterator[Measured]:
    yield median_of(
        "events that the store takes, one by one",
        None,
        [stored(100 if quick else 1000) for _ in range(1 if quick else ROUNDS)],
        unit="/s",
    )
    slots, seconds = (2, 1.0) if quick else (SLOTS, SECONDS)
    for nodes, numbers in ({2: (20,)} if quick else SWEEPS).items():
        workers = nodes * slots
        for number in numbers:
            # A long sweep contains many rounds, so one is enough.
            rounds = ROUNDS if number < 100 and not quick else 1
            sweeps = [run_sweep(number, seconds=seconds, nodes=nodes, slots=slots) for _ in range(rounds)]
            yield median_of(
                f"efficiency with the start: {number:,} trials on {nodes} node{'s' * (nodes > 1)}",
                Goal("least", LEAST, "%") if (nodes, number) == (4, 1000) else None,
                [efficiency(swept.ends, workers, seconds) for swept in sweeps],
                unit="%",
                workers=workers,
                seconds_a_trial=seconds,
                seconds=[round(swept.ends[-1], 2) for swept in sweeps],
                first_trial_seconds=[round(swept.first, 1) for swept in sweeps],
                all_busy_seconds=[round(swept.all_busy, 1) for swept in sweeps],
                driver_cpu_seconds_a_trial=[_cpu(swept.cpu) for swept in sweeps],
            )
            if number == 1000 and nodes == 4:
                mib = sweeps[0].mib
                yield median_of(
                    "growth of the driver's memory, 100 to 1,000 trials on 4 nodes",
                    Goal("most", 5, "%"),
                    [100 * (mib[-1] / mib[99] - 1)],
                    unit="%",
                    mib_at_first=round(mib[99]),
                    mib_at_the_end=round(mib[-1]),
                )
    for pace, options in CROWDS.items():
        crowd = _crowd(*(("100", "--epochs", "5") if quick else options))
        fastest = "as fast" in pace
        yield median_of(
            f"events of {crowd['workers']:,} simulated workers that report {pace}: taken per second",
            Goal("least", LEAST_EVENTS, "/s") if fastest else None,
            [crowd["events"] / crowd["seconds"]],
            unit="/s",
            **crowd,
        )
        yield median_of(
            f"the driver's CPU seconds for 1,000 of these events ({pace})",
            None,
            [1000 * crowd["driver_cpu_seconds"] / crowd["events"]],
        )


def _crowd(*options: str) -> dict[str, Any]:
    """Return the result of `crowd.py`."""
    command = [sys.executable, str(HERE / "crowd.py"), *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def _cpu(cpu: list[float]) -> float:
    """Return the driver's CPU seconds per trial, without those before the first trial ended."""
    return round((cpu[-1] - cpu[0]) / (len(cpu) - 1), 4)


if __name__ == "__main__":
    main(measure, number=11, about=__doc__ or "")
