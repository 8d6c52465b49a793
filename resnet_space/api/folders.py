"""Open the folder of a run for reading."""

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
def open_folder(path: Path, storage: str | None = None, checkpoints: str | None = None) -> Iterator[StoredRun]:
    """Open a run's folder: yield the folder, its study and its store; the store is closed at the end.

    Args:
        storage: the URL of the database, if it is not the folder's own.
        checkpoints: the URL of the bucket, if the checkpoints are not in the folder.

    Raises:
        InputError: not a run's folder, or its study or its database cannot be read.
    """
    folder = RunFolder.existing(path, checkpoints)
    study = studies.of(documents.read(folder.study), source=str(folder.study))
    with closing(Store.of(folder, storage)) as store:
        yield StoredRun(folder, study, store)
