"""The events of a trial, up to its end. Its worker reports them and the driver stores them. Fast to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["waiting", "running", "complete", "pruned", "diverged", "failed", "infeasible"]

FINISHED: tuple[Status, ...] = ("complete", "pruned", "diverged", "failed", "infeasible")


@dataclass(frozen=True)
class Started:
    """A worker has started the trial, or resumed it from a checkpoint after `step` optimiser steps.

    `together` is the number of trials that train as one network, including this one.
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
    """A message about a running trial; it is shown, and not stored."""

    key: str
    text: str
    host: str = ""
    """The machine, if the message is about it and not about the trial: then it is shown once."""
    once: bool = False
    """Whether the message applies to other trials too: then it is shown for the first of them only."""


@dataclass(frozen=True)
class Probe:
    """How signals propagate after an epoch (0: before training): one number per residual unit, from first to last.

    `propagation.Signals` defines each number; None if it does not exist for a unit.
    """

    key: str
    epoch: int
    gradient: Sequence[float | None]
    gain: Sequence[float | None]
    variance: Sequence[float | None]
    dead: Sequence[float | None]


@dataclass(frozen=True)
class Finished:
    """How a trial ended. Errors are fractions; None if there was nothing to measure.

    `top5_error` is the share of test images whose class is not among the five most likely ones; None for data with few
    classes. `latency_ms` is the median time of a forward pass of one image on the trial's device. `predictions` are
    those of the test images as bytes (`search.trials.predictions`); empty if they were not measured.
    """

    key: str
    status: Status
    reason: str = ""
    test_error: float | None = None
    validation_error: float | None = None
    latency_ms: float | None = None
    seconds: float = 0.0
    traceback: str = ""
    top5_error: float | None = None
    predictions: bytes = field(default=b"", repr=False)


Event = Started | Epoch | Notice | Probe | Finished

_EVENTS: dict[str, type[Event]] = {cls.__name__: cls for cls in (Started, Epoch, Notice, Probe, Finished)}


def as_plain(event: Event) -> dict[str, Any]:
    """Return an event as plain data, to send between processes."""
    return {"event": type(event).__name__, **asdict(event)}


def as_event(data: dict[str, Any]) -> Event:
    """Return the event from the data of `as_plain`."""
    return _EVENTS[data["event"]](**{name: value for name, value in data.items() if name != "event"})
