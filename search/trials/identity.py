"""A trial's key: the hash of what it trains. The trials of a run differ only in network and seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from search.trials.recipe import Recipe

if TYPE_CHECKING:
    from search.trials.record import TrialRecord

TRAINING_VERSION = 2
"""Part of every trial's key; increase it when the meaning of training changes."""


@dataclass(frozen=True)
class Identity:
    """What all trials of a run have in common: recipe, data, and the version of training.

    A stored trial belongs to the run if its key equals the one that the run would give it now. All others are of other
    data, another recipe or another version, and must not enter a mean.
    """

    recipe: Recipe
    fingerprint: str
    """The hash of the data's content and splits."""

    def key(self, architecture: str, seed: int) -> str:
        """Return a trial's key, 16 hex digits: the hash of what is trained, not of where or when."""
        before, after = self._around
        return hashlib.sha256(f"{before}{architecture}{after}{seed}}}".encode()).hexdigest()[:16]

    @cached_property
    def _around(self) -> tuple[str, str]:
        # JSON with sorted keys: the architecture is first and the seed last, so the part between is computed once.
        rest = {
            "fingerprint": self.fingerprint,
            "recipe": self.recipe.model_dump(mode="json"),
            "schema": TRAINING_VERSION,
        }
        text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return '{"architecture":"', f'",{text[1:-1]},"seed":'

    def owns(self, record: TrialRecord) -> bool:
        """Whether a stored trial belongs to the run."""
        return record.key == self.key(record.architecture, record.seed)

    def own_records(self, records: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Return the records that belong to the run."""
        return [record for record in records if self.owns(record)]
