"""How many machine-minutes until the demo's question is answered, against what one would write without this project?

The question is the shipped study of shortcuts in its laptop form: which of ten arms is worse than the identity, and
which is within a point of it? Ours is `resnet-space run` from an empty folder, start and report included: seeds are
added where a comparison is open, as `ADDED` says, and train together. The other side is a script on Ray Tune:
`grid_search` over the same networks and five seeds, the textbook's loop, means and paired intervals by pandas. A
comparison is resolved if its 95 % interval is off zero, or within a point of it; how many are, of either side, is in
the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from measuring import HERE, Goal, Measured, main
from scipy import stats

from ablations import kinds
from ablations.launch import AblationRun

STUDY, BASELINE = "shortcuts", "identity"
SEEDS = 5
ADDED = {"min": 4, "max": 10, "by": 3}
POINT = 0.01
CORES = 2
FEWER = Goal("least", 4)


def measure(quick: bool) -> Iterator[Measured]:
    epochs = 1 if quick else 10
    with tempfile.TemporaryDirectory() as scratch:
        ours = _ours(Path(scratch) / "run", epochs)
        theirs = _theirs(Path(scratch) / "grid.csv", epochs, seeds=1 if quick else SEEDS)
    details = {"ours": ours, "theirs": theirs, "cores": CORES, "epochs": epochs}
    factor = theirs["machine_minutes"] / ours["machine_minutes"]
    yield Measured("the demo's question", FEWER, factor, factor, factor, details=details)


def _ours(out: Path, epochs: int) -> dict[str, Any]:
    """The study as it is shipped, but that a point's difference does not matter, and that there may be more seeds."""
    settings = {"planned.equivalent_within": POINT, "seeds": ADDED, "recipe.epochs": epochs}
    assigned = [word for path, value in settings.items() for word in ("--set", f"{path}={json.dumps(value)}")]
    began = time.perf_counter()
    command = [sys.executable, "-m", "resnet_space", "run", STUDY, "--out", str(out), *assigned]
    subprocess.run(command, check=True, stdout=sys.stderr)
    seconds = time.perf_counter() - began
    found = kinds.read(out)
    assert isinstance(found, AblationRun)
    return {
        "machine_minutes": seconds / 60,
        "trials": sum(found.counts.values()),
        "together": sum((record.together or 1) > 1 for record in found.records),
        "outcomes": {each.arm: each.verdict for each in found.findings if each.planned},
        "resolved": sum(each.resolved or each.equivalent for each in found.findings if each.planned),
    }


def _theirs(table: Path, epochs: int, seeds: int) -> dict[str, Any]:
    began = time.perf_counter()
    command = [
        sys.executable,
        str(HERE / "grid.py"),
        "--out",
        str(table),
        "--epochs",
        str(epochs),
        "--seeds",
        str(seeds),
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)
    seconds = time.perf_counter() - began
    errors = pd.read_csv(table).pivot(index="seed", columns="arm", values="error")
    outcomes = {arm: _outcome(errors[arm] - errors[BASELINE]) for arm in errors if arm != BASELINE}
    return {
        "machine_minutes": seconds / 60,
        "trials": int(errors.size),
        "outcomes": outcomes,
        "resolved": sum(outcome != "not resolved" for outcome in outcomes.values()),
    }


def _outcome(differences: pd.Series) -> str:
    """By the 95 % interval of paired differences, one comparison at a time."""
    number, mean = len(differences), float(differences.mean())
    if number < 2:
        return "not resolved"
    half = float(stats.t.ppf(0.975, number - 1) * differences.std() / number**0.5)
    if mean - half > 0 or mean + half < 0:
        return "worse" if mean > 0 else "better"
    return "equivalent" if max(mean + half, half - mean) < POINT else "not resolved"


if __name__ == "__main__":
    main(measure, number=12, about=__doc__ or "")
