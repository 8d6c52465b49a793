"""The baseline without this project: Ray Tune over arms and seeds, the textbook loop, a table of errors.

    python benchmarks/grid.py --out errors.csv [--seeds 5] [--epochs 10] [--arms "identity;1x1 convolution"] [--first 5]

The networks, the data and the recipe are those of the shipped study of shortcuts in its laptop form.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")

import pandas as pd
import ray
import torch
from ray import tune
from textbook import train

from ablations.plan import AblationPlan
from resnet_space import build
from resnet_space.api.studies import load as study
from search.data import load

STUDY = "shortcuts"


def trial(config: dict[str, Any]) -> None:
    asked = study(STUDY, changes={"recipe.epochs": config["epochs"]})
    images = load(asked.data)
    net = AblationPlan.of(asked, images).architectures[config["arm"]]
    torch.manual_seed(config["seed"])
    tune.report({"error": train(build(net, config["seed"]), images, asked.recipe)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--arms", default="", help="only these arms, separated by semicolons")
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args()
    arms = given.arms.split(";") if given.arms else list(study(STUDY).arms)
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    space = {
        "arm": tune.grid_search(arms),
        "seed": tune.grid_search(list(range(given.first, given.first + given.seeds))),
        "epochs": given.epochs,
    }
    results = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}), param_space=space, run_config=tune.RunConfig(verbose=0)
    ).fit()
    rows = [(each.config["arm"], each.config["seed"], each.metrics["error"]) for each in results]
    pd.DataFrame(rows, columns=["arm", "seed", "error"]).to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
