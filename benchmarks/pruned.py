"""A baseline without this project: Optuna over arms and seeds with its median pruner, and the good training loop.

    python benchmarks/pruned.py --out errors.csv [--seeds 5] [--epochs 10]

Two processes with one thread each share a journal file. A trial reports its validation error after each epoch, and ends
early if that is above the median of the completed trials at that epoch. So it answers which arm has the smallest error.
It does not answer how much worse the others are: a trial that was stopped has no test error.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import good_loop
import optuna
import pandas as pd
from demo import Question
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

NAME, PROCESSES = "demo", 2


def work(journal: Path, question: Question, seeds: int) -> None:
    """Run trials until there are as many as arms and seeds."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    grid = {"arm": list(question.networks), "seed": list(range(seeds))}
    study = optuna.load_study(
        study_name=NAME,
        storage=JournalStorage(JournalFileBackend(str(journal))),
        # The order of the grid depends on the seed, and trial n is point n for both processes.
        sampler=optuna.samplers.GridSampler(grid, seed=0),
        pruner=optuna.pruners.MedianPruner(),
    )

    def objective(trial: optuna.Trial) -> float:
        net = question.network(
            trial.suggest_categorical("arm", grid["arm"]), trial.suggest_categorical("seed", grid["seed"])
        )
        error = 1.0
        for epoch, (_, error) in enumerate(good_loop.epochs(net, question.images, question.recipe)):
            trial.report(error, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        test = good_loop.prepared(question.images.test, question.images)
        trial.set_user_attr("error", good_loop.error(net, *test))
        return error

    every = optuna.study.MaxTrialsCallback(len(grid["arm"]) * seeds, states=None)
    study.optimize(objective, callbacks=[every])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    question = Question.of(given.epochs)
    with tempfile.TemporaryDirectory() as scratch:
        journal = Path(scratch) / "journal"
        study = optuna.create_study(study_name=NAME, storage=JournalStorage(JournalFileBackend(str(journal))))
        context = multiprocessing.get_context("spawn")
        arguments = (journal, question, given.seeds)
        processes = [context.Process(target=work, args=arguments) for _ in range(PROCESSES)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            raise SystemExit("a process failed")
        trials = study.get_trials()
    rows = [
        (each.params["arm"], each.params["seed"], each.user_attrs.get("error"), each.state.name.lower())
        for each in trials
    ]
    pd.DataFrame(rows, columns=["arm", "seed", "error", "state"]).to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
