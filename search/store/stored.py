"""A stored run: its folder, its study and its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from resnet_space.errors import InputError, unknown
from search.files.folder import RunFolder
from search.store import membership
from search.store.store import Store
from search.trials.setup import Setup
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

    def arms(self, networks: Sequence[str]) -> dict[str, Setup]:
        """Return the setups, by name, of those arms of the study that have one of these stored networks."""
        if not networks:
            return {}
        specs = [(f"network {key}", spec) for key, spec in self.store.specs(networks)]
        setups = self.study.setups(membership.images_of(self.study, self.folder, specs))
        return {name: setup for name, setup in setups.items() if setup.net.key in networks}
