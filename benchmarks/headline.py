"""How many machine-minutes until the demo's question is answered, against what one would write without this project?

The question is the shipped study of shortcuts in its laptop form: which of ten arms is worse than the identity, and
which is within a point of it? Ours is `resnet-space run` from an empty folder, start and report included, the
seeds of an arm trained together. The other side is a script on Ray Tune: `grid_search` over the same networks and
seeds, the textbook's loop, an error each into a table. Both have five seeds of every arm, and where a comparison is
open then, five more of its arm and of the baseline. Both are judged alike: a comparison is resolved if the 95 %
interval of its paired differences is off zero, or within a point of it, each looked at as if it were alone. (What ours
says itself holds for all ten at a time; it is in the file.)
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
"""Of every arm, at first, on both sides; and so many more where a comparison is open..."""
MOST = 10
"""...up to so many."""
POINT = 0.01
CORES = 2
OPEN = "not resolved"
FEWER = Goal("least", 4)


def measure(quick: bool) -> Iterator[Measured]:
    epochs, seeds = (1, 1) if quick else (10, SEEDS)
    with tempfile.TemporaryDirectory() as scratch:
        ours = _ours(Path(scratch) / "run", epochs, seeds)
        theirs = _theirs(Path(scratch), epochs, seeds)
    factor = theirs[-1]["machine_minutes"] / ours[-1]["machine_minutes"]
    details = {"ours": ours, "theirs": theirs, "cores": CORES, "epochs": epochs}
    yield Measured("the demo's question", FEWER, factor, factor, factor, details=details)


def _ours(out: Path, epochs: int, seeds: int) -> list[dict[str, Any]]:
    """What is known behind the first seeds of every arm, and behind more of what is open."""
    told: list[dict[str, Any]] = []
    began = time.perf_counter()
    for more in (seeds, {"min": seeds, "max": MOST, "by": SEEDS}):
        settings = {"planned.equivalent_within": POINT, "seeds": more, "recipe.epochs": epochs}
        assigned = [word for path, value in settings.items() for word in ("--set", f"{path}={json.dumps(value)}")]
        command = [sys.executable, "-m", "resnet_space", "run", STUDY, "--out", str(out), *assigned]
        subprocess.run(command, check=True, stdout=sys.stderr)
        seconds = time.perf_counter() - began
        found = kinds.read(out)
        assert isinstance(found, AblationRun)
        names = {net.key: arm for arm, net in found.nets.items()}
        rows = [(names[each.architecture], each.seed, each.test_error) for each in found.records]
        told.append(_known(pd.DataFrame(rows, columns=["arm", "seed", "error"]), seconds))
        told[-1]["together"] = sum((record.together or 1) > 1 for record in found.records)
        # What ours says itself, of all ten at a time.
        told[-1]["verdicts"] = {each.arm: each.verdict for each in found.findings if each.planned}
        if not told[-1]["open"] or seeds == 1:
            break
    return told


def _theirs(scratch: Path, epochs: int, seeds: int) -> list[dict[str, Any]]:
    """What is known behind each lot of seeds: the first of every arm, more of what is open and of the baseline."""
    told: list[dict[str, Any]] = []
    found, arms, began = pd.DataFrame(), list[str](), time.perf_counter()
    for first in range(0, MOST, seeds):
        table = scratch / f"grid{first}.csv"
        command = [sys.executable, str(HERE / "grid.py"), "--out", str(table), "--epochs", str(epochs)]
        command += ["--seeds", str(seeds), "--first", str(first), "--arms", ";".join(arms)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        found = pd.concat([found, pd.read_csv(table)])
        told.append(_known(found, time.perf_counter() - began))
        if not told[-1]["open"] or seeds == 1:
            break
        arms = [BASELINE, *told[-1]["open"]]
    return told


def _known(found: pd.DataFrame, seconds: float) -> dict[str, Any]:
    """What trials say of each arm, and which are open."""
    errors = found.pivot(index="seed", columns="arm", values="error")
    outcomes = {arm: _outcome((errors[arm] - errors[BASELINE]).dropna()) for arm in errors if arm != BASELINE}
    return {
        "machine_minutes": seconds / 60,
        "trials": len(found),
        "outcomes": outcomes,
        "open": [arm for arm, outcome in outcomes.items() if outcome == OPEN],
    }


def _outcome(differences: pd.Series) -> str:
    """By the 95 % interval of paired differences, one comparison at a time."""
    number, mean = len(differences), float(differences.mean())
    if number < 2:
        return OPEN
    half = float(stats.t.ppf(0.975, number - 1) * differences.std() / number**0.5)
    if mean - half > 0 or mean + half < 0:
        return "worse" if mean > 0 else "better"
    return "equivalent" if max(mean + half, half - mean) < POINT else OPEN


if __name__ == "__main__":
    main(measure, number=12, about=__doc__ or "")
