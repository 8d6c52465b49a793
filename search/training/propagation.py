"""How signals propagate through a network, measured per unit: the quantities in the explanations of 1603.05027."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space.activations import ACTIVATIONS
from resnet_space.modules import ResidualNet, Unit

CAN_DIE = tuple(getattr(nn, row.layer) for row in ACTIVATIONS.values() if row.dies)
"""The classes of activations whose output and gradient can be 0: ReLU and others."""

IMAGES = 64
"""The first images of the training split, the same for every arm and seed."""


@dataclass
class Signals:
    """One number per unit, from first to last; None if it is not finite, or the unit has no such activation.

    x is the unit's input, h(x) its shortcut's term of the sum, and y' its output, all over one batch.
    """

    gradient: list[float | None] = field(default_factory=list)
    """|| dL/dx ||, the Euclidean norm over batch, channels and pixels, of the mean cross-entropy L."""
    gain: list[float | None] = field(default_factory=list)
    """sqrt(mean h(x)^2 / mean x^2), the factor lambda of 1603.05027, eq. 6: 1 for an identity, 0 for no shortcut."""
    variance: list[float | None] = field(default_factory=list)
    """var(y'), over batch, channels and pixels together."""
    dead: list[float | None] = field(default_factory=list)
    """The fraction of the outputs (channel and pixel) of a unit's ReLUs that are 0 for every image.

    So too for other activations that can be 0 over a range of inputs; None for those that cannot, such as GELU.
    """


def measure(model: nn.Module, x: Tensor, y: Tensor) -> Signals:
    """Return the signals of one batch, images x (N, C, H, W) and labels y (N,), forward and backward in training mode.

    The model does not change, including gradients, running statistics and random generators.
    """
    assert isinstance(model, ResidualNet)
    devices = [x.device] if x.is_cuda else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.enable_grad(),
        _restored_after(model),
        _recorded_units(model) as units,
    ):
        loss = functional.cross_entropy(model(x), y)
        gradients = torch.autograd.grad(loss, [unit.x for unit in units], allow_unused=True)
    found = Signals()
    for unit, gradient in zip(units, gradients, strict=True):
        found.gradient.append(None if gradient is None else _finite(gradient.double().norm()))
        found.gain.append(_finite(unit.gain))
        found.variance.append(_finite(unit.variance))
        found.dead.append(_finite(torch.cat(unit.dead).double().mean()) if unit.dead else None)
    return found


@contextmanager
def _restored_after(model: ResidualNet) -> Iterator[None]:
    """Set training mode without recomputation within the context, and restore modes and running statistics after it."""
    modes = [(part, part.training) for part in model.modules()]
    statistics = [(buffer, buffer.clone()) for buffer in model.buffers()]
    recomputed = [(unit, unit.recompute) for unit in model.units]
    model.train()
    for unit, _ in recomputed:
        unit.recompute = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for unit, recompute in recomputed:
            unit.recompute = recompute
        for part, mode in modes:
            part.training = mode
        for buffer, before in statistics:
            buffer.copy_(before)


@dataclass
class _UnitSignals:
    x: Tensor
    gain: Tensor
    variance: Tensor
    dead: list[Tensor] = field(default_factory=list)


@contextmanager
def _recorded_units(model: ResidualNet) -> Iterator[list[_UnitSignals]]:
    """Record the signals of the units, in order, while a batch passes through the network."""
    seen: list[_UnitSignals] = []
    handles = []

    def enter(unit: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (x,) = inputs
        # Before the first unit nothing needs a gradient if the stem is frozen.
        x = x if x.requires_grad else x.requires_grad_()
        nothing = torch.zeros((), device=x.device)
        seen.append(_UnitSignals(x, nothing, nothing))
        return (x,)

    def combined(part: nn.Module, inputs: tuple[Tensor, Tensor | None, Tensor | None]) -> None:
        """Before the sum: compute the shortcut's term alone, with F set to zero."""
        carried, branch, gate = inputs
        unit = seen[-1]
        if carried is not None and branch is not None:
            with torch.no_grad():
                h = part.forward(carried, torch.zeros_like(branch), gate)
                unit.gain = (h.double().square().mean() / unit.x.double().square().mean()).sqrt()

    def rectified(part: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen[-1].dead.append((output.detach() == 0).all(dim=0).flatten())

    def leave(unit: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen[-1].variance = output.detach().double().var()

    for unit in model.units:
        assert isinstance(unit, Unit)
        handles.append(unit.register_forward_pre_hook(enter))
        handles.append(unit.register_forward_hook(leave))
        handles.append(unit.h.sum.register_forward_pre_hook(combined))
        handles += [part.register_forward_hook(rectified) for part in unit.modules() if isinstance(part, CAN_DIE)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _finite(value: Tensor) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
