"""What a trial may use, and how many run at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, field_validator

from resnet_space.description import Description
from resnet_space.numbers import Above0, AtLeast0, AtLeast2


class Resources(Description):
    """`cpus` and `gpus` are for one job; a fraction of a GPU lets several jobs share it.

    torch gets as many threads as the job has whole `cpus`: more would fight over the cores. `retries` is for lost
    workers; an error in a trial is not tried again.
    """

    cpus: Above0 = 1
    gpus: AtLeast0 = 0
    at_once: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Jobs side by side at the most; by itself, as many as fit."""
    retries: Annotated[int, Field(ge=0, le=1000)] = 2
    fuse: Literal["auto", "off"] | AtLeast2 = "auto"
    """Whether trials whose networks are of one shape train as one: where a short measurement says that it is faster,
    never, or up to so many. Their numbers are those they have alone but for rounding."""

    recompute: bool = False
    """Whether a training step computes branches' activations anew on the way back instead of keeping them: less memory,
    for about a third more time."""

    graphs: Annotated[Literal["auto", "on", "off"], WithJsonSchema({"enum": ["auto", "on", "off", True, False]})] = (
        "auto"
    )
    """Whether a training step on a GPU is launched as one CUDA graph, where it can be recorded: to launch kernels one
    by one takes longer than to compute. Why it cannot is reported, with `on` also where there is no GPU."""

    silent: Annotated[float, Field(ge=1, le=31_536_000)] | None = None
    """Seconds behind which a worker that has told nothing is ended, as if it were lost; by itself, never. On Ray."""

    checkpoint_seconds: Annotated[float, Field(ge=0, le=31_536_000)] = 60
    """Seconds between two checkpoints of a trial, at the least: they are written after an epoch, 0 after every one. And
    always after the last one, and where a run is asked to stop."""

    @field_validator("fuse", mode="before")
    @classmethod
    def _one_of_three(cls, value: Any) -> Any:
        if value in ("auto", "off") or (type(value) is int and value >= 2):
            return value
        raise ValueError(f"must be auto, off, or how many seeds at the most, at least 2, not {value!r}")

    @field_validator("graphs", mode="before")
    @classmethod
    def _on_or_off(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return "on" if value else "off"
        if value in ("auto", "on", "off"):
            return value
        raise ValueError(f"must be auto, on or off, not {value!r}")

    @property
    def recorded(self) -> bool:
        """Whether steps are to be recorded as CUDA graphs, where they can be."""
        return self.graphs == "on" or (self.graphs == "auto" and self.device == "cuda")

    @property
    def threads(self) -> int:
        return max(1, int(self.cpus))

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"
