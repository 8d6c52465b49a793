"""A trial: one architecture, one recipe, one data set, one seed; what is run, what happens, what is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from resnet_space import Architecture
from resnet_space.description import Description
from search.data.description import DataSet
from search.recipe import Recipe

SCHEMA = 2
"""Part of every trial's key: raised when training comes to mean something else."""

Status = Literal["waiting", "running", "complete", "pruned", "diverged", "failed", "infeasible"]

FINISHED: tuple[Status, ...] = ("complete", "pruned", "diverged", "failed", "infeasible")


class TrialSpec(Description):
    """What a trial is, and all that its numbers depend on."""

    architecture: Architecture
    recipe: Recipe
    data: DataSet
    fingerprint: str
    """Of the data's content and splits, so that other images under the same name are another trial."""
    seed: Annotated[int, Field(ge=0)]

    @cached_property
    def key(self) -> str:
        """Content hash, 16 hex digits: of what is trained, not of where, when, or how it was written down."""
        content = {
            "schema": SCHEMA,
            "architecture": self.architecture.key,
            "recipe": self.recipe.model_dump(mode="json"),
            "fingerprint": self.fingerprint,
            "seed": self.seed,
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Job(Description):
    """What one worker takes at a time: trials that differ in their seed alone.

    `probes` are epochs behind which the signals' propagation is measured, 0 the beginning; they change no number of a
    trial, and are not in its name. `together` is whether the trials train as one network; None where the worker finds
    out which is faster.
    """

    trials: Annotated[tuple[TrialSpec, ...], Field(min_length=1)]
    probes: tuple[int, ...] = ()
    name: str = ""
    together: bool | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", self.trials[0].key)
        return self


@dataclass(frozen=True)
class Started:
    """A worker has taken the trial up, `step` optimiser steps into it (its checkpoint's).

    `together` is the number of trials that train as one network, this one included.
    """

    key: str
    host: str
    device: str
    step: int = 0
    together: int = 1


@dataclass(frozen=True)
class Epoch:
    """One pass over the training split. Errors are fractions; `loss` is the mean cross-entropy, in nats."""

    key: str
    epoch: int
    step: int
    lr: float
    loss: float
    train_error: float
    validation_error: float
    seconds: float
    images_per_second: float


@dataclass(frozen=True)
class Notice:
    """What its watchers should know of a trial that goes on; it is shown, and not stored."""

    key: str
    text: str


@dataclass(frozen=True)
class Probe:
    """How signals propagate behind an epoch, 0 the beginning: a number a unit, from the first to the last.

    What each is, `propagation.Signals` says; None where there is none.
    """

    key: str
    epoch: int
    gradient: Sequence[float | None]
    gain: Sequence[float | None]
    variance: Sequence[float | None]
    dead: Sequence[float | None]


@dataclass(frozen=True)
class Finished:
    """How a trial ended. Errors are fractions; None where there is nothing to measure.

    `latency_ms` is one forward pass of one image on the trial's device, the median of several.
    """

    key: str
    status: Status
    reason: str = ""
    test_error: float | None = None
    validation_error: float | None = None
    latency_ms: float | None = None
    seconds: float = 0.0
    traceback: str = ""


Event = Started | Epoch | Notice | Probe | Finished

_EVENTS: dict[str, type[Event]] = {cls.__name__: cls for cls in (Started, Epoch, Notice, Probe, Finished)}


def as_plain(event: Event) -> dict[str, Any]:
    """An event as plain data, to cross between processes."""
    return {"event": type(event).__name__, **asdict(event)}


def as_event(data: dict[str, Any]) -> Event:
    """The event that `as_plain` made plain."""
    return _EVENTS[data["event"]](**{name: value for name, value in data.items() if name != "event"})
