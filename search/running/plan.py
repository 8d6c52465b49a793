"""A study together with its data: which trials will run, before any of them does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_space.errors import InputError
from search.files.folder import VARIANTS, RunFolder
from search.files.lock import lock_folder
from search.machine.energy import metered
from search.store.claims import new_driver, registered
from search.store.store import Store

if TYPE_CHECKING:
    from resnet_space import Architecture
    from search.data import DataSet, Images
    from search.files.bucket import Place
    from search.trials.identity import Identity
    from search.trials.recipe import Recipe
    from search.trials.setup import Setup
    from search.trials.study import Study
    from search.trials.trial import TrialSpec


class Plan(ABC):
    """What every kind of study provides once its data are loaded."""

    study: Study

    @property
    @abstractmethod
    def loaded(self) -> Mapping[str, tuple[DataSet, Images]]:
        """Each data set of the study with its images, by its label."""

    @property
    def data(self) -> Sequence[tuple[DataSet, Images]]:
        """All data that trials are trained on, with their images."""
        return list(self.loaded.values())

    @property
    @abstractmethod
    def steps(self) -> int:
        """Optimiser steps of one trial; of the longest one, if data sets differ."""

    @abstractmethod
    def count_trials(self, store: Store) -> tuple[int, int]:
        """Return (number of trials in all, as far as known now; how many of them have ended)."""

    @abstractmethod
    def name_of(self, spec: TrialSpec) -> str:
        """Return a trial's name for people, for example "projection, seed 2"."""

    @property
    def notices(self) -> list[str]:
        """Lines that the user should read before the first trial."""
        return []

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest stores for each session, in addition to versions and machine."""
        return {}


class PlanOnOne(Plan):
    """A plan on one data set: `SearchPlan` and `AblationPlan`."""

    images: Images
    variants: Mapping[DataSet, Images]
    """The images of the data that trials set, for example with `data.limit`."""

    @property
    def loaded(self) -> Mapping[str, tuple[DataSet, Images]]:
        return {self.study.dataset.name: (self.study.dataset, self.images)}

    @property
    def data(self) -> Sequence[tuple[DataSet, Images]]:
        return [(self.study.dataset, self.images), *self.variants.items()]

    @cached_property
    def identity(self) -> Identity:
        """The recipe and the data of the study, as they are in a trial's key."""
        from search.trials.identity import Identity

        return Identity(self.study.recipe, self.images.fingerprint)

    def spec(self, net: Architecture, seed: int) -> TrialSpec:
        """Return the trial of a network with a seed, with the recipe and the data of the study."""
        return self.setup(net).spec(seed)

    def setup(self, net: Architecture) -> Setup:
        """Return the setup of a network with the recipe and the data of the study."""
        from search.trials.setup import Setup

        return Setup(net, self.study.recipe, self.study.dataset, self.images.fingerprint)

    def images_of(self, data: DataSet) -> Images:
        """Return the images of the study's data, or of those of an arm."""
        return self.images if data == self.study.dataset else self.variants[data]

    @property
    def lengths(self) -> Iterable[int]:
        """The optimiser steps of trials, each number once."""
        return [self.steps_of(self.study.recipe, self.study.dataset)]

    @property
    def steps(self) -> int:
        return max(self.lengths)

    @property
    def epochs(self) -> int:
        """Epochs of a trial with the recipe and the data of the study; a partial last one counts."""
        return self.epochs_of(self.study.recipe, self.study.dataset)

    def steps_of(self, recipe: Recipe, data: DataSet) -> int:
        """Return the optimiser steps of trials with this recipe and these data."""
        return recipe.total_steps(self._steps_per_epoch(recipe, data))

    def epochs_of(self, recipe: Recipe, data: DataSet) -> int:
        """Return the epochs of trials with this recipe and these data; a partial last one counts."""
        return -(-self.steps_of(recipe, data) // self._steps_per_epoch(recipe, data))

    def _steps_per_epoch(self, recipe: Recipe, data: DataSet) -> int:
        # Imported here: it loads torch, and `status` reads a folder without torch.
        from search.data import steps_per_epoch

        return steps_per_epoch(len(self.images_of(data).train), recipe.batch_size)


def facts_of_variants(by_place: Sequence[Mapping[DataSet, Images]]) -> dict[str, Any]:
    """Return what a manifest stores about the data that arms set, by the place of their data set in the study."""
    found = [
        {"place": place, "data": data.identifying, "facts": images.facts}
        for place, variants in enumerate(by_place)
        for data, images in variants.items()
    ]
    return {VARIANTS: found} if found else {}


@contextmanager
def start_run(
    plan: Plan, out: Path, *, storage: str | None = None, checkpoints: str | None = None, retry_failed: bool = False
) -> Iterator[tuple[RunFolder, Store]]:
    """Yield the folder and the store of a plan's run, which is created or resumed.

    Args:
        storage: a database URL; default: an SQLite file in the folder.
        checkpoints: a bucket's URL; default: `checkpoints/` in the folder.
        retry_failed: set failed trials back to waiting.

    Raises:
        InputError: the folder belongs to another study, is held by another driver, has other data or cannot be
            written; or `storage` would not last.
    """
    if storage and storage.startswith("sqlite") and (storage.endswith("://") or "memory" in storage):
        raise InputError(f"storage {storage!r}: would be lost with this process; name a file: sqlite:///trials.db")
    folder, study = RunFolder(out.resolve(), checkpoints), plan.study.model_dump(mode="json")
    folder.check(study, changeable=plan.study.CHANGEABLE)
    driver = new_driver()
    with lock_folder(folder.path, driver) as former:
        facts = {label: images.facts for label, (_, images) in plan.loaded.items()}
        for place, (label, data) in enumerate(facts.items()):
            folder.at(place).check_data(data, label if len(facts) > 1 else "")
        for variant in plan.facts.get(VARIANTS, ()):
            folder.at(variant["place"]).check_variant(variant["data"], variant["facts"])
        folder.claim(study, changeable=plan.study.CHANGEABLE)
        store = Store(storage) if storage else Store.at(folder.path)
        with closing(store), registered(store.claims, driver, former) if store.shared else nullcontext():
            bucket = str(folder.checkpoints) if checkpoints else None
            folder.add_session(
                fingerprint=_one_or_list([data["fingerprint"] for data in facts.values()]),
                data=_one_or_list(list(facts.values())),
                device=plan.study.resources.device,
                storage=store.name,
                checkpoints=bucket,
                **plan.facts,
            )
            if retry_failed:
                store.retry()
            with metered() as energy:
                try:
                    yield folder, store
                except KeyboardInterrupt:
                    # Interrupted trials wait again.
                    store.reclaim()
                    raise
            folder.update_session(joules=energy.joules)
            _remove_old_checkpoints(folder.checkpoints, store)


def _one_or_list(values: list[Any]) -> Any:
    """Return the fact of a run's only data set, as a manifest has it, or the facts of several."""
    return values[0] if len(values) == 1 else values


def _remove_old_checkpoints(checkpoints: Place, store: Store) -> None:
    """Remove checkpoints that nothing resumes from: of stopped trials, and of trials that ended as a driver died."""
    from search.training.checkpoint import remove_leftovers

    remove_leftovers(
        checkpoints, {each.key for each in store.records() if each.status in ("complete", "pruned", "diverged")}
    )
