"""How trials are executed: what makes them faster or smaller, and changes no number but by rounding."""

from __future__ import annotations

from dataclasses import dataclass, field

from search.kernels.workarounds import NONE, Detours
from search.trials.resources import Resources


@dataclass(frozen=True)
class Execution:
    """On which device, and by which means; by default those of a CPU without faults."""

    device: str = "cpu"
    recompute: bool = False
    """Whether the activations of branches are computed again in the backward pass, not kept (see `build`)."""
    recorded: bool = False
    """Whether a step on CUDA is launched as one graph, if it can be recorded; why not is reported as a `Notice`."""
    detours: Detours = field(default_factory=lambda: NONE)
    """For layers whose kernels are wrong on this machine (see `soundness`)."""
    checkpoint_seconds: float = 0
    """Between two checkpoints, at least: they are written after an epoch, by default after each."""

    @classmethod
    def of(cls, resources: Resources, detours: Detours) -> Execution:
        """As a study asks for it."""
        return cls(
            device=resources.device,
            recompute=resources.recompute,
            recorded=resources.use_graphs,
            detours=detours,
            checkpoint_seconds=resources.checkpoint_seconds,
        )
