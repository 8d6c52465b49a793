"""Replay methods on tables of trained networks, and write how good their fronts are after each evaluation.

    python benchmarks/replay.py               # all tables and all methods that are not slow
    python benchmarks/replay.py --table digits --only "optuna gp,neps bo"     # slow ones are named
    python benchmarks/replay.py --only local,random --repetitions 10 --out DIR
    python benchmarks/replay.py --page        # no replay: rewrite the tables in README.md

A repetition draws one of a network's seeds, as a search would see it. It is judged by the mean over seeds of the
networks that it has trained completely, so luck does not count. A method that stops trials or begins with few epochs is
charged by the epoch: its evaluations are the epochs that it has used, divided by those of a complete training.

Every side has a cache, so a network is charged once, however often it is proposed. An assignment without a network is
answered by the worst result, and not charged.

Ours are given costs as they are, once for all scales. The others are given the cost of each scale, from 0 to 1.
Results are `search_quality/results/TABLE.json`, written after each method; a file keeps the methods that are not
replayed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

from search_quality import page, public
from search_quality.method import Method
from search_quality.methods import METHODS, Peer, peers_folder, peers_versions
from search_quality.scores import Trained, steps, summary, trace, unpacked
from search_quality.table import SCALES, TABLES, WORST, Table, names

from resnet_space.errors import InputError
from search.files.atomic import write_text
from search.machine.session import commit, machine

BOTH = "any"
"""The scale of a method that knows none."""
MANY, FEW = 30, 5
"""Repetitions of a method, and of a slow one."""
PATIENCE = 3
"""A method ends when it has made this many requests for each evaluation: it proposes only known networks."""


def play(method: Method, table: Table, luck: Random, trials: int, cost: Callable[[float], float]) -> list[Trained]:
    """Let a method request networks until the epochs of `trials` complete trainings are used; return what it trained.

    `cost` is a function from a network's cost to the one that the method is given.
    """
    found: list[Trained] = []
    seeds: dict[str, int] = {}
    done: dict[str, int] = {}
    budget = trials * table.epochs
    for _ in range(PATIENCE * trials):
        request = method.ask() if budget else None
        if request is None:
            break
        try:
            key = table.space.architecture(request.assignment).key
        except InputError:
            method.tell(request, request.epochs, (WORST, cost(table.most)))
            continue
        seed = seeds.setdefault(key, luck.randrange(len(table.errors[key])))
        for epoch in range(1, request.epochs + 1):
            if epoch > done.get(key, 0):
                if budget == 0:
                    break
                budget -= 1
                done[key] = epoch
                if epoch == table.epochs:
                    found.append(Trained(key, trials * table.epochs - budget))
            if method.every_epoch or epoch == request.epochs:
                values = (float(table.errors[key][seed, epoch - 1]), cost(table.costs[key]))
                if not method.tell(request, epoch, values):
                    break
    return found


@dataclass(frozen=True)
class Job:
    """One repetition of a method on a table; `scale` is `BOTH` if the method is given MACs as they are."""

    table: str
    method: str
    scale: str
    seed: int
    trials: int


def tables() -> list[str]:
    """Return the names of the tables that can be replayed."""
    return [*names(), *([public.NAME] if peers_folder(public.PACKAGE) else [])]


@lru_cache(maxsize=1)
def load(name: str) -> Table:
    folder = peers_folder(public.PACKAGE)
    return public.nasbench201(folder) if name == public.NAME and folder else Table.of(TABLES / name)


def repetition(job: Job) -> tuple[Job, list[Trained], float]:
    """Run one repetition; return what it trained, and the seconds that it took per evaluation."""
    warnings.simplefilter("ignore")
    table = load(job.table)

    def cost(own: float) -> float:
        return own if job.scale == BOTH else table.counted(own, job.scale)

    began = time.perf_counter()
    method = METHODS[job.method].make(table, job.seed)
    try:
        found = play(method, table, Random(f"luck {job.seed}"), job.trials, cost)
    finally:
        if isinstance(method, Peer):
            method.close()
    return job, found, (time.perf_counter() - began) / job.trials


def jobs(table: Table, method: str, repetitions: int | None, trials: int) -> Iterator[Job]:
    """Yield the repetitions of a method, on each scale if it is given one."""
    for scale in [BOTH] if METHODS[method].ours else SCALES:
        for seed in range(repetitions or (FEW if METHODS[method].slow else MANY)):
            yield Job(table.name, method, scale, seed, trials)


def left_out(table: Table, chosen: Iterable[str], installed: Iterable[str]) -> dict[str, str]:
    """Return the methods that cannot be replayed on this table, with the reason."""
    found = {}
    for name in chosen:
        if METHODS[name].package and METHODS[name].package not in installed:
            found[name] = f"needs {METHODS[name].package}"
        elif METHODS[name].stops and not table.has_curves:
            found[name] = "needs the error after each epoch"
    return found


def replay(todo: list[Job], workers: int) -> dict[str, dict[str, Any]]:
    """Run jobs; return for each method its traces by scale, one per repetition, and its milliseconds per evaluation."""
    ended: dict[tuple[str, str], dict[int, Any]] = {}
    seconds: dict[str, list[float]] = {}
    with get_context("spawn").Pool(workers) as pool:
        for job, trained, taken in pool.imap_unordered(repetition, todo):
            for scale in SCALES if job.scale == BOTH else [job.scale]:
                row = steps(trace(load(job.table), trained, scale, job.trials))
                ended.setdefault((job.method, scale), {})[job.seed] = row
            seconds.setdefault(job.method, []).append(taken)
    return {
        name: {
            "ms_per_evaluation": round(1000 * median(taken), 1),
            "steps": {scale: [row for _, row in sorted(ended[name, scale].items())] for scale in SCALES},
        }
        for name, taken in seconds.items()
    }


def results(table: Table, trials: int, methods: Mapping[str, Any], missing: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of a table's file of results."""
    return {
        "what": "hypervolumes as shares of the whole table's, and the evaluations until random search's last median",
        "table": dict(table.origin),
        "cost": table.cost,
        "trials": trials,
        "missing": {name: why for name, why in missing.items() if name not in methods},
        "summary": {
            scale: summary({name: unpacked(each["steps"][scale], trials) for name, each in methods.items()})
            for scale in SCALES
        },
        "methods": dict(methods),
    }


