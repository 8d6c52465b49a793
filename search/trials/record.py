"""One stored trial, as it is read: what is not as it was written is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, with_config

from resnet_space import Architecture
from search.trials.events import Status

Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
"""Also the name of a folder."""
Whole = Annotated[int, Field(ge=0)]


def _asked(proposal: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(proposal.get("number"), int) or not isinstance(proposal.get("assignment"), dict):
        raise ValueError("a proposal has a number and an assignment")
    return proposal


@with_config(ConfigDict(allow_inf_nan=False))
@dataclass(frozen=True)
class TrialRecord:
    """One stored trial. Errors are fractions; times are UTC.

    `proposal` is what a sampler asked for, with its number; `aside` a trial of a space that is no longer searched;
    `job` common to trials that were handed out together, and `together` how many of them train as one network.
    """

    key: Key
    architecture: Key
    seed: Whole
    spec: dict[str, Any]
    depth: Whole
    params: Whole
    macs: Whole
    activations: Whole
    proposal: Annotated[dict[str, Any], AfterValidator(_asked)] | None
    aside: bool
    status: Status
    reason: str
    traceback: str
    attempts: Whole
    job: Key | None
    together: Whole | None
    test_error: float | None
    validation_error: float | None
    latency_ms: float | None
    seconds: float | None
    host: str | None
    device: str | None
    started: datetime | None
    finished: datetime | None

    @property
    def network(self) -> Architecture:
        """What was trained.

        Raises:
            InputError: the spec has none.
        """
        return Architecture.of(self.spec.get("architecture"), source=f"trial {self.key}")


def failed(records: Iterable[TrialRecord]) -> list[str]:
    """Keys of the trials that failed, the first to fail first."""
    found = [record for record in records if record.status == "failed"]
    return [record.key for record in sorted(found, key=lambda record: (str(record.finished), record.key))]
