"""A trial's key: the hash of what it trains. Trials with the same recipe and data differ only in network and seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

from search.trials.recipe import Recipe

TRAINING_VERSION = 2
"""Part of every trial's key; increase it when the meaning of training changes."""


Record = TypeVar("Record", bound="Stored")


class Stored(Protocol):
    """What a stored trial is recognised by; a `TrialRecord` has it."""

    @property
    def key(self) -> str:
        """The trial's key."""

    @property
    def architecture(self) -> str:
        """The key of its network."""

    @property
    def seed(self) -> int: ...

    @property
    def training(self) -> str | None:
        """`Identity.training`; None if an earlier version stored the trial."""


@dataclass(frozen=True)
class Identity:
    """How trials are trained, and on what: the recipe, the data, and the version of training.

    A stored trial has this identity if its key equals the one that it would get now. All others are of other data,
    another recipe or another version, and must not enter a mean.
    """

    recipe: Recipe
    fingerprint: str
    """The hash of the data's content and splits."""

    def key(self, architecture: str, seed: int) -> str:
        """Return a trial's key, 16 hex digits: the hash of what is trained, not of where or when."""
        before, after = self._around
        return _hash(f"{before}{architecture}{after}{seed}}}")

    @cached_property
    def training(self) -> str:
        """The hash, 16 hex digits, of everything in a trial's key except the network and the seed."""
        return _hash(self._around[1])

    @cached_property
    def _around(self) -> tuple[str, str]:
        return _around(self.recipe.model_dump(mode="json"), self.fingerprint)

    def owns(self, record: Stored) -> bool:
        """Whether a stored trial has this identity."""
        return record.key == self.key(record.architecture, record.seed)


def training_of(spec: Mapping[str, Any]) -> str:
    """Return `Identity.training` of a trial, from its description as it is stored."""
    return _hash(_around(spec.get("recipe"), spec.get("fingerprint"))[1])


def _around(recipe: Any, fingerprint: Any) -> tuple[str, str]:
    """Return the text of a trial's key before the network, and between the network and the seed."""
    # JSON with sorted keys: the architecture is first and the seed last, so the part between is computed once.
    rest = {"fingerprint": fingerprint, "recipe": recipe, "schema": TRAINING_VERSION}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return '{"architecture":"', f'",{text[1:-1]},"seed":'


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Identities:
    """The identities of a run's trials: one for each recipe and each data set that it trains with.

    Args:
        own: those that the study names, its own recipe and data first. All trials that an earlier version stored have
            one of these.
        found: further ones of a search over recipes, which only its stored trials show.
    """

    def __init__(self, own: Sequence[Identity], found: Iterable[Identity] = ()) -> None:
        self.own = tuple({each.training: each for each in own}.values())
        self.found = {each.training: each for each in found}

    def named(self, key: str, architecture: str, seed: int) -> Identity | None:
        """Return which of its `own` identities a stored trial has, by the columns of its row; None for another one."""
        # A loop, since it is called for each of many thousand rows.
        for each in self.own:
            if each.key(architecture, seed) == key:
                return each
        return None

    def of(self, key: str, architecture: str, seed: int, training: str | None) -> Identity | None:
        """Return the identity of a stored trial, by the columns of its row; None for a foreign one."""
        found = self.found.get(training) if training else None
        if found and found.key(architecture, seed) == key:
            return found
        return self.named(key, architecture, seed)

    def owns(self, record: Stored) -> bool:
        """Whether a stored trial belongs to the run."""
        return self.of(record.key, record.architecture, record.seed, record.training) is not None

    def own_records(self, records: Iterable[Record]) -> list[Record]:
        """Return the records that belong to the run."""
        return [record for record in records if self.owns(record)]

    def __or__(self, other: Identities) -> Identities:
        return Identities((*self.own, *other.own), (*self.found.values(), *other.found.values()))
