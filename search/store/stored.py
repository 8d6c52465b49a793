"""A stored run: its folder, its study and its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from resnet_space import Architecture
from search.files.folder import RunFolder
from search.store.store import Store
from search.trials.study import Study


class StoredRun(NamedTuple):
    """A run opened for reading, also while it runs; `resnet_space.api.folders.reading` opens and closes it."""

    folder: RunFolder
    study: Study
    store: Store

    def arms(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the keys, by name, of those of these networks that have a name in the study."""
        if not keys:
            return {}
        some = Architecture.of(self.store.architectures([keys[0]])[keys[0]])
        nets = self.study.architectures(some.input_shape, some.classes)
        return {name: net.key for name, net in nets.items() if net.key in keys}
