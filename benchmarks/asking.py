"""How long does a sampler take to propose the next trial after 1,000 trials, compared with Optuna alone?

Ours: ask, store the trial in SQLite, store its result and tell the sampler, as in a search. Optuna: ask and tell its
own TPE with two objectives and the settings of ours, in the same space with as many trials: in memory, which keeps
nothing afterwards; in a journal file; and on SQLite. They alternate, each on a store that already has the trials. Ours
never proposes a network twice. If Optuna does, it gets the known error and is asked again: the time to a new network is
compared. Afterwards the search is reopened: its next proposal must be new, and equal to the proposal without reopening.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import optuna
from measuring import ROUNDS, Goal, Measured, in_turns, main, ratio
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from rich.console import Console

from resnet_space import complexity
from search.data import DataSet, Images, load
from search.exploring.feed import SearchFeed
from search.exploring.history import restore_history
from search.exploring.plan import SearchPlan
from search.exploring.study import Search
from search.running.progress import Progress
from search.samplers.kinds import TPE
from search.samplers.local_search import BLOCK
from search.samplers.optuna_sampler import scale, suggest, tpe
from search.store.store import Store
from search.trials.events import Finished, Started
from search.trials.trial import Job

ASKS = BLOCK
"""Trials per round, stored for the next round: the size of a block of `local`."""

SPACE = {
    "base": "resnet20",
    "axes": {
        "unit.shortcut.kind": ["identity", "constant_scaling", "exclusive_gate", "shortcut_only_gate"],
        "unit.shortcut.gate_bias": {"low": -10.0, "high": 0.0, "step": 1.0},
        "unit.order": ["original", "full_preactivation", "bn_after_addition"],
        "transition": ["A", "B"],
        "width": [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0],
        "stages.0.units": [1, 2, 3, 4, 5],
        "stages.1.units": [1, 2, 3, 4, 5],
        "stages.2.units": [1, 2, 3, 4, 5],
    },
}


def search(sampler: str, trials: int) -> Search:
    return Search.of(
        {
            "name": "asking",
            "kind": "search",
            "space": SPACE,
            "objectives": ["error", "macs"],
            "budget": {"trials": trials},
            "sampler": sampler,
            "confirm": 0,
            "data": "digits",
            "recipe": "digits",
        }
    )


def resume(sampler: str, store: Store, images: Images) -> SearchFeed:
    """Resume the search of a store."""
    plan = SearchPlan.of(search(sampler, 10**6), images)
    progress = Progress(total=10**6, already=0, steps=plan.steps, console=Console(quiet=True))
    return SearchFeed(plan, store, progress)


def error(macs: float) -> float:
    """Return a synthetic error of a network: more MACs are better, with a ripple for the model to learn."""
    return 0.05 + 0.4 / (1 + macs / 3e5) + 0.03 * abs(math.sin(math.log(macs) * 7))


def report_result(feed: SearchFeed, job: Job | None) -> None:
    """Report a synthetic result of the job's trial."""
    assert job is not None
    (spec,) = job.trials
    value = error(complexity(spec.architecture).macs)
    feed.tell([Started(spec.key, "nowhere", "cpu")])
    feed.tell([Finished(spec.key, "complete", "", value, value, 1.0, 1.0)])


def asks(feed: SearchFeed) -> Callable[[], float]:
    """Return a function that measures the seconds to ask for, store and report a trial."""

    def seconds() -> float:
        began = time.monotonic()
        for _ in range(ASKS):
            report_result(feed, feed.next())
        return (time.monotonic() - began) / ASKS

    return seconds


