"""A baseline without this project: Ray Tune over arms and seeds, a training loop, a table of errors.

    python benchmarks/grid.py --loop good --out errors.csv [--seeds 5] [--first 5] [--epochs 10] [--arms "ARM;ARM"]

The networks, the images and the recipe are those of the demo. `--loop textbook` is the loop of tutorials in Tune with
default settings; `--loop good` is the loop of `good_loop.py`, and Tune reuses its processes.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")

import good_loop
import pandas as pd
import ray
import textbook
from demo import Question
from ray import tune


@dataclass(frozen=True)
class Loop:
    """A training loop, from network, images and recipe to the test error, and how Tune runs it."""

    train: Callable[..., float]
    reuse_actors: bool


LOOPS = {"good": Loop(good_loop.train, reuse_actors=True), "textbook": Loop(textbook.train, reuse_actors=False)}


def trial(config: dict[str, Any], question: Question) -> None:
    net = question.network(config["arm"], config["seed"])
    tune.report({"error": LOOPS[config["loop"]].train(net, question.images, question.recipe)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", choices=LOOPS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--arms", default="", help="only these arms, separated by semicolons")
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args()
    question = Question.of(given.epochs)
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    space = {
        "arm": tune.grid_search(given.arms.split(";") if given.arms else list(question.networks)),
        "seed": tune.grid_search(list(range(given.first, given.first + given.seeds))),
        "loop": given.loop,
    }
    results = tune.Tuner(
        tune.with_resources(tune.with_parameters(trial, question=question), {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(reuse_actors=LOOPS[given.loop].reuse_actors),
        run_config=tune.RunConfig(verbose=0),
    ).fit()
    rows = [(each.config["arm"], each.config["seed"], each.metrics["error"]) for each in results]
    pd.DataFrame(rows, columns=["arm", "seed", "error"]).to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
