"""The resources of a job, and how many jobs run at the same time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, field_validator

from resnet_space.description import Description
from resnet_space.numbers import Above0, AtLeast0, AtLeast2


class Resources(Description):
    """Resources of a run. `cpus` and `gpus` are per job; with a fraction of a GPU, several jobs share it.

    torch uses one thread per full CPU in `cpus`: more would compete for the cores. `retries` applies to lost workers;
    a trial that ends with an error is not retried.
    """

    cpus: Above0 = 1
    gpus: AtLeast0 = 0
    at_once: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Largest number of jobs that run at the same time. Default: as many as fit."""
    retries: Annotated[int, Field(ge=0, le=1000)] = 2
    fuse: Literal["auto", "off"] | AtLeast2 = "auto"
    """Whether trials whose networks differ at most in their shortcuts train as one network: `auto` if a short
    measurement shows that it is faster, `off` never, a number for up to that many. Results equal those of separate
    training up to rounding."""

    recompute: bool = False
    """Whether the backward pass recomputes the activations of branches instead of storing them: less memory, about a
    third more time."""

    graphs: Annotated[Literal["auto", "on", "off"], WithJsonSchema({"enum": ["auto", "on", "off", True, False]})] = (
        "auto"
    )
    """Whether a training step on a GPU is launched as one CUDA graph, if it can be recorded: launching kernels one by
    one can take longer than computing. If it cannot, the reason is reported; with `on`, also if there is no GPU."""

    silent: Annotated[float, Field(ge=1, le=31_536_000)] | None = None
    """Kill a worker on Ray that has reported nothing for this many seconds, and treat it as lost. Default: never."""

    checkpoint_seconds: Annotated[float, Field(ge=0, le=31_536_000)] = 60
    """Minimum seconds between two checkpoints of a trial, which are written after an epoch; 0 means after every epoch.
    A checkpoint is always written after the last epoch, and when a run is asked to stop."""

    @field_validator("fuse", mode="before")
    @classmethod
    def _one_of_three(cls, value: Any) -> Any:
        if value in ("auto", "off") or (type(value) is int and value >= 2):
            return value
        raise ValueError(f"must be auto, off, or the largest number of seeds, at least 2, not {value!r}")

    @field_validator("graphs", mode="before")
    @classmethod
    def _on_or_off(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return "on" if value else "off"
        if value in ("auto", "on", "off"):
            return value
        raise ValueError(f"must be auto, on or off, not {value!r}")

    @property
    def use_graphs(self) -> bool:
        """Whether to record steps as CUDA graphs, if possible."""
        return self.graphs == "on" or (self.graphs == "auto" and self.device == "cuda")

    @property
    def threads(self) -> int:
        return max(1, int(self.cpus))

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"
