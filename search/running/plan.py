"""A study with its data at hand: what will be run, before it is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_space.errors import InputError
from search.files.folder import RunFolder
from search.files.lock import lock_folder
from search.machine.energy import metered
from search.store.claims import new_driver, registered
from search.store.store import Store

if TYPE_CHECKING:
    from resnet_space import Architecture
    from search.data import Images
    from search.files.bucket import Place
    from search.trials.identity import Identity
    from search.trials.study import Study
    from search.trials.trial import TrialSpec


class Plan(ABC):
    """What every kind of study says of its trials once its data are there."""

    study: Study
    images: Images

    @abstractmethod
    def counted(self, store: Store) -> tuple[int, int]:
        """Trials there will be, as far as is known now, and how many of them have ended."""

    @abstractmethod
    def name_of(self, spec: TrialSpec) -> str:
        """A trial's name for people."""

    @cached_property
    def identity(self) -> Identity:
        """What all of its trials have in common."""
        from search.trials.identity import Identity

        return Identity(self.study.recipe, self.images.fingerprint)

    def spec(self, net: Architecture, seed: int) -> TrialSpec:
        """The trial of a network."""
        from search.trials.trial import TrialSpec

        return TrialSpec(
            architecture=net,
            recipe=self.study.recipe,
            data=self.study.data,
            fingerprint=self.images.fingerprint,
            seed=seed,
        )

    @property
    def notices(self) -> list[str]:
        """What the user should know before it begins."""
        return []

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest keeps of each session, beside versions and machine."""
        return {}

    @property
    def epochs(self) -> int:
        """Passes over the training split, begun or whole, of one trial."""
        return -(-self.steps // self._an_epoch)

    @property
    def steps(self) -> int:
        """Optimiser steps of one trial."""
        return self.study.recipe.total_steps(self._an_epoch)

    @property
    def _an_epoch(self) -> int:
        # Where it is needed: it loads torch, and `status` reads a folder without.
        from search.data import steps_per_epoch

        return steps_per_epoch(len(self.images.train), self.study.recipe.batch_size)


@contextmanager
def opened(
    plan: Plan, out: Path, *, storage: str | None = None, checkpoints: str | None = None, retry_failed: bool = False
) -> Iterator[tuple[RunFolder, Store]]:
    """The folder and the store of a plan's run, begun or gone on with.

    Args:
        storage: a database URL in place of the folder's own SQLite.
        checkpoints: a bucket's URL in place of the folder's own `checkpoints/`.
        retry_failed: trials that failed wait again.

    Raises:
        InputError: the folder is another study's, or another driver's, or of other data, or cannot be written; the
            storage is none.
    """
    if storage and storage.startswith("sqlite") and (storage.endswith("://") or "memory" in storage):
        raise InputError(f"storage {storage!r}: would be gone with this process; name a file: sqlite:///trials.db")
    folder, study = RunFolder(out.resolve(), checkpoints), plan.study.model_dump(mode="json")
    folder.check(study, changeable=plan.study.CHANGEABLE)
    driver = new_driver()
    with lock_folder(folder.path, driver) as former:
        folder.check_data(plan.images.facts)
        folder.claim(study, changeable=plan.study.CHANGEABLE)
        store = Store(storage) if storage else Store.at(folder.path)
        with closing(store), registered(store.claims, driver, former) if store.shared else nullcontext():
            bucket = str(folder.checkpoints) if checkpoints else None
            data, device = plan.images.facts, plan.study.resources.device
            folder.add_session(
                fingerprint=data["fingerprint"],
                data=data,
                device=device,
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
                    # What was under way waits.
                    store.reclaim()
                    raise
            folder.update_session(joules=energy.joules)
            _tidy(folder.checkpoints, store)


def _tidy(checkpoints: Place, store: Store) -> None:
    """Remove the checkpoints of trials that none will go on from: stopped, or ended as their driver was killed."""
    from search.training.checkpoint import sweep_up

    sweep_up(checkpoints, {each.key for each in store.records() if each.status in ("complete", "pruned", "diverged")})
