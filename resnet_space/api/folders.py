"""The folder of a run, read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from resnet_space import documents
from resnet_space.api import studies
from search.files.folder import RunFolder
from search.store.store import Store
from search.store.stored import StoredRun


@contextmanager
def reading(path: Path, storage: str | None = None, checkpoints: str | None = None) -> Iterator[StoredRun]:
    """A run's folder, its study and its store, which is closed at the end.

    Args:
        storage: the URL of the database, where it is not the folder's own.
        checkpoints: the URL of the bucket, where they are not in the folder.

    Raises:
        InputError: there is no run's folder, or its study or its database cannot be read.
    """
    folder = RunFolder.existing(path, checkpoints)
    study = studies.of(documents.read(folder.study), source=str(folder.study))
    with closing(Store.of(folder, storage)) as store:
        yield StoredRun(folder, study, store)
