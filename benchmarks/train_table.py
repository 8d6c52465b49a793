"""Train every network of a table's space, and write the table on which `replay.py` replays searches.

    python benchmarks/train_table.py digits [--out runs/tables]   # about half an hour on one core
    python benchmarks/train_table.py digits --networks 4 --into DIR   # a few networks, evenly spread, to try it

The same command resumes, and two of them at the same time share the work: each takes networks that the other has not.
The seeds of a network train as one network. `table.csv` has one row per network and seed, with the validation error
after each epoch; `origin.json` has the origin of the numbers.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from shutil import copy
from typing import Any

from search_quality.table import EPOCH, TABLES, Plan
from sweeping import sweep

from resnet_space import complexity
from resnet_space.dependence import Assignment
from search.data import load
from search.data.description import DataSet
from search.files.atomic import write_text
from search.machine.session import commit, machine, versions
from search.running import inline
from search.store.store import Store
from search.trials.events import Event, Finished
from search.trials.recipe import Recipe, resolve_recipe
from search.trials.record import TrialRecord
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

COLUMNS = ("assignment", "seed", "params", "macs", "status", "validation_error", "test_error", "seconds")


def jobs(plan: Plan, networks: int | None) -> list[tuple[Assignment, Job]]:
    """Return each assignment of the space, or some of them evenly spread, with the job that trains its network."""
    data, recipe = DataSet.of(plan.data), Recipe.of(resolve_recipe(plan.recipe))
    fingerprint = load(data).fingerprint
    every = list((plan.space.networks or {}).values())
    number = min(networks or len(every), len(every))
    chosen = [every[round(place * (len(every) - 1) / max(number - 1, 1))] for place in range(number)]
    found = []
    for assignment in chosen:
        net = plan.space.architecture(assignment)
        specs = (
            TrialSpec(architecture=net, recipe=recipe, data=data, fingerprint=fingerprint, seed=seed)
            for seed in range(plan.seeds)
        )
        found.append((assignment, Job(trials=tuple(specs), together=plan.seeds > 1)))
    return found


def rows(todo: list[tuple[Assignment, Job]], store: Store) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table."""
    records = {record.key: record for record in store.records()}
    curves: dict[str, dict[int, float]] = {}
    stored = store.curves()
    for key, epoch, error in zip(stored["key"], stored["epoch"], stored["validation_error"], strict=True):
        curves.setdefault(key, {})[int(epoch)] = float(error)
    for assignment, job in todo:
        for spec in job.trials:
            record, cost = records[spec.key], complexity(spec.architecture)
            yield {
                "assignment": json.dumps(assignment),
                "seed": spec.seed,
                "params": cost.params,
                "macs": cost.macs,
                **outcome(record, curves.get(spec.key, {}), spec.recipe.epochs or 0),
            }


def outcome(record: TrialRecord, curve: Mapping[int, float], epochs: int) -> dict[str, Any]:
    """Return the columns of a trial's results; what it does not have is empty."""
    values = {
        "validation_error": record.validation_error,
        "test_error": record.test_error,
        **{f"{EPOCH}{epoch}": curve.get(epoch) for epoch in range(1, epochs + 1)},
    }
    rounded = {name: "" if value is None or value != value else round(value, 6) for name, value in values.items()}
    return {"status": record.status, "seconds": round(record.seconds or 0, 2), **rounded}


def note(begun: float, done: list[int], total: int, event: Event) -> None:
    """Print a line every twenty trials."""
    if isinstance(event, Finished):
        done[0] += 1
        if done[0] % 20 == 0:
            print(f"{done[0]} of {total} trials, {time.monotonic() - begun:.0f} s", flush=True)


def main() -> None:
    """Train the trials that the store lacks, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=sorted(path.parent.name for path in TABLES.glob("*/table.yaml")))
    parser.add_argument("--out", type=Path, default=Path("runs/tables"), help="the folder of the stores")
    parser.add_argument("--into", type=Path, default=TABLES, help="the folder of the tables")
    parser.add_argument("--networks", type=int, help="train this many only; needs --into")
    given = parser.parse_args()
    if given.networks and given.into == TABLES:
        parser.error("--networks: a table has every network; give --into a folder of your own")
    plan, out = Plan.of(TABLES / given.table), given.out / given.table
    out.mkdir(parents=True, exist_ok=True)
    todo, store = jobs(plan, given.networks), Store.at(out)
    trials = sum(len(job.trials) for _, job in todo)
    print(f"{given.table}: {len(todo)} networks, {trials} trials", flush=True)
    runner = partial(inline.run, resources=Resources(), checkpoints=out / "checkpoints")
    sweep([job for _, job in todo], store, runner, partial(note, time.monotonic(), [0], trials))
    folder = given.into / given.table
    folder.mkdir(parents=True, exist_ok=True)
    if given.into != TABLES:
        copy(TABLES / given.table / "table.yaml", folder)
    found = list(rows(todo, store))
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, [*COLUMNS, *(name for name in found[0] if name not in COLUMNS)], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(found)
    origin = {
        "what": f"{len(todo)} networks, {plan.seeds} seeds, on {given.table}",
        "data": plan.data,
        "recipe": plan.recipe,
        "fingerprint": todo[0][1].trials[0].fingerprint,
        "machine": {name: fact for name, fact in machine().items() if name != "host"},
        "versions": versions(),
        "commit": commit(),
    }
    write_text(folder / "origin.json", json.dumps(origin, indent=2) + "\n")


if __name__ == "__main__":
    main()
