"""What is done with each kind of study: planned with its data, and read from its folder. A new kind is a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations import library
from ablations.feed import AblationFeed
from ablations.plan import AblationPlan
from ablations.run import AblationRun
from ablations.study import Ablation
from resnet_space import documents
from resnet_space.errors import InputError
from search.data import Images, load
from search.exploring.feed import SearchFeed
from search.exploring.plan import SearchPlan
from search.exploring.run import SearchRun
from search.exploring.study import Search
from search.files.folder import RunFolder
from search.running.feed import Feed
from search.running.plan import Plan
from search.running.progress import Progress
from search.store.store import Store
from search.trials.study import Study

Run = AblationRun | SearchRun


@dataclass(frozen=True)
class Kind:
    """How a study of a kind is compiled, and how its folder is read."""

    plan: Callable[[Any, Images], Plan]
    feed: Callable[[Any, Store, Progress], Feed]
    read: Callable[[Any, RunFolder, Store], Run]


KINDS: dict[type[Study], Kind] = {
    Ablation: Kind(AblationPlan.of, AblationFeed, AblationRun.of),
    Search: Kind(SearchPlan.of, SearchFeed, SearchRun.of),
}


def plan(study: Study, *, download: bool = False) -> Plan:
    """Load the data and compile the study.

    Raises:
        InputError: missing data, or a study that cannot be compiled.
    """
    return KINDS[type(study)].plan(study, load(study.data, download=download))


def feed(plan: Plan, store: Store, progress: Progress) -> Feed:
    """What is left to do of a study: its trials are put on the store's list."""
    return KINDS[type(plan.study)].feed(plan, store, progress)


def read(path: Path, storage: str | None = None) -> Run:
    """What a folder holds, also while it runs.

    Raises:
        InputError: no run's folder, or one whose trials cannot be read.
    """
    folder = RunFolder.existing(path)
    study = library.of(documents.read(folder.study), source=str(folder.study))
    store = Store.of(folder, storage)
    try:
        if not any(store.counts().values()):
            raise InputError(f"{path}: no trials yet")
        return KINDS[type(study)].read(study, folder, store)
    finally:
        store.close()
