"""A run as it is stored: its folder, its study, and its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from resnet_space import Architecture
from search.files.folder import RunFolder
from search.store.store import Store
from search.trials.study import Study


class StoredRun(NamedTuple):
    """To be read, also while it runs; `resnet_space.api.folders.open_folder` opens it and closes its store."""

    folder: RunFolder
    study: Study
    store: Store

    def arms(self, keys: Sequence[str]) -> dict[str, str]:
        """Those of these networks that the study gives a name: keys by name."""
        if not keys:
            return {}
        some = Architecture.of(self.store.architectures([keys[0]])[keys[0]])
        nets = self.study.architectures(some.input_shape, some.classes)
        return {name: net.key for name, net in nets.items() if net.key in keys}
