"""How many machine-minutes does the answer to the demo's question take, compared with a script on plain Ray Tune?

The question is the shipped study of shortcuts in its laptop form: which of ten arms is worse than the identity, and
which is within a point of it?

Ours is `resnet-space run` from an empty folder, including start and report, with the seeds of an arm trained together:
two seeds of every arm, then six and ten of the open arms and of the baseline. The other side is a script on Ray Tune:
`grid_search` over the same networks and five seeds, the textbook loop, and one error per trial in a table; then five
more seeds of the open arms and of the baseline.

A comparison is resolved if the 95 % interval of its difference excludes zero, or is within a point of it; comparisons
are not adjusted for each other. Ours uses its own report, which spends its 5 % over all interim analyses. The other
side takes intervals of paired differences, and treats each analysis as if it were the only one. In a second case, it
has our test and our numbers of seeds, so only the training differs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd
from measuring import HERE, Goal, Measured, main
from scipy import stats

from ablations.comparisons import TESTS
from ablations.outcomes import Outcomes
from ablations.run import AblationRun
from ablations.scales import LogOdds, images_of
from resnet_space import api
from search.measures.catalogue import MEASURES

STUDY, BASELINE = "shortcuts", "identity"
SEEDS = (2, 6, 10)
"""The number of seeds at each analysis: of every arm at first, then of arms whose comparison is still open."""
GRID_SEEDS = (5, 10)
"""The same of the grid."""
EQUIVALENT_WITHIN = 0.01
CORES = 2
OPEN = "not resolved"
FEWER = Goal("least", 7)

Decide = Callable[[pd.DataFrame], dict[str, str]]
"""From errors by seed and arm to the outcome of each arm."""


def measure(quick: bool) -> Iterator[Measured]:
    epochs = 1 if quick else 10
    # Read the libraries from disk once; otherwise the first side would read them for the second.
    subprocess.run([sys.executable, "-c", "import fvcore.nn, optuna, ray.tune, torchvision"], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        ours = _ours(Path(scratch) / "run", epochs, quick)
        for case, goal, seeds, decide in (
            ("the demo's question", FEWER, GRID_SEEDS, by_pairs),
            ("the demo's question, with our test on both sides", None, SEEDS, by_shared_variances),
        ):
            theirs = _theirs(Path(scratch), epochs, seeds[:1] if quick else seeds, decide)
            factor = theirs[-1]["machine_minutes"] / ours["machine_minutes"]
            details = {"ours": ours, "theirs": theirs, "cores": CORES, "epochs": epochs}
            yield Measured(case, goal, factor, factor, factor, details=details)


def _ours(out: Path, epochs: int, quick: bool) -> dict[str, Any]:
    settings = {
        "planned.equivalent_within": EQUIVALENT_WITHIN,
        "planned.adjust": "none",
        "seeds": SEEDS[0] if quick else {"min": SEEDS[0], "max": SEEDS[-1], "by": SEEDS[1] - SEEDS[0]},
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


def _theirs(scratch: Path, epochs: int, analyses: Sequence[int], decide: Decide) -> list[dict[str, Any]]:
    """Return what is known after each analysis: first of every arm, then with more seeds of open arms and baseline."""
    known: list[dict[str, Any]] = []
    found, arms, first, began = pd.DataFrame(), list[str](), 0, time.perf_counter()
    for seeds in analyses:
        table = scratch / f"grid{first}.csv"
        command = [sys.executable, str(HERE / "grid.py"), "--out", str(table), "--epochs", str(epochs)]
        command += ["--seeds", str(seeds - first), "--first", str(first), "--arms", ";".join(arms)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        found = pd.concat([found, pd.read_csv(table)])
        outcomes = decide(found.pivot(index="seed", columns="arm", values="error"))
        known.append(
            {
                "machine_minutes": (time.perf_counter() - began) / 60,
                "trials": len(found),
                "outcomes": outcomes,
                "open": [arm for arm, outcome in outcomes.items() if outcome == OPEN],
            }
        )
        if not known[-1]["open"]:
            break
        arms, first = [BASELINE, *known[-1]["open"]], seeds
    return known


def by_pairs(errors: pd.DataFrame) -> dict[str, str]:
    """Decide by the 95 % interval of the mean of paired differences, as a script would."""
    outcomes = {}
    for arm in errors.columns.drop(BASELINE):
        differences = (errors[arm] - errors[BASELINE]).dropna()
        number, mean = len(differences), float(differences.mean())
        half = float(stats.t.ppf(0.975, number - 1) * differences.std() / number**0.5) if number > 1 else inf
        outcomes[arm] = _outcome(mean - half, mean + half)
    return outcomes


def by_shared_variances(errors: pd.DataFrame) -> dict[str, str]:
    """Decide by the 95 % interval of the moderated test, as our report does at a single analysis."""
    columns = {str(arm): errors[arm].dropna() for arm in errors}
    values = {
        arm: dict(zip(map(int, column.index), map(float, column), strict=True)) for arm, column in columns.items()
    }
    images = images_of(error for by_seed in values.values() for error in by_seed.values())
    outcomes = Outcomes(values, {arm: {} for arm in values}, LogOdds(images), MEASURES["test_error"])
    test = TESTS["moderated"].compare(outcomes)
    found = {arm: test.difference(arm, BASELINE) for arm in values if arm != BASELINE}
    return {
        arm: OPEN if each.low is None or each.high is None else _outcome(each.low, each.high)
        for arm, each in found.items()
    }


def _outcome(low: float, high: float) -> str:
    """Return the outcome of one comparison, by the interval of its difference."""
    if low > 0 or high < 0:
        return "worse" if low > 0 else "better"
    return "equivalent" if max(high, -low) < EQUIVALENT_WITHIN else OPEN


if __name__ == "__main__":
    main(measure, number=12, about=__doc__ or "")
