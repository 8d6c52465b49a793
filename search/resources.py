"""What a trial may use, and how many run at a time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from resnet_space.description import Description


class Resources(Description):
    """`cpus` and `gpus` are for one job; a fraction of a GPU lets several jobs share it.

    torch gets as many threads as the job has whole `cpus`: more would fight over the cores. `retries` is for lost
    workers; an error in a trial is not tried again.
    """

    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0
    at_once: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Jobs side by side at the most; by itself, as many as fit."""
    retries: Annotated[int, Field(ge=0, le=1000)] = 2

    @property
    def threads(self) -> int:
        return max(1, int(self.cpus))

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"
