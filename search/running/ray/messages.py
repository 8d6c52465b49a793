"""What workers and the driver send each other through the exchange. Fast to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from search.trials.events import Event


@dataclass(frozen=True)
class Joined:
    """A worker has started on a node. `versions` are those of `search.running.preflight.versions` there."""

    worker: str
    node: str
    versions: Mapping[str, str]
    actor: str = ""
    """Ray's ID of its process, which Ray's messages name."""


@dataclass(frozen=True)
class Report:
    """The events of a worker's job since its last report. `needs_job`: its job is over, or it has had none yet."""

    worker: str
    events: tuple[Event, ...] = ()
    needs_job: bool = False


@dataclass(frozen=True)
class Lost:
    """A worker was lost; `error` has the lines of Ray's message."""

    worker: str
    error: tuple[str, ...]


@dataclass(frozen=True)
class AllLost:
    """Ray Tune has ended all workers, because Ray killed one of them for lack of memory; `error` has Ray's message."""

    error: tuple[str, ...]


Message = Joined | Report | Lost | AllLost
"""A message to the driver."""


@dataclass(frozen=True)
class Reply:
    """A message to a worker: the trials whose jobs it stops after their next event, and its next job as JSON.

    `leave` ends the worker: in the reply to a report that needs a job, or as an order while it is busy.
    """

    stop: frozenset[str] = frozenset()
    job: str | None = None
    leave: bool = False
