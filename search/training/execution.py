"""How trials are executed: settings that change speed and memory, and results only by rounding."""

from __future__ import annotations

from dataclasses import dataclass, field

from search.kernels.workarounds import NO_DETOURS, Detours
from search.trials.resources import Resources


@dataclass(frozen=True)
class Execution:
    """Device and settings for training; the defaults are for a CPU whose kernels are all correct."""

    device: str = "cpu"
    recompute: bool = False
    """Whether the branches' activations are recomputed in the backward pass instead of stored (see `build`)."""
    recorded: bool = False
    """Whether a step on CUDA is launched as one graph. If it cannot be recorded, a `Notice` reports the reason."""
    detours: Detours = field(default_factory=lambda: NO_DETOURS)
    """Workarounds for layers whose kernels are wrong on this machine (see `soundness`)."""
    checkpoint_seconds: float = 0
    """Minimum seconds between two checkpoints, which are written after an epoch; default: after each epoch."""

    @classmethod
    def of(cls, resources: Resources, detours: Detours) -> Execution:
        """Return the settings for a study's resources."""
        return cls(
            device=resources.device,
            recompute=resources.recompute,
            recorded=resources.use_graphs,
            detours=detours,
            checkpoint_seconds=resources.checkpoint_seconds,
        )
