"""How many machine-minutes does the answer to the demo's question take, compared with a script on plain Ray Tune?

The question is the shipped study of shortcuts in its laptop form: which of ten arms is worse than the identity, and
which is within a point of it?

Ours is `resnet-space run` from an empty folder, including start and report, with the seeds of an arm trained together:
four seeds of every arm, then ten of the open arms and of the baseline. The other side is a script on Ray Tune:
`grid_search` over the same networks and five seeds, the textbook loop, and one error per trial in a table; then five
more seeds of the open arms and of the baseline.

On both sides a comparison is resolved if the 95 % interval of its paired differences excludes zero, or is within a
point of it; comparisons are not adjusted for each other. Ours uses its own report, which spends its 5 % over both
interim analyses. The other side treats each analysis as if it were the only one.
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
FIRST_SEEDS, GRID_SEEDS = 4, 5
"""Seeds of every arm at first: ours, and those of the grid."""
MAX_SEEDS = 10
"""Seeds of an arm whose comparison is still open then."""
EQUIVALENT_WITHIN = 0.01
CORES = 2
OPEN = "not resolved"
FEWER = Goal("least", 4)


def measure(quick: bool) -> Iterator[Measured]:
    epochs = 1 if quick else 10
    # Read the libraries from disk once; otherwise the first side would read them for the second.
    subprocess.run([sys.executable, "-c", "import fvcore.nn, optuna, ray.tune, torchvision"], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        ours = _ours(Path(scratch) / "run", epochs, quick)
        theirs = _theirs(Path(scratch), epochs, quick)
    factor = theirs[-1]["machine_minutes"] / ours["machine_minutes"]
    details = {"ours": ours, "theirs": theirs, "cores": CORES, "epochs": epochs}
    yield Measured("the demo's question", FEWER, factor, factor, factor, details=details)


def _ours(out: Path, epochs: int, quick: bool) -> dict[str, Any]:
    settings = {
        "planned.equivalent_within": EQUIVALENT_WITHIN,
        "planned.adjust": "none",
        "seeds": 1 if quick else {"min": FIRST_SEEDS, "max": MAX_SEEDS, "by": MAX_SEEDS - FIRST_SEEDS},
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
    """Return what is known after each set of seeds: first those of every arm, then more of open arms and baseline."""
    known: list[dict[str, Any]] = []
    seeds = 1 if quick else GRID_SEEDS
    found, arms, began = pd.DataFrame(), list[str](), time.perf_counter()
    for first in range(0, MAX_SEEDS, seeds):
        table = scratch / f"grid{first}.csv"
        command = [sys.executable, str(HERE / "grid.py"), "--out", str(table), "--epochs", str(epochs)]
        command += ["--seeds", str(seeds), "--first", str(first), "--arms", ";".join(arms)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        found = pd.concat([found, pd.read_csv(table)])
        known.append(_known(found, time.perf_counter() - began))
        if not known[-1]["open"] or quick:
            break
        arms = [BASELINE, *known[-1]["open"]]
    return known


def _known(found: pd.DataFrame, seconds: float) -> dict[str, Any]:
    """Return the outcome of each arm, and the open arms."""
    errors = found.pivot(index="seed", columns="arm", values="error")
    outcomes = {arm: _outcome((errors[arm] - errors[BASELINE]).dropna()) for arm in errors if arm != BASELINE}
    return {
        "machine_minutes": seconds / 60,
        "trials": len(found),
        "outcomes": outcomes,
        "open": [arm for arm, outcome in outcomes.items() if outcome == OPEN],
    }


def _outcome(differences: pd.Series) -> str:
    """Return the outcome of one comparison, by the 95 % interval of its paired differences."""
    number, mean = len(differences), float(differences.mean())
    if number < 2:
        return OPEN
    half = float(stats.t.ppf(0.975, number - 1) * differences.std() / number**0.5)
    if mean - half > 0 or mean + half < 0:
        return "worse" if mean > 0 else "better"
    return "equivalent" if max(mean + half, half - mean) < EQUIVALENT_WITHIN else OPEN


if __name__ == "__main__":
    main(measure, number=12, about=__doc__ or "")
