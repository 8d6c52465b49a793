"""What happens to a trial, and how it may end. Told by its worker, stored by the driver; light to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["waiting", "running", "complete", "pruned", "diverged", "failed", "infeasible"]

FINISHED: tuple[Status, ...] = ("complete", "pruned", "diverged", "failed", "infeasible")


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
    host: str = ""
    """The machine, where the notice is of it and not of the trial: then it is shown once."""
    once: bool = False
    """Whether it holds for other trials as well: then it is shown for the first of them only."""


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
