"""What a method is to the replay: it requests trainings of networks, and receives the results of their epochs.

This module imports only the standard library: peers run where nothing of ours is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Request:
    """Train the network of an assignment up to an epoch. A method can request more epochs of it later.

    The assignment has a value for every axis, or for the active axes only.
    """

    trial: str
    assignment: dict[str, Any]
    epochs: int


class Method(Protocol):
    """Proposes networks, by what it has learned so far."""

    every_epoch: bool
    """Whether it receives the result of every epoch, and may stop a trial; else only of the last requested one."""

    def ask(self) -> Request | None:
        """Return the next training, or None if nothing is left."""

    def tell(self, request: Request, epoch: int, values: tuple[float, float]) -> bool:
        """Receive the error and the cost after an epoch; return whether the training continues."""
