"""A trial's name: the hash of what it is. A run's trials have all of it in common but network and seed."""

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

SCHEMA = 2
"""Part of every trial's key: raised when training comes to mean something else."""


@dataclass(frozen=True)
class Identity:
    """How the trials of a run train, on which data, and what training means in this version.

    A stored trial is of the run if its key is the one that the run would give it now. Whatever else a store holds is of
    other data, another recipe or another version, and may be in no mean.
    """

    recipe: Recipe
    fingerprint: str
    """Of the data's content and splits."""

    def key(self, architecture: str, seed: int) -> str:
        """Content hash, 16 hex digits, by the network's key: of what is trained, not of where or when."""
        before, after = self._around
        return hashlib.sha256(f"{before}{architecture}{after}{seed}}}".encode()).hexdigest()[:16]

    @cached_property
    def _around(self) -> tuple[str, str]:
        # JSON with sorted keys, the network's first and the seed last: what is between is made once for a large store.
        rest = {"fingerprint": self.fingerprint, "recipe": self.recipe.model_dump(mode="json"), "schema": SCHEMA}
        text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return '{"architecture":"', f'",{text[1:-1]},"seed":'

    def has(self, record: TrialRecord) -> bool:
        """Whether a stored trial is of the run."""
        return record.key == self.key(record.architecture, record.seed)

    def own(self, records: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Those of the run."""
        return [record for record in records if self.has(record)]
