"""Ways around a kernel that is wrong on this machine: the same layer in another memory layout, or in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

Detours = Mapping[str, str]
"""By a layer as `written` has it, the route that it takes."""

NONE: Detours = {}


def written(layer: nn.Module) -> str:
    """A layer as text that says all that it computes by: its settings, and the shapes of its weights."""
    weights = ["x".join(map(str, weight.shape)) for weight in layer.parameters()]
    return f"{layer!r} [{', '.join(weights)}]" if weights else repr(layer)


def follow(model: nn.Module, detours: Detours) -> None:
    """Have each layer of a network that has a detour take it."""
    for layer in model.modules() if detours else ():
        if not [*layer.children()] and (route := detours.get(written(layer))):
            take(layer, route)


def take(layer: nn.Module, route: str) -> None:
    """Have a layer compute by a route of `ROUTES`. Its weights and their names stay, and copies of it do the same."""
    # A bound method: `copy.deepcopy` binds it to the copy.
    layer.forward = MethodType(ROUTES[route], layer)


def channels_last(x: Tensor) -> Tensor:
    """(N, C, H, W) as training keeps it in memory; anything else as it is."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _by(change: Callable[[Tensor], Tensor], layer: nn.Module, *inputs: Tensor | None) -> Tensor:
    """The layer's own forward pass on changed inputs, weights and statistics; what it does to the latter is kept."""
    twin = object.__new__(type(layer))
    twin.__dict__ = {name: value for name, value in vars(layer).items() if name != "forward"}
    for kind in ("_parameters", "_buffers"):
        own: dict[str, Tensor | None] = vars(layer)[kind]
        twin.__dict__[kind] = {name: _changed(change, tensor) for name, tensor in own.items()}
    y: Tensor = type(layer).forward(twin, *(_changed(change, x) for x in inputs))
    with torch.no_grad():
        for name, buffer in layer._buffers.items():
            if buffer is not None and buffer is not twin._buffers[name]:
                buffer.copy_(twin._buffers[name])  # type: ignore[arg-type]
    first = next(x for x in inputs if x is not None)
    return channels_last(y).to(first.dtype)


def _changed(change: Callable[[Tensor], Tensor], tensor: Any) -> Any:
    return change(tensor) if isinstance(tensor, Tensor) and tensor.is_floating_point() else tensor


ROUTES: dict[str, Callable[..., Tensor]] = {
    "channels first": partial(_by, Tensor.contiguous),
    "in float64": partial(_by, Tensor.double),
}
"""In the order in which they are tried: the first is about as fast, the second several times slower."""
