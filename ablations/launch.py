"""From a study to its trials: what will be run, and the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ablations.published import of_arms
from ablations.study import Study
from ablations.summary import ArmSummary, summarise
from resnet_space import Architecture
from resnet_space.errors import InputError
from search.data import Images, load, steps_per_epoch
from search.folder import RunFolder
from search.store import Store
from search.trial import Job, TrialSpec

FREE = ("seeds", "resources", "data.root", "notes", "question", "source")
"""What may differ when a run goes on: none of it is in a trial's name but the seeds, and more seeds are more trials."""


@dataclass(frozen=True)
class Plan:
    """A study with its data at hand: every arm's architecture, and the distinct trials in the order they run."""

    study: Study
    images: Images
    architectures: Mapping[str, Architecture]

    @cached_property
    def trials(self) -> dict[str, TrialSpec]:
        """Distinct trials by key, a seed of every arm before the next seed."""
        specs = (
            TrialSpec(
                architecture=net,
                recipe=self.study.recipe,
                data=self.study.data,
                fingerprint=self.images.fingerprint,
                seed=seed,
            )
            for seed in self.study.seed_numbers
            for net in self.architectures.values()
        )
        trials: dict[str, TrialSpec] = {}
        for spec in specs:
            trials.setdefault(spec.key, spec)
        return trials

    @property
    def jobs(self) -> list[Job]:
        return [Job(trials=(spec,)) for spec in self.trials.values()]

    @property
    def folded(self) -> list[tuple[str, ...]]:
        """Arms that are one and the same network, and are trained once."""
        by_key: dict[str, list[str]] = {}
        for name, net in self.architectures.items():
            by_key.setdefault(net.key, []).append(name)
        return [tuple(names) for names in by_key.values() if len(names) > 1]

    @property
    def steps(self) -> int:
        """Optimiser steps of one trial."""
        recipe = self.study.recipe
        return recipe.total_steps(steps_per_epoch(len(self.images.train), recipe.batch_size))

    def name_of(self, key: str) -> str:
        """A trial's name for people: its arms, and its seed."""
        trial = self.trials[key]
        arms = [name for name, net in self.architectures.items() if net.key == trial.architecture.key]
        return f"{' = '.join(arms)}, seed {trial.seed}"


def plan(study: Study, *, download: bool = False) -> Plan:
    """Load the data and compile the study.

    Raises:
        InputError: missing data, an arm that is no network, or a published row that is not there.
    """
    of_arms(study)
    images = load(study.data, download=download)
    return Plan(study, images, study.architectures(images.shape, images.classes))


@contextmanager
def opened(
    plan: Plan, out: Path, *, storage: str | None = None, retry_failed: bool = False
) -> Iterator[tuple[RunFolder, Store]]:
    """The folder and the store of a plan's run, begun or gone on with, with every trial on the list.

    Args:
        storage: a database URL in place of the folder's own SQLite.
        retry_failed: trials that failed wait again.

    Raises:
        InputError: the folder is another study's, or cannot be written; the storage is none.
    """
    folder = RunFolder(out.resolve())
    folder.claim(plan.study.model_dump(mode="json"), free=FREE)
    store = Store(storage) if storage else Store.at(folder.path)
    try:
        folder.note(fingerprint=plan.images.fingerprint, seeds=list(plan.study.seed_numbers), storage=store.name)
        store.add(plan.trials.values())
        if retry_failed:
            store.retry()
        yield folder, store
    finally:
        store.close()


@dataclass(frozen=True)
class Run:
    """A run's folder, read: the study, and its trials as they are stored now."""

    study: Study
    summaries: list[ArmSummary]
    folder: RunFolder
    counts: Mapping[str, int]
    reasons: list[tuple[str, str, int]]


def read(path: Path, storage: str | None = None) -> Run:
    """What a folder holds, also while it runs.

    Raises:
        InputError: no run's folder, or one whose trials cannot be read.
    """
    folder = RunFolder.existing(path)
    study = Study.from_yaml(folder.study)
    store = open_store(folder, storage)
    try:
        records = store.records()
        counts, reasons = store.counts(), store.reasons()
    finally:
        store.close()
    if not records:
        raise InputError(f"{path}: no trials yet")
    shape = records[0].spec["architecture"]["input_shape"]
    classes = records[0].spec["architecture"]["classes"]
    nets = study.architectures(tuple(shape), classes)
    wanted = [record for record in records if record.seed in study.seed_numbers]
    return Run(study, summarise(study, nets, wanted), folder, counts, reasons)


def open_store(folder: RunFolder, storage: str | None = None) -> Store:
    """The store of a folder: the given URL, the one its manifest names, or its own SQLite file.

    Raises:
        InputError: there is none.
    """
    sessions = folder.read_manifest().get("sessions", [])
    named = storage or (sessions[-1].get("storage") if sessions else None)
    if named:
        return Store(named)
    if not (folder.path / "trials.db").is_file():
        raise InputError(f"{folder.path}: there is no trials.db")
    return Store.at(folder.path)
