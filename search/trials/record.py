"""A stored trial as it is read from the database, with all fields checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, with_config

from resnet_space import Architecture
from search.trials.events import Status
from search.trials.identity import training_of

Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
"""A trial's key, which is also a folder's name."""
NonNegativeInt = Annotated[int, Field(ge=0)]


def _check_proposal(proposal: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(proposal.get("number"), int) or not isinstance(proposal.get("assignment"), dict):
        raise ValueError("a proposal needs a number and an assignment")
    return proposal


@with_config(ConfigDict(allow_inf_nan=False))
@dataclass(frozen=True)
class TrialRecord:
    """A stored trial. Errors are fractions; times are UTC.

    `proposal` is a sampler's proposal with its number; `aside` marks a trial of a space that is no longer searched;
    `job` is the job that the trial is part of, and `together` the number of trials that train as one network.
    `training` is that of the trial's `Identity`; None if an earlier version stored the trial.
    """

    key: Key
    architecture: Key
    seed: NonNegativeInt
    spec: dict[str, Any]
    depth: NonNegativeInt
    params: NonNegativeInt
    macs: NonNegativeInt
    activations: NonNegativeInt
    proposal: Annotated[dict[str, Any], AfterValidator(_check_proposal)] | None
    aside: bool
    status: Status
    reason: str
    traceback: str
    attempts: NonNegativeInt
    job: Key | None
    together: NonNegativeInt | None
    test_error: float | None
    validation_error: float | None
    top5_error: float | None
    latency_ms: float | None
    seconds: float | None
    host: str | None
    device: str | None
    started: datetime | None
    finished: datetime | None
    training: Key | None = None

    @property
    def setup(self) -> str:
        """The key of what was trained, without the seed; see `Setup.key`."""
        return f"{self.architecture} {self.training or training_of(self.spec)}"

    @property
    def network(self) -> Architecture:
        """The network that was trained.

        Raises:
            InputError: the spec has no valid architecture.
        """
        return Architecture.of(self.spec.get("architecture"), source=f"trial {self.key}")


def failed(records: Iterable[TrialRecord]) -> list[str]:
    """Return the keys of the trials that failed, in the order of failure."""
    found = [record for record in records if record.status == "failed"]
    return [record.key for record in sorted(found, key=lambda record: (str(record.finished), record.key))]
