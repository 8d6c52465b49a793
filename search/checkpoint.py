"""Where a trial was: written by atomic rename after every epoch, so that a kill at any moment leaves a whole one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from search.atomic import replace
from search.trial import Epoch

NAME = "checkpoint.pt"
WEIGHTS = "weights.safetensors"


@dataclass
class State:
    """What a training knows besides weights, momenta and random states."""

    step: int = 0
    warming_up: bool = True
    history: list[Epoch] = field(default_factory=list)


def load(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, device: str) -> State | None:
    """Put model, optimiser and torch's random generators back where the folder's checkpoint left them.

    Without a checkpoint, the beginning. None with one that cannot be read or does not fit: it is put aside, and parts
    of the model may have been overwritten.
    """
    path = folder / NAME
    if not path.exists():
        return State()
    try:
        # weights_only: tensors and plain containers, never code.
        data: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        state = State(data["step"], data["warming_up"], [Epoch(**epoch) for epoch in data["history"]])
        model.load_state_dict(data["model"])
        optimizer.load_state_dict(data["optimizer"])
        torch.set_rng_state(data["rng"])
        if device.startswith("cuda") and data["cuda_rng"] is not None:
            torch.cuda.set_rng_state(data["cuda_rng"])
    except Exception:
        # A checkpoint is only time saved: a damaged one is put aside, and the trial starts anew.
        path.replace(path.with_suffix(".damaged"))
        return None
    return state


def save(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: State, device: str) -> None:
    """Write a checkpoint in place of the one before."""
    data = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if device.startswith("cuda") else None,
        "step": state.step,
        "warming_up": state.warming_up,
        "history": [asdict(epoch) for epoch in state.history],
    }
    replace(folder / NAME, lambda path: torch.save(data, path))


def keep_weights(folder: Path, model: nn.Module) -> None:
    """Leave the trained weights."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    replace(folder / WEIGHTS, lambda path: save_file(tensors, path))


def drop(folder: Path) -> None:
    """Remove the checkpoint of a trial that has ended: its momenta are of no more use."""
    (folder / NAME).unlink(missing_ok=True)
