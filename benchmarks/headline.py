"""How many machine-minutes until the demo's question is answered, against what one would write without this project?

The question is the shipped study of shortcuts in its laptop form: which of ten arms is worse than the identity, and
which is within a point of it? Ours is `resnet-space run` from an empty folder, start and report included, the
seeds of an arm trained together: four seeds of every arm, and ten of the arms that are open then and of the baseline.
The other side is a script on Ray Tune: `grid_search` over the same networks and five seeds, the textbook's loop, an
error each into a table; where a comparison is open then, five more seeds of its arm and of the baseline. On both sides
a comparison is resolved if the 95 % interval of its paired differences is off zero, or within a point of it, each
comparison by itself. Ours is held to what it says itself, which spends its 5 % over both of its looks; of the other
side each look is taken as if there were no other.
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

from ablations.run import AblationRun
from resnet_space import api

STUDY, BASELINE = "shortcuts", "identity"
FEW, SEEDS = 4, 5
"""Of every arm at first, ours and theirs..."""
MOST = 10
"""...and where a comparison is open then."""
POINT = 0.01
CORES = 2
OPEN = "not resolved"
FEWER = Goal("least", 4)


def measure(quick: bool) -> Iterator[Measured]:
    epochs = 1 if quick else 10
    # Libraries off the disk once, or else the side that begins reads them for the other.
    subprocess.run([sys.executable, "-c", "import fvcore.nn, optuna, ray.tune, torchvision"], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        ours = _ours(Path(scratch) / "run", epochs, quick)
        theirs = _theirs(Path(scratch), epochs, quick)
    factor = theirs[-1]["machine_minutes"] / ours["machine_minutes"]
    details = {"ours": ours, "theirs": theirs, "cores": CORES, "epochs": epochs}
    yield Measured("the demo's question", FEWER, factor, factor, factor, details=details)


def _ours(out: Path, epochs: int, quick: bool) -> dict[str, Any]:
    settings = {
        "planned.equivalent_within": POINT,
        "planned.adjust": "none",
        "seeds": 1 if quick else {"min": FEW, "max": MOST, "by": MOST - FEW},
        "recipe.epochs": epochs,
    }
    assigned = [word for path, value in settings.items() for word in ("--set", f"{path}={json.dumps(value)}")]
    command = [sys.executable, "-m", "resnet_space", "run", STUDY, "--out", str(out), *assigned]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=sys.stderr)
    seconds = time.perf_counter() - began
    found = api.open_run(out)
    assert isinstance(found, AblationRun)
    return {
        "machine_minutes": seconds / 60,
        "trials": len(found.records),
        "together": sum((record.together or 1) > 1 for record in found.records),
        "outcomes": {each.arm: each.verdict for each in found.findings if each.planned},
        "open": [each.arm for each in found.findings if each.planned and not (each.resolved or each.equivalent)],
    }


def _theirs(scratch: Path, epochs: int, quick: bool) -> list[dict[str, Any]]:
    """What is known behind each lot of seeds: the first of every arm, more of what is open and of the baseline."""
    told: list[dict[str, Any]] = []
    seeds = 1 if quick else SEEDS
    found, arms, began = pd.DataFrame(), list[str](), time.perf_counter()
    for first in range(0, MOST, seeds):
        table = scratch / f"grid{first}.csv"
        command = [sys.executable, str(HERE / "grid.py"), "--out", str(table), "--epochs", str(epochs)]
        command += ["--seeds", str(seeds), "--first", str(first), "--arms", ";".join(arms)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        found = pd.concat([found, pd.read_csv(table)])
        told.append(_known(found, time.perf_counter() - began))
        if not told[-1]["open"] or quick:
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
