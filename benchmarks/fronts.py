"""How long do a front over 100,000 stored trials and a report over 10,000 take, and does their memory grow linearly?

The store is that of a search with synthetic trials, two seeds per network, written as rows through the store's own
table. Each measurement is a separate process that has imported everything before the clock starts; its memory is the
peak minus the memory at that time. It is repeated at half the size: twice the trials may take at most twice the memory.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median

# Before anything imports torch.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", MPLBACKEND="Agg")

import sqlalchemy as sql
from measuring import ROUNDS, Goal, Measured, main, median_of

FORMATS = ["md", "html"]
CHUNK = 5000
SPACE = {
    "base": "resnet20",
    "axes": {
        "unit.shortcut.kind": ["identity", "constant_scaling", "exclusive_gate", "shortcut_only_gate"],
        "unit.order": ["original", "full_preactivation"],
        "width": [0.25, 0.5, 1],
        "stages.0.units": [1, 2, 3, 4, 5, 6],
        "stages.1.units": [1, 2, 3, 4, 5, 6],
        "stages.2.units": [1, 2, 3, 4, 5, 6],
    },
}


def study() -> dict[str, object]:
    return {
        "name": "fronts",
        "kind": "search",
        "space": SPACE,
        "objectives": ["error", "macs"],
        "budget": {"trials": 1_000_000},
        "sampler": "random",
        "confirm": 0,
        "replicates": 2,
        "data": "digits",
        "recipe": "digits",
    }


def fill(folder: Path, trials: int) -> None:
    """Create a run's folder with complete trials of synthetic numbers, each with its last epoch."""
    from search.data import load
    from search.exploring.plan import SearchPlan
    from search.exploring.study import Search
    from search.files.folder import RunFolder
    from search.store.store import Store, epochs
    from search.store.store import trials as table
    from search.trials.events import Epoch

    plan = SearchPlan.of(Search.of(study()), load(Search.of(study()).data))
    run = RunFolder(folder)
    run.claim(plan.study.model_dump(mode="json"), changeable=plan.study.CHANGEABLE)
    run.add_session(fingerprint=plan.images.fingerprint, storage=None)
    store = Store.at(folder)
    # Some networks of the space are added as a search adds them; all other rows are copies under other keys.
    rng = Random(0)
    some = [plan.space.draw(rng) for _ in range(min(200, trials // 2))]
    asked = [(plan.spec(plan.space.architecture(each), 0), each) for each in some]
    specs, assignments = {spec.key: spec for spec, _ in asked}, {spec.key: each for spec, each in asked}
    store.add(specs.values())
    with store.engine.begin() as connection:
        rows = [dict(row) for row in connection.execute(sql.select(table)).mappings()]
        connection.execute(table.delete())
        made, factor = [], 1.0
        for number in range(trials):
            network, seed = divmod(number, 2)
            row = rows[network % len(rows)]
            # Each network needs its own costs, or there would be 200 networks under 50,000 keys.
            factor = math.exp(rng.gauss(0, 0.5)) if seed == 0 else factor
            macs = int(row["macs"] * factor)
            error = 0.05 + 0.4 / (1 + macs / 3e6) * (1 + abs(rng.gauss(0, 0.3)))
            made.append(
                {
                    **row,
                    "key": plan.identity.key(f"{network:016x}", seed),
                    "architecture": f"{network:016x}",
                    "seed": seed,
                    "macs": macs,
                    "params": int(row["params"] * factor),
                    "proposal": {"number": number, "assignment": assignments[row["key"]], "by": "random"},
                    "status": "complete",
                    "attempts": 1,
                    "validation_error": error,
                    "test_error": error,
                    "latency_ms": 1.0,
                    "seconds": 1.0,
                }
            )
            if len(made) == CHUNK or number == trials - 1:
                connection.execute(table.insert(), made)
                events = [Epoch(r["key"], 1, 10, 0.1, 1.0, 0.5, r["validation_error"], 1.0, 1.0).__dict__ for r in made]
                connection.execute(epochs.insert(), events)
                made = []
    store.close()


def front(folder: Path) -> int:
    from resnet_space import api

    return len(api.front(folder).points)


def report(folder: Path) -> int:
    from resnet_space import api

    return len(api.report(api.open_run(folder), FORMATS))


TASKS = {"front": front, "report": report}


def measure_here(what: str, folder: Path, small: Path) -> dict[str, float]:
    """Return seconds and MiB of a task in this process, after a run on a small folder that imports everything."""
    TASKS[what](small)
    before = peak()
    began = time.monotonic()
    TASKS[what](folder)
    seconds = time.monotonic() - began
    return {"seconds": seconds, "mib": peak() - before}


def peak() -> float:
    """Return this process's peak memory in MiB. `getrusage` is wrong here: a child inherits its parent's peak."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def measure(quick: bool) -> Iterator[Measured]:
    sizes = (
        {"front": (5_000, 1.0), "report": (500, 10.0)} if quick else {"front": (100_000, 1.0), "report": (10_000, 10.0)}
    )
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "small"
        fill(small, 100)
        for what, (trials, seconds) in sizes.items():
            found = {}
            for number in (trials, trials // 2):
                folder = Path(scratch) / f"{what}{number}"
                fill(folder, number)
                command = [sys.executable, __file__, "--here", what, str(folder), str(small)]
                rounds = 1 if quick else ROUNDS
                found[number] = [
                    json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
                    for _ in range(rounds)
                ]
            whole, half = found[trials], found[trials // 2]
            yield median_of(
                f"{what} over {trials:,} stored trials",
                Goal("most", seconds, "s"),
                [one["seconds"] for one in whole],
                half_the_trials_seconds=median(one["seconds"] for one in half),
            )
            yield median_of(
                f"{what}: memory at {trials:,} trials / at {trials // 2:,}",
                Goal("most", 2.2),
                [one["mib"] / max(other["mib"], 1.0) for one, other in zip(whole, half, strict=True)],
                unit="x",
                mib=median(one["mib"] for one in whole),
                half_the_trials_mib=median(one["mib"] for one in half),
            )


if __name__ == "__main__":
    if "--here" in sys.argv:
        parser = argparse.ArgumentParser()
        parser.add_argument("--here", choices=TASKS)
        parser.add_argument("folder", type=Path)
        parser.add_argument("small", type=Path)
        given = parser.parse_args()
        print(json.dumps(measure_here(given.here, given.folder, given.small)))
    else:
        main(measure, number=8, about=__doc__ or "")
