"""Replay samplers on a table of trained networks: hypervolume over evaluations, against random search and stock Ray.

    python benchmarks/search_quality/replay.py [--trials 120] [--repetitions 30] [--only local,random]

At each evaluation a repetition draws one of a network's seeds, as a search would see it. It is judged by the mean over
seeds of the networks that it has proposed, so luck does not count. The hypervolume is over the error and log10 of the
MACs, below the reference point (0.9, the largest network), as a share of the table's own; `linear` uses MACs as they
are.

Stock is Ray's OptunaSearch as in its documentation, with each result reported. An assignment without a network is
reported as the worst result and does not count as a trial; a repeated network does. Writes `replay.json`, and prints
the medians as a table for README.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

from resnet_space import Architecture, Space
from resnet_space.errors import InputError
from search.files.atomic import write_text
from search.fronts.dominance import hypervolume_trace
from search.machine.session import commit, machine, versions
from search.samplers.kinds import SAMPLERS
from search.samplers.sampler import Outcome, Sampler

HERE = Path(__file__).parent
OBJECTIVES = ("error", "macs")
WORST = 0.9
AT = (10, 20, 30, 40, 60, 80, 100, 120)
Evaluate = Callable[[Architecture], tuple[float, float]]
"""From a network to the error of one of its seeds and its MACs."""


class Table:
    """The trained networks by key: errors by seed, and MACs."""

    def __init__(self, path: Path) -> None:
        self.errors: dict[str, list[float]] = {}
        self.macs: dict[str, float] = {}
        with path.open() as file:
            for row in csv.DictReader(file):
                error = float(row["validation_error"]) if row["status"] == "complete" else WORST
                self.errors.setdefault(row["architecture"], []).append(error)
                self.macs[row["architecture"]] = float(row["macs"])
        self.most = max(self.macs.values()) * 1.01

    def traces(self, keys: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the hypervolume after each evaluation, in log MACs and in MACs, as shares of the complete table's."""
        return self._share(keys, math.log10), self._share(keys, float)

    def _share(self, keys: list[str], scale: Callable[[float], float]) -> np.ndarray:
        corner = (WORST, scale(self.most))

        def trace(keys: list[str]) -> np.ndarray:
            return hypervolume_trace([(float(np.mean(self.errors[k])), scale(self.macs[k])) for k in keys], corner)

        return trace(keys) / trace(list(self.errors))[-1]


def ours(name: str, space: Space, seed: int, trials: int, evaluate: Evaluate) -> Iterator[str]:
    """Yield the networks that one of our samplers proposes."""
    kind = SAMPLERS[name]()
    sampler = Sampler(space, kind.strategy(space, OBJECTIVES, seed), seed=seed)
    for _ in range(trials):
        proposal = sampler.ask()
        if proposal is None:
            return
        sampler.refused()
        yield proposal.net.key
        sampler.tell(proposal.number, Outcome("complete", evaluate(proposal.net)))


def stock(name: str, space: Space, seed: int, trials: int, evaluate: Evaluate) -> Iterator[str]:
    """Yield the networks that Ray's own OptunaSearch proposes, including repeated ones."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = {"nsga2": optuna.samplers.NSGAIISampler, "tpe": optuna.samplers.TPESampler}[name](seed=seed)

    def define(trial: Any) -> None:
        space.suggest(lambda path, axis: trial.suggest_categorical(path, list(axis.values())))

    search = OptunaSearch(space=define, metric=list(OBJECTIVES), mode=["min", "min"], sampler=sampler)
    most = max(Table(HERE / "table.csv").macs.values())
    done = number = 0
    while done < trials:
        number += 1
        assignment = search.suggest(str(number))
        try:
            net = space.architecture(assignment)
        except InputError:
            # Reported as the worst result: after an error it would propose the same again.
            search.on_trial_complete(str(number), result={"error": WORST, "macs": most})
            continue
        done += 1
        yield net.key
        result = dict(zip(OBJECTIVES, evaluate(net), strict=True))
        search.on_trial_complete(str(number), result=result)


SIDES = {**dict.fromkeys(SAMPLERS, ours), "stock nsga2": stock, "stock tpe": stock}


def once(job: tuple[str, int, int]) -> tuple[str, list[str], float]:
    """Run one repetition of one side; return its name, the proposed networks, and the seconds of the sampler."""
    name, seed, trials = job
    warnings.simplefilter("ignore")
    table, space = Table(HERE / "table.csv"), Space.from_yaml(HERE / "space.yaml")
    luck = Random(f"luck {seed}")

    def evaluate(net: Architecture) -> tuple[float, float]:
        return luck.choice(table.errors[net.key]), table.macs[net.key]

    began = time.perf_counter()
    keys = list(SIDES[name](name.removeprefix("stock "), space, seed, trials, evaluate))
    return name, keys, time.perf_counter() - began


def band(rows: list[np.ndarray], at: int) -> list[float]:
    """Return the 95 % band and the median over repetitions after `at` evaluations: low, median, high."""
    values = [float(row[min(at, len(row)) - 1]) for row in rows]
    return [round(float(np.quantile(values, q)), 4) for q in (0.025, 0.5, 0.975)]


def main() -> None:
    """Replay, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--only", default=",".join(SIDES))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "replay.json")
    options = parser.parse_args()
    jobs = [(name, seed, options.trials) for name in options.only.split(",") for seed in range(options.repetitions)]
    table = Table(HERE / "table.csv")
    log: dict[str, list[np.ndarray]] = {}
    linear: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, list[float]] = {}
    with get_context("spawn").Pool(options.workers) as pool:
        for name, keys, taken in pool.imap_unordered(once, jobs):
            a, b = table.traces(keys)
            log.setdefault(name, []).append(a)
            linear.setdefault(name, []).append(b)
            seconds.setdefault(name, []).append(taken)
    at = [n for n in AT if n <= options.trials]
    results = {
        "what": f"{options.repetitions} repetitions of {options.trials} evaluations: low, median, high; 95 % band",
        "table": json.loads((HERE / "table.json").read_text()),
        "machine": {name: fact for name, fact in machine().items() if name != "host"},
        "versions": versions(),
        "commit": commit(),
        "log": {name: {n: band(rows, n) for n in at} for name, rows in log.items()},
        "linear": {name: {n: band(rows, n) for n in at} for name, rows in linear.items()},
        "seconds_an_ask": {name: round(float(np.median(s)) / options.trials, 4) for name, s in seconds.items()},
    }
    write_text(options.out, json.dumps(results, indent=1) + "\n")
    print(f"| sampler | {' | '.join(map(str, at))} | ms per ask |\n|---|{'---:|' * (len(at) + 1)}")
    for name in options.only.split(","):
        cells = [f"{band(log[name], n)[1]:.3f}" for n in at]
        print(f"| {name} | {' | '.join(cells)} | {1000 * results['seconds_an_ask'][name]:.0f} |")


if __name__ == "__main__":
    main()
