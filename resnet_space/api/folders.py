"""Open the folder of a run for reading."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from resnet_space import documents
from resnet_space.api import studies
from resnet_space.errors import InputError
from search.files.folder import RunFolder
from search.store import membership
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


def count_own(
    path: Path, storage: str | None, interrupted: Collection[str]
) -> tuple[int | None, dict[str, dict[str, int]]]:
    """Return the number of trials that do not belong to a run, and its own by data set; see `count_by_data_set`.

    None and nothing if the study cannot be read, which is reported by the commands that need its results.
    """
    try:
        with open_folder(path, storage) as (folder, study, store):
            foreign = store.count_foreign(membership.all_identities(study, folder, store))
            return foreign, membership.count_by_data_set(folder, study, store, interrupted)
    except InputError:
        return None, {}