def written(content: Mapping[str, Any]) -> str:
    """Return results as JSON, with each short list on one line."""
    text = json.dumps(content, indent=1)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: f"[{' '.join(found[0][1:-1].split())}]", text) + "\n"


def replay_all(table: Table, chosen: Iterable[str], given: argparse.Namespace) -> None:
    """Replay methods on a table, and write its file of results after each of them."""
    installed = peers_versions()
    absent = left_out(table, METHODS, installed)
    facts = {
        "commit": commit(),
        "versions": {"optuna": version("optuna"), **installed},
        "machine": {fact: value for fact, value in machine().items() if fact != "host"},
    }
    file = given.out / f"{table.name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    earlier = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    methods = earlier["methods"] if earlier.get("trials") == given.trials else {}
    for name in chosen:
        if name in absent:
            print(f"{table.name}: {name}: left out, {absent[name]}", flush=True)
            continue
        todo = list(jobs(table, name, given.repetitions, given.trials))
        methods |= {each: facts | row for each, row in replay(todo, given.workers).items()}
        content = results(table, given.trials, methods, absent)
        write_text(file, written(content))
        for scale, rows in content["summary"].items():
            print(f"{table.name}: {name}: {scale}: {json.dumps(rows[name])}", flush=True)


def main() -> None:
    """Replay and write; `--page` only rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="", help=f"with commas, of {', '.join(tables())}; by default all")
    parser.add_argument("--only", default="", help="methods, with commas; by default all that are not slow")
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--repetitions", type=int, help=f"by default {MANY}, of slow methods {FEW}")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=page.RESULTS, help="folder of results")
    parser.add_argument("--page", action="store_true", help="only rewrite the tables in README.md")
    given = parser.parse_args()
    chosen = given.only.split(",") if given.only else [name for name, entry in METHODS.items() if not entry.slow]
    if unknown := set(chosen) - METHODS.keys():
        parser.error(f"no method {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    for name in [] if given.page else given.table.split(",") if given.table else tables():
        replay_all(load(name), chosen, given)
    if given.out == page.RESULTS:
        write_text(page.README, page.rewritten(page.README.read_text(encoding="utf-8"), page.stored()))


if __name__ == "__main__":
    main()
