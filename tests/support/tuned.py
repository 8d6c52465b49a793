"""Ablations with tuned arms whose results are made up: no training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import log10
from pathlib import Path
from typing import Any

from rich.console import Console

from ablations.study import Ablation
from ablations.tuning.feed import TunedFeed
from ablations.tuning.plan import TunedPlan
from search.data import Images
from search.running.plan import start_run
from search.running.progress import Progress
from search.store.store import Store
from search.trials.events import Finished, Started
from search.trials.trial import Job, TrialSpec

AXES = {"recipe.lr": {"low": 0.001, "high": 1, "log": True}}
ARMS = {"base": {}, "gated": {"set": {"unit.shortcut": "exclusive_gate"}}}
OPTIMA = {"identity": 0.01, "exclusive_gate": 0.5}
"""The made-up best learning rate of each shortcut."""


def made(digits: Images, **fields: Any) -> TunedPlan:
    tune = {"axes": AXES, "trials": 6, **fields.pop("tune", {})}
    study = Ablation.of(
        {
            "name": "tuned",
            "net": "resnet20",
            "set": {"width": 0.25, "stages.*.units": 1},
            "arms": ARMS,
            "baseline": "base",
            "data": {"name": "digits", "limit": 200},
            "recipe": "digits",
            "seeds": 2,
            "tune": tune,
            **fields,
        }
    )
    return TunedPlan.of(study, digits)


def error(spec: TrialSpec) -> float:
    """An error that is lowest at the optimum of the shortcut, and 0.1 per decade higher beside it."""
    return 0.1 + 0.1 * abs(log10(spec.recipe.lr / OPTIMA[spec.architecture.unit.shortcut.kind]))


@contextmanager
def feeding(plan: TunedPlan, folder: Path) -> Iterator[tuple[TunedFeed, Store]]:
    with start_run(plan, folder) as (_, store):
        total, already = plan.count_trials(store)
        progress = Progress(total=total, already=already, steps=plan.steps, console=Console(quiet=True))
        yield TunedFeed(plan, store, progress), store


def end(feed: TunedFeed, job: Job, value: Callable[[TrialSpec], float | str] = error) -> None:
    for spec in job.trials:
        found = value(spec)
        feed.tell([Started(spec.key, "here", "cpu")])
        if isinstance(found, str):
            feed.tell([Finished(spec.key, found, "because")])  # type: ignore[arg-type]
        else:
            feed.tell([Finished(spec.key, "complete", "", found, found, 1.0, 1.0)])


def run(plan: TunedPlan, folder: Path, value: Callable[[TrialSpec], float | str] = error) -> list[TrialSpec]:
    """Run a study to its end, and return its trials in order."""
    trained: list[TrialSpec] = []
    with feeding(plan, folder) as (feed, _):
        feed.begin(2)
        already = feed.progress.already
        while job := feed.next():
            trained += job.trials
            end(feed, job, value)
        assert feed.over
        assert feed.progress.total == already + len(trained)
    return trained
