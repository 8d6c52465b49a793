"""Workarounds for a wrong kernel: compute the same layer in another memory layout, or in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

Detours = Mapping[str, str]
"""The route of each layer that needs one, by the text that `describe` gives: `{"Conv2d(...) [...]": "in float64"}`."""

NO_DETOURS: Detours = {}


def describe(layer: nn.Module) -> str:
    """Return a layer as text with all that determines its kernels: its settings, and the shapes of its weights."""
    weights = ["x".join(map(str, weight.shape)) for weight in layer.parameters()]
    return f"{layer!r} [{', '.join(weights)}]" if weights else repr(layer)


def apply_detours(model: nn.Module, detours: Detours) -> None:
    """Set the route of each layer of a network that has one in `detours`."""
    for layer in model.modules() if detours else ():
        if not [*layer.children()] and (route := detours.get(describe(layer))):
            set_route(layer, route)


def set_route(layer: nn.Module, route: str) -> None:
    """Make a layer compute by a route of `ROUTES`. Its weights and their names stay, and copies keep the route."""
    # A bound method: `copy.deepcopy` binds it to the copy.
    layer.forward = MethodType(ROUTES[route], layer)


def channels_last(x: Tensor) -> Tensor:
    """Return a tensor (N, C, H, W) in the memory layout of training, and any other tensor unchanged."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _forward_changed(change: Callable[[Tensor], Tensor], layer: nn.Module, *inputs: Tensor | None) -> Tensor:
    """Run the layer's forward pass on changed inputs, weights and statistics, and copy updated statistics back."""
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
    "channels first": partial(_forward_changed, Tensor.contiguous),
    "in float64": partial(_forward_changed, Tensor.double),
}
"""The routes in the order of attempts: the first is about as fast as the layer, the second several times slower."""
