"""How many machine-minutes does the answer to the demo's question take, compared with scripts without this project?

The question is the shipped study of shortcuts in its laptop form: which of ten arms is worse than the identity, and
which is within a point of it?

Ours is `resnet-space run` from an empty folder, including start and report, with the seeds of an arm trained together:
two seeds of every arm, then six and ten of the open arms and of the baseline. The other sides train the same networks:

- `grid.py` on Ray Tune: five seeds, and one error per trial in a table; then five more seeds of the open arms and of
  the baseline. With the good loop, in processes that Tune reuses; and with the textbook loop, in Tune's default
  settings.
- The same with the good loop, our test and our numbers of seeds, so that only the training differs.
- `pruned.py`: five seeds in Optuna, whose pruner stops the worse half early. This answers only which arm has the
  smallest error, so it is no answer to the question.

A comparison is resolved if the 95 % interval of its difference excludes zero, or is within a point of it; comparisons
are not adjusted for each other. Ours uses its own report, which spends its 5 % over all interim analyses. The others
take intervals of paired differences, and treat each analysis as if it were the only one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd
from demo import BASELINE, STUDY
from measuring import HERE, ROUNDS, Goal, Measured, each_round, main, ratio
from scipy import stats

from ablations.comparisons import TESTS
from ablations.outcomes import Outcomes
from ablations.run import AblationRun
from ablations.scales import LogOdds, images_of
from resnet_space import api
from search.measures.catalogue import MEASURES

SEEDS = (2, 6, 10)
"""The number of seeds at each of our analyses: of every arm at first, then of arms whose comparison is still open."""
GRID_SEEDS = (5, 10)
"""The same of the grid."""
EQUIVALENT_WITHIN = 0.01
CORES = 2
OPEN = "not resolved"

Decide = Callable[[pd.DataFrame], dict[str, str]]
"""From errors by seed and arm to the outcome of each arm."""

Answer = dict[str, Any]
"""What a side found: `machine_minutes`, `trials`, and more."""


@dataclass(frozen=True)
class Peer:
    """Another way to an answer: its name in the table, the goal of its time divided by ours, and how it is run."""

    name: str
    goal: Goal | None
    answer: Callable[[Path, int, bool], Answer]
    """From a folder, the number of epochs, and whether to be quick."""


def measure(quick: bool, rounds: int) -> Iterator[Measured]:
    epochs = 1 if quick else 10
    # Read the libraries from disk once; otherwise the first side would read them for the others.
    subprocess.run([sys.executable, "-c", "import fvcore.nn, optuna, ray.tune, torchvision"], check=True)
    sides = [ours, *(peer.answer for peer in PEERS)]
    found = []
    for answers in each_round(
        *(partial(_in_a_folder, side, epochs, quick) for side in sides), rounds=rounds, warm_up=0
    ):
        found.append(answers)
        for place, peer in enumerate(PEERS, 1):
            yield ratio(
                peer.name,
                peer.goal,
                [(each[place]["machine_minutes"], each[0]["machine_minutes"]) for each in found],
                names=("their_machine_minutes", "our_machine_minutes"),
                cores=CORES,
                epochs=epochs,
                ours=[each[0] for each in found],
                theirs=[each[place] for each in found],
            )


def _in_a_folder(side: Callable[[Path, int, bool], Answer], epochs: int, quick: bool) -> Answer:
    with tempfile.TemporaryDirectory() as scratch:
        return side(Path(scratch), epochs, quick)


def ours(scratch: Path, epochs: int, quick: bool) -> Answer:
    settings = {
        "planned.equivalent_within": EQUIVALENT_WITHIN,
        "planned.adjust": "none",
        "seeds": SEEDS[0] if quick else {"min": SEEDS[0], "max": SEEDS[-1], "by": SEEDS[1] - SEEDS[0]},
        "recipe.epochs": epochs,
    }
    assigned = [word for path, value in settings.items() for word in ("--set", f"{path}={json.dumps(value)}")]
    out = scratch / "run"
    minutes = _minutes("-m", "resnet_space", "run", STUDY, "--out", str(out), *assigned)
    found = api.open_run(out)
    assert isinstance(found, AblationRun)
    return {
        "machine_minutes": minutes,
        "trials": len(found.records),
        "together": sum((record.together or 1) > 1 for record in found.records),
        "outcomes": {each.arm: each.verdict for each in found.findings if each.planned},
        "open": [each.arm for each in found.findings if each.planned and not (each.resolved or each.equivalent)],
    }


def grid(scratch: Path, epochs: int, quick: bool, *, loop: str, analyses: Sequence[int], decide: Decide) -> Answer:
    """Run all arms with the first number of seeds, then the open arms and the baseline with more."""
    found, arms, first, minutes = pd.DataFrame(), list[str](), 0, 0.0
    known: list[Answer] = []
    for seeds in [min(*analyses, 2)] if quick else analyses:
        table = scratch / f"grid{first}.csv"
        command = [str(HERE / "grid.py"), "--loop", loop, "--out", str(table), "--epochs", str(epochs)]
        minutes += _minutes(*command, "--seeds", str(seeds - first), "--first", str(first), "--arms", ";".join(arms))
        found = pd.concat([found, pd.read_csv(table)])
        outcomes = decide(found.pivot(index="seed", columns="arm", values="error"))
        open_arms = [arm for arm, outcome in outcomes.items() if outcome == OPEN]
        known.append({"machine_minutes": minutes, "trials": len(found), "outcomes": outcomes, "open": open_arms})
        if not open_arms:
            break
        arms, first = [BASELINE, *open_arms], seeds
    return {**known[-1], "analyses": known[:-1]}


def pruned(scratch: Path, epochs: int, quick: bool) -> Answer:
    """Run the arms with the first number of the grid's seeds in Optuna."""
    table = scratch / "pruned.csv"
    seeds = 2 if quick else GRID_SEEDS[0]
    command = [str(HERE / "pruned.py"), "--out", str(table), "--epochs", str(epochs), "--seeds", str(seeds)]
    minutes = _minutes(*command)
    found = pd.read_csv(table)
    complete = found.dropna(subset="error").groupby("arm")["error"]
    return {
        "machine_minutes": minutes,
        "trials": len(found),
        "complete": {str(arm): int(number) for arm, number in complete.count().items()},
        "errors": {str(arm): float(mean) for arm, mean in complete.mean().items()},
    }


def _minutes(*arguments: str) -> float:
    """Run a command of this Python; return its minutes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=sys.stderr)
    return (time.perf_counter() - began) / 60


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


PEERS = (
    Peer(
        "the demo's question: the good loop on Ray Tune",
        Goal("least", 4),
        partial(grid, loop="good", analyses=GRID_SEEDS, decide=by_pairs),
    ),
    Peer(
        "the demo's question: the textbook loop on Ray Tune",
        Goal("least", 8),
        partial(grid, loop="textbook", analyses=GRID_SEEDS, decide=by_pairs),
    ),
    Peer(
        "the demo's question, with our test on both sides: the good loop on Ray Tune",
        None,
        partial(grid, loop="good", analyses=SEEDS, decide=by_shared_variances),
    ),
    Peer("only which arm is best: the good loop in Optuna, with its median pruner", None, pruned),
)


if __name__ == "__main__":
    main(measure, number=12, about=__doc__ or "", rounds=ROUNDS)