def stock(feed: SearchFeed, storage: BaseStorage, asked: Counter[bool]) -> Callable[[], float]:
    """Return the same measurement with Optuna alone, on a storage that gets the trials of this search.

    `asked` counts repeated proposals (True) and new ones (False).
    """
    scales = {path: scale(axis) for path, axis in feed.space.axes.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = tpe(**SAMPLER, seed=0)
    study = optuna.create_study(storage=storage, directions=["minimize"] * 2, sampler=sampler)
    history = restore_history(feed.study, feed.space, feed.store.records()).history
    study.add_trials(
        optuna.trial.create_trial(
            values=outcome.values,
            params={path: scales[path].place(value) for path, value in proposal.assignment.items()},
            distributions={path: scales[path].distribution for path in proposal.assignment},
        )
        for proposal, outcome in history
        if outcome is not None
    )

    seen = {proposal.net.key for proposal, _ in history}

    def seconds() -> float:
        spent, new = 0.0, 0
        while new < ASKS:
            began = time.monotonic()
            trial = study.ask()
            assignment = feed.space.suggest(
                lambda path, _, trial=trial: scales[path].member(suggest(trial, path, scales[path].distribution))
            )
            spent += time.monotonic() - began
            # Describing the network is not part of asking.
            net = feed.space.architecture(assignment)
            macs = complexity(net).macs
            new += net.key not in seen
            asked[net.key in seen] += 1
            seen.add(net.key)
            began = time.monotonic()
            study.tell(trial, [error(macs), macs])
            spent += time.monotonic() - began
        return spent / ASKS

    return seconds


def fill(folder: Path, images: Images, trials: int) -> None:
    """Fill a store with random trials."""
    store = Store.at(folder)
    feed = resume("random", store, images)
    for _ in range(trials):
        report_result(feed, feed.next())
    store.close()


SAMPLER = {"startup": TPE().startup, "multivariate": TPE().multivariate}
"""The settings of our own `tpe`. With them, Optuna is faster than with its defaults."""

STORAGES: dict[str, Callable[[Path], BaseStorage]] = {
    "in memory": lambda folder: InMemoryStorage(),
    "in a journal file": lambda folder: JournalStorage(JournalFileBackend(str(folder / "journal"))),
    "on SQLite": lambda folder: RDBStorage(f"sqlite:///{folder / 'optuna.db'}"),
}
"""Optuna's storages, made in a folder."""

GOALS = {"local": Goal("most", 0.2), "tpe": Goal("most", 1)}
"""By our sampler, the same with each storage."""


def measure(quick: bool) -> Iterator[Measured]:
    images = load(DataSet(name="digits"))
    # Enough trials for `local` to work in blocks.
    trials, rounds = (300, 1) if quick else (1000, ROUNDS)
    with tempfile.TemporaryDirectory() as scratch:
        fill(Path(scratch), images, trials)
        for sampler, goal in GOALS.items():
            folder = Path(scratch) / sampler
            folder.mkdir()
            shutil.copy(Path(scratch) / "trials.db", folder)
            store = Store.at(folder)
            feed = resume(sampler, store, images)
            asked = {name: Counter[bool]() for name in STORAGES}
            theirs = [stock(feed, make(folder), asked[name]) for name, make in STORAGES.items()]
            found = in_turns(asks(feed), *theirs, rounds=rounds, warm_up=0 if quick else 1)
            began = time.monotonic()
            again = resume(sampler, store, images)
            reopened = time.monotonic() - began
            known = {record.architecture for record in store.records()}
            here, there = feed.next(), again.next()
            store.close()
            if here is None or there is None or here != there or there.trials[0].architecture.key in known:
                raise AssertionError(f"{sampler}: the reopened search proposes another network")
            for place, name in enumerate(STORAGES, 1):
                yield ratio(
                    f"asking at {trials:,} trials: {sampler} / Optuna's TPE {name}",
                    goal,
                    [(each[0], each[place]) for each in found],
                    names=("our_seconds_a_trial", "optuna_seconds_a_trial"),
                    asks_a_round=ASKS,
                    optuna_asks_a_new_network=round(asked[name].total() / asked[name][False], 2),
                    seconds_to_open_again=round(reopened, 2),
                    same_proposal_when_opened_again=True,
                )


if __name__ == "__main__":
    main(measure, number=7, about=__doc__ or "")
