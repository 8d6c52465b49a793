"""Two runs, read to be compared."""

from __future__ import annotations

from pathlib import Path

from ablations import library
from ablations.two_runs import Side, TwoRuns
from resnet_space import documents
from resnet_space.errors import InputError
from search.files.folder import RunFolder
from search.store.store import Store


def compare(first: Path, second: Path, storage: str | None = None) -> TwoRuns:
    """Read two runs.

    Raises:
        InputError: one of them is no run's folder, or has no complete trial.
    """
    sides = []
    for path in (first, second):
        folder = RunFolder.existing(path)
        store = Store.of(folder, storage)
        try:
            study = library.of(documents.read(folder.study), source=str(folder.study))
            side = Side.of(path.name, study, folder, store)
        finally:
            store.close()
        if side.trials.empty:
            raise InputError(f"{path}: no complete trial to compare")
        sides.append(side)
    return TwoRuns(*sides)
