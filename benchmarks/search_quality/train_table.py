"""Train every network of `space.yaml` on digits, with two seeds, and write the table on which samplers are replayed.

    python benchmarks/search_quality/train_table.py [--out runs/search_quality]

The same command resumes. Writes `table.csv` (one row per network and seed) and `table.json` (the origin of the
numbers).
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from functools import partial
from pathlib import Path

from resnet_space import Space, complexity
from search.data import load
from search.data.description import DataSet
from search.files.atomic import write_text
from search.machine.session import commit, machine, versions
from search.running import inline
from search.store.store import Store
from search.trials.events import Finished
from search.trials.recipe import Recipe, resolve_recipe
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from sweeping import sweep  # noqa: E402

SEEDS = 2
RECIPE = {"base": "digits", "epochs": 4}


def main() -> None:
    """Train the trials that the store lacks, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/search_quality"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    space = Space.from_yaml(HERE / "space.yaml")
    data, recipe = DataSet(name="digits"), Recipe.of(resolve_recipe(RECIPE))
    images = load(data)
    trials = [
        TrialSpec(architecture=net, recipe=recipe, data=data, fingerprint=images.fingerprint, seed=seed)
        for net in space.enumerate()
        for seed in range(SEEDS)
    ]
    print(f"{len(trials)} trials")
    store = Store.at(out)
    runner = partial(inline.run, resources=Resources(), checkpoints=out / "checkpoints")
    sweep([Job(trials=(spec,)) for spec in trials], store, runner, partial(note, [0], len(trials)))
    records = {record.key: record for record in store.records()}
    with (HERE / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["architecture", "seed", "params", "macs", "status", "validation_error", "test_error", "seconds"])
        for spec in trials:
            net, record = spec.architecture, records[spec.key]
            cost = complexity(net)
            both = (record.validation_error, record.test_error)
            errors = [error if error is None else round(error, 6) for error in both]
            rows.writerow(
                [net.key, spec.seed, cost.params, cost.macs, record.status, *errors, round(record.seconds or 0, 2)]
            )
    origin = {
        "what": f"every network of space.yaml, {SEEDS} seeds, on digits",
        "recipe": RECIPE,
        "fingerprint": images.fingerprint,
        "machine": {name: fact for name, fact in machine().items() if name != "host"},
        "versions": versions(),
        "commit": commit(),
    }
    write_text(HERE / "table.json", json.dumps(origin, indent=2) + "\n")


def note(done: list[int], total: int, event: object) -> None:
    """Print a line every twenty trials."""
    if isinstance(event, Finished):
        done[0] += 1
        if done[0] % 20 == 0:
            print(f"{done[0]} of {total}", flush=True)


if __name__ == "__main__":
    main()
