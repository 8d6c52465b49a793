"""Where a trial was after an epoch: two generations, so that kill and damage leave one to go on from."""

from __future__ import annotations

import copy
import hashlib
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from search.files.atomic import TEMPORARY_NAME
from search.files.bucket import Place, Unreachable, write_file
from search.training import killed
from search.trials.events import Epoch

NAME = "checkpoint.pt"
BEFORE = "checkpoint.before.pt"
GENERATIONS = (NAME, BEFORE)
"""The newest first."""
WEIGHTS = "weights.safetensors"

DIGEST = hashlib.sha256().digest_size


class Damaged(Exception):
    """A checkpoint that is not as it was written, or is another network's; it has been put aside."""


@dataclass
class State:
    """What a training knows besides weights, momenta and random states."""

    step: int = 0
    warming_up: bool = True
    history: list[Epoch] = field(default_factory=list)

    before: int = 0
    """The step of the checkpoint before, 0 where there was none."""
    level: dict[str, int] = field(default_factory=dict)
    """The steps, by key, of all that trained together when it was written: none of them may be at an earlier one."""


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint's content, in memory that training does not write to."""

    content: dict[str, Any]
    copied: torch.cuda.Event | None = None
    """When all of it is there, on a GPU."""


def load(path: Place, model: nn.Module, optimizer: torch.optim.Optimizer, device: str) -> State:
    """Put model, optimiser and torch's random generators back where the checkpoint left them.

    Raises:
        FileNotFoundError: there is none.
        Damaged: why; it is put aside, and parts of the model may have been overwritten.
        Unreachable: it is in a bucket that does not answer.
    """
    try:
        # weights_only: tensors and plain containers, never code.
        data: dict[str, Any] = torch.load(io.BytesIO(_whole(path)), map_location="cpu", weights_only=True)
        history = [Epoch(**epoch) for epoch in data["history"]]
        # Those without this field were written after every epoch.
        before = int(data.get("before", history[-2].step if len(history) > 1 else 0))
        level = {str(key): int(step) for key, step in data.get("level", {}).items()}
        state = State(data["step"], data["warming_up"], history, before, level)
        weights, momenta = unpacked(data["model"]), unpacked(data["momenta"])
        if _shapes(weights) != _shapes(model.state_dict()):
            raise ValueError("it is another network's")
        model.load_state_dict(weights)
        optimizer.load_state_dict(
            {"state": _remembered(momenta, list(model.parameters())), "param_groups": data["param_groups"]}
        )
        torch.set_rng_state(data["rng"])
        if device.startswith("cuda") and data["cuda_rng"] is not None:
            torch.cuda.set_rng_state(data["cuda_rng"])
    except (FileNotFoundError, Unreachable, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # A checkpoint is only time saved: without it the trial goes on from the one before, or starts anew.
        with suppress(OSError):
            path.replace(path.with_suffix(".damaged"))  # type: ignore[arg-type]  # of one kind
        raise Damaged(next(iter(str(error).splitlines()), type(error).__name__)) from error
    return state


def save(
    folder: Place,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: State,
    device: str,
    rng: Tensor | None = None,
) -> None:
    """Write a checkpoint; the one that was the newest is the one before. The arguments are those of `snapshot`.

    Raises:
        OSError: it could not be written; the newest is still there.
    """
    write(folder, snapshot(model, optimizer, state, device, rng))


def snapshot(
    model: nn.Module, optimizer: torch.optim.Optimizer, state: State, device: str, rng: Tensor | None = None
) -> Snapshot:
    """A checkpoint's content as it is now. From a GPU it is still on its way, and training may go on.

    `rng` is the state of the generator that training draws from, by default torch's own.
    """
    learned = optimizer.state_dict()
    momenta = {f"{place}.{name}": each for place, own in learned["state"].items() for name, each in own.items()}
    content = {
        "model": packed(model.state_dict()),
        "momenta": packed(momenta),
        # A rate may be a tensor that the next step writes to.
        "param_groups": copy.deepcopy(learned["param_groups"]),
        "rng": torch.get_rng_state() if rng is None else rng,
        "cuda_rng": torch.cuda.get_rng_state() if device.startswith("cuda") else None,
        **{name: getattr(state, name) for name in ("step", "warming_up", "before")},
        "level": dict(state.level),
        "history": [asdict(epoch) for epoch in state.history],
    }
    if not device.startswith("cuda"):
        return Snapshot(content)
    for part in ("model", "momenta"):
        content[part] = [
            (names, torch.empty_like(whole, device="cpu", pin_memory=True).copy_(whole, non_blocking=True))
            for names, whole in content[part]
        ]
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()
    return Snapshot(content, copied)


def write(folder: Place, snapshot: Snapshot) -> None:
    """Write a snapshot as `save` does, in whichever thread.

    The file is torch's archive and its SHA-256: torch itself reads an archive with a flipped bit as if it were whole.

    Raises:
        OSError: it could not be written; the newest is still there.
    """
    if snapshot.copied:
        snapshot.copied.synchronize()
    archive = io.BytesIO()
    torch.save(snapshot.content, archive)
    write_file(folder / NAME, sealed(archive.getvalue()), backup=folder / BEFORE)


def sealed(archive: bytes) -> bytes:
    """The content of a checkpoint's file: an archive with its digest behind it."""
    return archive + hashlib.sha256(archive).digest()


def packed(tensors: Mapping[str, Tensor]) -> list[tuple[list[tuple[str, list[int]]], Tensor]]:
    """Tensors of each type behind one another as one, with names and shapes: an archive of hundreds takes two or
    three times as long to make.
    """
    kinds: dict[torch.dtype, list[str]] = {}
    for name, tensor in tensors.items():
        kinds.setdefault(tensor.dtype, []).append(name)
    return [
        (
            [(name, list(tensors[name].shape)) for name in names],
            torch.cat([tensors[name].detach().flatten() for name in names]),
        )
        for names in kinds.values()
    ]


def unpacked(kinds: Iterable[tuple[list[tuple[str, list[int]]], Tensor]]) -> dict[str, Tensor]:
    """What was packed, by name."""
    found: dict[str, Tensor] = {}
    for names, whole in kinds:
        parts = torch.split(whole, [prod(shape) for _, shape in names])
        found |= {name: part.view(shape) for (name, shape), part in zip(names, parts, strict=True)}
    return found


def _remembered(momenta: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> dict[int, dict[str, Tensor]]:
    """An optimiser's state by its parameters' places, each tensor lying in memory as its parameter does."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in momenta.items():
        place, _, own = name.partition(".")
        like = torch.empty_like(parameters[int(place)], device=tensor.device)
        state.setdefault(int(place), {})[own] = like.copy_(tensor)
    return state


def step_back(folder: Place) -> None:
    """Make the checkpoint before the newest; without one, there is none."""
    try:
        (folder / BEFORE).replace(folder / NAME)  # type: ignore[arg-type]  # of one kind
    except FileNotFoundError:
        (folder / NAME).unlink()


def keep_weights(folder: Place, model: nn.Module) -> None:
    """Leave the trained weights.

    Raises:
        OSError: they could not be written.
    """
    from safetensors.torch import save as as_bytes

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_file(folder / WEIGHTS, as_bytes(tensors))


def drop(folder: Place) -> None:
    """Remove the checkpoints of a trial that has ended, whose momenta are of no more use, and what is half written."""
    _remove(folder.glob("*"))


def sweep_up(checkpoints: Place, ended: Collection[str]) -> None:
    """The same for these trials, by looking once: a kill may have come between a trial's end and that. It may have left
    a record of deaths too."""
    _remove((path for path in checkpoints.glob("*/*") if path.parent.name in ended), (*GENERATIONS, *killed.NAMES))


def _remove(paths: Iterable[Place], names: Collection[str] = GENERATIONS) -> None:
    # Of a bucket that does not answer they stay: they are of no use, and no harm.
    with suppress(Unreachable):
        left = [path for path in paths if path.name in names or TEMPORARY_NAME.fullmatch(path.name)]
        # By their names: the newest is the last to go.
        for path in sorted(left, key=lambda path: path.name):
            path.unlink(missing_ok=True)


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _whole(path: Place) -> bytes:
    content = path.read_bytes()
    archive = content[:-DIGEST]
    if sealed(archive) != content:
        raise ValueError("it is not as it was written: its digest is another")
    return archive
