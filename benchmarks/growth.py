"""Do more nodes do more trials? Sweeps of trials of known length, against what so many workers would ideally take.

The nodes are raylets of this machine with made up CPUs, and the trials sleep: a core is not what is measured, so their
length is chosen that two real cores can follow. The clock runs from the moment when every worker has its first trial
to the end of the last trial: the ideal is whole rounds of trials on all workers. What starting the workers took is
beside it; here all nodes start theirs on the same two cores.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from math import ceil
from pathlib import Path

from measuring import ROUNDS, Goal, Measured, main, several
from simulated import jobs, sweep_of

from search.store.store import Store
from search.trials.events import Epoch

SLOTS = 4
"""Trials side by side on a node."""
SECONDS = 5.0
"""Of a trial, with one epoch: 16 workers then tell of 3 trials, and 10 events, a second."""
SWEEPS = {1: (10, 100), 2: (10, 100), 4: (10, 100, 1000)}
"""Trials of each sweep, by nodes: a thousand on one node would take 20 minutes, and a hundred are as good there."""
LEAST = 90


def efficiency(ends: list[float], workers: int, seconds: float) -> float:
    """Percent of the ideal, for trials that end at these times."""
    return 100 * ceil(len(ends) / workers) * seconds / ends[-1]


def stored(events: int) -> float:
    """Events a second that a store on this disk takes in, one after another, each on disk before the next."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(Path(folder))
        (spec,) = jobs(1)[0].trials
        store.add([spec])
        began = time.monotonic()
        for number in range(1, events + 1):
            store.write(Epoch(spec.key, number, number, 0.1, 1.0, 0.5, 0.5, 1.0, 1.0))
        seconds = time.monotonic() - began
        store.close()
    return events / seconds


def measure(quick: bool) -> Iterator[Measured]:
    yield several(
        "events that the store takes in, one by one",
        None,
        [stored(100 if quick else 1000) for _ in range(1 if quick else ROUNDS)],
        unit="/s",
    )
    slots, seconds = (2, 1.0) if quick else (SLOTS, SECONDS)
    for nodes, numbers in ({2: (20,)} if quick else SWEEPS).items():
        workers = nodes * slots
        for number in numbers:
            # Long sweeps repeat themselves.
            rounds = ROUNDS if number < 100 and not quick else 1
            sweeps = [sweep_of(number, seconds=seconds, nodes=nodes, slots=slots) for _ in range(rounds)]
            yield several(
                f"efficiency: {number:,} trials on {nodes} node{'s' * (nodes > 1)}",
                Goal("least", LEAST, "%") if nodes == 4 else None,
                [efficiency(swept.ends, workers, seconds) for swept in sweeps],
                unit="%",
                workers=workers,
                seconds_a_trial=seconds,
                seconds=[round(swept.ends[-1], 2) for swept in sweeps],
                start_up_seconds=[round(swept.start_up, 1) for swept in sweeps],
                driver_cpu_seconds_a_trial=[_cpu(swept.cpu) for swept in sweeps],
            )
            if number == 1000 and nodes == 4:
                mib = sweeps[0].mib
                yield several(
                    "growth of the driver's memory, 100 to 1,000 trials on 4 nodes",
                    Goal("most", 5, "%"),
                    [100 * (mib[-1] / mib[99] - 1)],
                    unit="%",
                    mib_at_first=round(mib[99]),
                    mib_at_the_end=round(mib[-1]),
                )


def _cpu(cpu: list[float]) -> float:
    """CPU seconds of the driver for a trial, those before the first end left out."""
    return round((cpu[-1] - cpu[0]) / (len(cpu) - 1), 4)


if __name__ == "__main__":
    main(measure, number=11, about=__doc__ or "")
