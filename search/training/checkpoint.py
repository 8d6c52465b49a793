"""Checkpoints of a trial after an epoch. Two generations are kept, so one is left after a kill or damage."""

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
from search.training.optimizers import OF_THE_DEVICE
from search.trials.events import Epoch

NAME = "checkpoint.pt"
BEFORE = "checkpoint.before.pt"
GENERATIONS = (NAME, BEFORE)
"""The newest first."""
WEIGHTS = "weights.safetensors"

DIGEST = hashlib.sha256().digest_size


class DamagedCheckpoint(Exception):
    """A checkpoint that has changed since it was written, or is another network's. It has been moved away."""


@dataclass
class State:
    """The state of a training run, without weights, momenta and random states."""

    step: int = 0
    warming_up: bool = True
    history: list[Epoch] = field(default_factory=list)

    before: int = 0
    """The step of the previous checkpoint, 0 if there is none."""
    level: dict[str, int] = field(default_factory=dict)
    """The steps, by key, of all trials that trained together when this was written. None of them can resume earlier."""


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint's content, in memory that training does not write to."""

    content: dict[str, Any]
    copied: torch.cuda.Event | None = None
    """On a GPU, the event after which all of it has been copied."""


def load(
    path: Place, model: nn.Module, optimizer: torch.optim.Optimizer, device: str, average: nn.Module | None = None
) -> State:
    """Restore model, optimiser and torch's random generators from a checkpoint, and return its state.

    `average` is the network with the averaged weights, if there is one.

    Raises:
        FileNotFoundError: there is no checkpoint.
        DamagedCheckpoint: it cannot be used; the reason is the message. It is moved away, and parts of the model can
            be overwritten.
        Unreachable: it is in a bucket that does not answer.
    """
    try:
        # weights_only: tensors and plain containers, never code.
        data: dict[str, Any] = torch.load(io.BytesIO(_verified(path)), map_location="cpu", weights_only=True)
        history = [Epoch(**epoch) for epoch in data["history"]]
        # Earlier versions had no such field, and wrote a checkpoint after every epoch.
        before = int(data.get("before", history[-2].step if len(history) > 1 else 0))
        level = {str(key): int(step) for key, step in data.get("level", {}).items()}
        state = State(data["step"], data["warming_up"], history, before, level)
        weights, momenta = unpacked(data["model"]), unpacked(data["momenta"])
        if _shapes(weights) != _shapes(model.state_dict()):
            raise ValueError("it is another network's")
        model.load_state_dict(weights)
        if average is not None:
            average.load_state_dict(unpacked(data["average"]))
        groups = optimizer.param_groups
        parameters = [parameter for group in groups for parameter in group["params"]]
        optimizer.load_state_dict(
            {
                "state": _optimizer_state(momenta | data.get("marks", {}), parameters),
                "param_groups": [
                    saved | {name: own[name] for name in OF_THE_DEVICE if name in own}
                    for saved, own in zip(data["param_groups"], groups, strict=True)
                ],
            }
        )
        torch.set_rng_state(data["rng"])
        if device.startswith("cuda") and data["cuda_rng"] is not None:
            torch.cuda.set_rng_state(data["cuda_rng"])
    except (FileNotFoundError, Unreachable, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # A checkpoint only saves time: without it the trial resumes from the previous one, or starts again.
        with suppress(OSError):
            path.replace(path.with_suffix(".damaged"))  # type: ignore[arg-type]  # of one kind
        raise DamagedCheckpoint(next(iter(str(error).splitlines()), type(error).__name__)) from error
    return state


def save(
    folder: Place,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: State,
    device: str,
    rng: Tensor | None = None,
    average: nn.Module | None = None,
) -> None:
    """Write a checkpoint, and keep the newest one so far as the previous one. The arguments are those of `snapshot`.

    Raises:
        OSError: it could not be written; the newest one so far is unchanged.
    """
    write(folder, snapshot(model, optimizer, state, device, rng, average))


def snapshot(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: State,
    device: str,
    rng: Tensor | None = None,
    average: nn.Module | None = None,
) -> Snapshot:
    """Return the content of a checkpoint as it is now. From a GPU it is copied while training continues.

    `rng` is the state of the generator that training draws from; default: torch's own. `average` is the network with
    the averaged weights, if there is one.
    """
    learned = optimizer.state_dict()
    learned_state = {f"{place}.{name}": each for place, own in learned["state"].items() for name, each in own.items()}
    momenta = {name: each for name, each in learned_state.items() if isinstance(each, Tensor)}
    marks = {name: each for name, each in learned_state.items() if not isinstance(each, Tensor)}
    content = {
        "model": packed(model.state_dict()),
        "momenta": packed(momenta),
        # Copied: a learning rate can be a tensor, and the next step writes to it.
        "param_groups": copy.deepcopy(learned["param_groups"]),
        "rng": torch.get_rng_state() if rng is None else rng,
        "cuda_rng": torch.cuda.get_rng_state() if device.startswith("cuda") else None,
        **{name: getattr(state, name) for name in ("step", "warming_up", "before")},
        "level": dict(state.level),
        "history": [asdict(epoch) for epoch in state.history],
    }
    if marks:
        # Of an optimiser that treats its parameters differently.
        content["marks"] = marks
    if average is not None:
        content["average"] = packed(average.state_dict())
    if not device.startswith("cuda"):
        return Snapshot(content)
    for part in {"model", "momenta", "average"} & content.keys():
        content[part] = [
            (names, torch.empty_like(whole, device="cpu", pin_memory=True).copy_(whole, non_blocking=True))
            for names, whole in content[part]
        ]
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()
    return Snapshot(content, copied)


def write(folder: Place, snapshot: Snapshot) -> None:
    """Write a snapshot as `save` does, from any thread.

    The file is torch's archive followed by its SHA-256: torch itself reads an archive with a flipped bit without error.

    Raises:
        OSError: it could not be written; the newest one so far is unchanged.
    """
    if snapshot.copied:
        snapshot.copied.synchronize()
    archive = io.BytesIO()
    torch.save(snapshot.content, archive)
    write_file(folder / NAME, with_digest(archive.getvalue()), backup=folder / BEFORE)


def with_digest(archive: bytes) -> bytes:
    """Return the content of a checkpoint's file: the archive, followed by its digest."""
    return archive + hashlib.sha256(archive).digest()


def packed(tensors: Mapping[str, Tensor]) -> list[tuple[list[tuple[str, list[int]]], Tensor]]:
    """Concatenate the tensors of each type and device into one; return each with the names and shapes of its parts.

    An archive of hundreds of separate tensors takes two or three times as long to write.
    """
    kinds: dict[tuple[torch.dtype, torch.device], list[str]] = {}
    for name, tensor in tensors.items():
        kinds.setdefault((tensor.dtype, tensor.device), []).append(name)
    return [
        (
            [(name, list(tensors[name].shape)) for name in names],
            torch.cat([tensors[name].detach().flatten() for name in names]),
        )
        for names in kinds.values()
    ]


def unpacked(kinds: Iterable[tuple[list[tuple[str, list[int]]], Tensor]]) -> dict[str, Tensor]:
    """Return the tensors that `packed` joined, by name."""
    found: dict[str, Tensor] = {}
    for names, whole in kinds:
        parts = torch.split(whole, [prod(shape) for _, shape in names])
        found |= {name: part.view(shape) for (name, shape), part in zip(names, parts, strict=True)}
    return found


def _optimizer_state(momenta: Mapping[str, Any], parameters: Sequence[nn.Parameter]) -> dict[int, dict[str, Any]]:
    """Return an optimiser's state by parameter index. A tensor of its parameter's shape gets its memory layout too."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in momenta.items():
        place, _, own = name.partition(".")
        parameter = parameters[int(place)]
        if isinstance(value, Tensor):
            like = parameter if value.shape == parameter.shape else value
            value = torch.empty_like(like, dtype=value.dtype, device=value.device).copy_(value)
        state.setdefault(int(place), {})[own] = value
    return state


def restore_previous(folder: Place) -> None:
    """Make the previous checkpoint the newest. If there is none, remove the newest."""
    try:
        (folder / BEFORE).replace(folder / NAME)  # type: ignore[arg-type]  # of one kind
    except FileNotFoundError:
        (folder / NAME).unlink()


def save_weights(folder: Place, model: nn.Module) -> None:
    """Write the trained weights to `weights.safetensors` in the trial's folder.

    Raises:
        OSError: they could not be written.
    """
    from safetensors.torch import save as as_bytes

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_file(folder / WEIGHTS, as_bytes(tensors))


def remove_checkpoints(folder: Place) -> None:
    """Remove the checkpoints of a trial that has ended, and incomplete files: nothing resumes from them."""
    _remove(folder.glob("*"))


def remove_leftovers(checkpoints: Place, ended: Collection[str]) -> None:
    """Do the same for several ended trials: a kill can have prevented it, and can have left a record of deaths."""
    _remove((path for path in checkpoints.glob("*/*") if path.parent.name in ended), (*GENERATIONS, *killed.FILES))


def _remove(paths: Iterable[Place], names: Collection[str] = GENERATIONS) -> None:
    # In a bucket that does not answer they stay, which does no harm.
    with suppress(Unreachable):
        left = [path for path in paths if path.name in names or TEMPORARY_NAME.fullmatch(path.name)]
        # In order of their names, so that the newest is removed last.
        for path in sorted(left, key=lambda path: path.name):
            path.unlink(missing_ok=True)


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _verified(path: Place) -> bytes:
    content = path.read_bytes()
    archive = content[:-DIGEST]
    if with_digest(archive) != content:
        raise ValueError("it has changed since it was written: its digest does not match")
    return archive
