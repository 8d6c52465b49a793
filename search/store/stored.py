"""A stored run: its folder, its study and its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from resnet_space import Architecture
from resnet_space.errors import InputError, unknown
from search.files.folder import RunFolder
from search.store.store import Store
from search.trials.study import Study


class StoredRun(NamedTuple):
    """A run opened for reading, also while it runs; `resnet_space.api.folders.open_folder` opens and closes it."""

    folder: RunFolder
    study: Study
    store: Store

    def on(self, label: str | None) -> StoredRun:
        """Return the run on one of its data sets, by its label. A run on one data set needs no label.

        Raises:
            InputError: no label for a run on several data sets, or a label that the run does not have.
        """
        parts = self.study.on_each
        if label is None and len(parts) > 1:
            raise InputError(
                f"{self.folder.path}: a run on several data sets; choose one by --dataset: {', '.join(parts)}"
            )
        if label is not None and label not in parts:
            raise unknown("data set", label, parts, path="--dataset")
        place = list(parts).index(label) if label else 0
        return StoredRun(self.folder.at(place), list(parts.values())[place], self.store)

    def arms(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the keys, by name, of those of these networks that have a name in the study."""
        if not keys:
            return {}
        some = Architecture.of(self.store.architectures([keys[0]])[keys[0]])
        nets = self.study.architectures(some.input_shape, some.classes)
        return {name: net.key for name, net in nets.items() if net.key in keys}
