"""K networks of one shape as one: their channels side by side in groups that never meet, so that the same arithmetic is
done in fewer, larger kernels.

A module's fused form takes (N, K*C, H, W), the k-th network's channels k*C to (k+1)*C, and has the parameters and
buffers of the K modules behind one another along the first dimension, under the same names. Modules without a fused
form, such as dropout, whose masks would be others than alone, are refused: `refusal` says which.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space.modules import Gate, Nothing, Pad, ResidualNet, Shortcut, Sum, Unit
from resnet_space.shortcuts import (
    ConstantScaling,
    Conv1x1Shortcut,
    DropoutShortcut,
    ExclusiveGate,
    IdentityShortcut,
    NoShortcut,
    ShortcutKind,
    ShortcutOnlyGate,
    ZeroInit,
)


class Unfusable(ValueError):
    """Says which module has no fused form."""


def fuse(nets: Sequence[nn.Module]) -> nn.Module:
    """One network of copies of K: (N, K*C, H, W) to logits (N, K*classes), behind one another like channels.

    Raises:
        Unfusable: a module has no fused form, or the networks are not of one shape.
    """
    if len({repr(net) for net in nets}) > 1:
        raise Unfusable("networks of different shapes")
    fused = _blank(nets[0], len(nets))
    states = [net.state_dict() for net in nets]
    joined = {name: _joined([state[name] for state in states]) for name in states[0]}
    fused.load_state_dict(joined, assign=True)
    return fused.train(nets[0].training)


@torch.no_grad()
def unfuse(fused: nn.Module, nets: Sequence[nn.Module]) -> None:
    """Write a fused network's weights and statistics back into the networks that it was made of."""
    states = [net.state_dict() for net in nets]
    for name, tensor in fused.state_dict().items():
        for state, part in zip(states, divided(tensor, len(nets)), strict=True):
            state[name].copy_(part)


def refusal(net: nn.Module) -> str:
    """Why networks of this shape cannot be fused; empty if they can."""
    try:
        _blank(net, 2)
    except Unfusable as reason:
        return str(reason)
    return ""


def divided(tensor: Tensor, networks: int) -> Sequence[Tensor]:
    """Each network's part of a fused parameter, buffer or momentum; counts of batches are common to all."""
    return tensor.chunk(networks) if tensor.dim() else [tensor] * networks


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(tensors)) if tensors[0].dim() else tensors[0].clone()


def _blank(net: nn.Module, networks: int) -> nn.Module:
    """The fused form without weights, on torch's meta device."""
    return _form(copy.deepcopy(net).to("meta"), networks, "")


def _form(module: nn.Module, networks: int, name: str) -> nn.Module:
    kind = type(module)
    if kind not in FORMS:
        raise Unfusable(f"{name or 'the network'}: {kind.__name__} has no fused form")
    try:
        form = FORMS[kind](module, networks)
    except Unfusable as reason:
        raise Unfusable(f"{name}: {reason}") from None
    for part, child in form.named_children():
        setattr(form, part, _form(child, networks, f"{name}.{part}".lstrip(".")))
    wanted = {own: _joined_shape(own, shape, networks) for own, shape in _shapes(module).items()}
    if _shapes(form) != wanted:
        raise Unfusable(f"{name}: {kind.__name__} has parameters that its fused form does not know")
    return form


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Of a module's own parameters and buffers, those of its parts aside."""
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return {name: tuple(tensor.shape) for name, tensor in own}


def _joined_shape(name: str, shape: tuple[int, ...], networks: int) -> tuple[int, ...]:
    if not shape:
        # A scalar of which each network would need its own has no place in the joined tensors.
        return () if name == "num_batches_tracked" else (networks,)
    return (networks * shape[0], *shape[1:])


class Linears(nn.Module):
    """K linear layers: (N, K*in) to (N, K*out)."""

    def __init__(self, layer: nn.Linear, networks: int) -> None:
        super().__init__()
        self.networks = networks
        self.weight = nn.Parameter(layer.weight.repeat(networks, 1))
        self.bias = nn.Parameter(layer.bias.repeat(networks))

    def forward(self, x: Tensor) -> Tensor:
        images, features = x.shape[0], self.weight.shape[1]
        inputs = x.reshape(images, self.networks, features).transpose(0, 1)
        weights = self.weight.reshape(self.networks, -1, features).transpose(1, 2)
        biases = self.bias.reshape(self.networks, 1, -1)
        return torch.baddbmm(biases, inputs, weights).transpose(0, 1).flatten(1)


class Pads(nn.Module):
    """Option A in each network: zeros behind the channels of each, not behind all."""

    def __init__(self, pad: Pad, networks: int) -> None:
        super().__init__()
        self.networks, self.stride, self.more = networks, pad.stride, pad.more

    def forward(self, x: Tensor) -> Tensor:
        pixels = x[:, :, :: self.stride, :: self.stride].permute(0, 2, 3, 1)
        # Channels last, as they lie in memory: (N, H, W, K, C).
        apart = pixels.reshape(*pixels.shape[:3], self.networks, -1)
        return functional.pad(apart, (0, self.more)).flatten(3).permute(0, 3, 1, 2)


def _convolution(conv: nn.Module, networks: int) -> nn.Module:
    assert isinstance(conv, nn.Conv2d)
    if conv.padding_mode != "zeros":
        raise Unfusable(f"a convolution with {conv.padding_mode} padding has no fused form")
    assert not isinstance(conv.padding, str)
    return nn.Conv2d(
        networks * conv.in_channels,
        networks * conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        groups=networks * conv.groups,
        bias=conv.bias is not None,
        device="meta",
    )


def _normalisation(norm: nn.Module, networks: int) -> nn.Module:
    """Statistics are a channel's own, so those of K networks never mix."""
    assert isinstance(norm, nn.BatchNorm2d)
    return nn.BatchNorm2d(
        networks * norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats, device="meta"
    )


def _linear(layer: nn.Module, networks: int) -> nn.Module:
    assert isinstance(layer, nn.Linear)
    if layer.bias is None:
        raise Unfusable("a linear layer without a bias has no fused form")
    return Linears(layer, networks)


def _pad(pad: nn.Module, networks: int) -> nn.Module:
    assert isinstance(pad, Pad)
    return Pads(pad, networks)


def _sum(formula: nn.Module, networks: int) -> nn.Module:
    assert isinstance(formula, Sum)
    if type(formula.shortcut) not in ELEMENTWISE:
        raise Unfusable(f"the formula of {type(formula.shortcut).__name__} has no fused form")
    return formula


def _flatten(module: nn.Module, networks: int) -> nn.Module:
    assert isinstance(module, nn.Flatten)
    if (module.start_dim, module.end_dim) != (1, -1):
        raise Unfusable("flattening other than all of an image has no fused form")
    return module


def _same(module: nn.Module, networks: int) -> nn.Module:
    """Of what looks at each channel by itself, or does no more than hand on to its parts."""
    return module


FORMS: dict[type[nn.Module], Callable[[nn.Module, int], nn.Module]] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _normalisation,
    nn.Linear: _linear,
    Pad: _pad,
    Sum: _sum,
    nn.Flatten: _flatten,
    **dict.fromkeys((nn.ReLU, nn.Sigmoid, nn.Identity, nn.MaxPool2d, nn.AdaptiveAvgPool2d, Nothing), _same),
    **dict.fromkeys((nn.Sequential, ResidualNet, Unit, Shortcut, Gate), _same),
}
"""By the very type: what derives from it may compute something else."""

ELEMENTWISE: tuple[type[ShortcutKind], ...] = (
    IdentityShortcut,
    ConstantScaling,
    ExclusiveGate,
    ShortcutOnlyGate,
    Conv1x1Shortcut,
    DropoutShortcut,
    NoShortcut,
    ZeroInit,
)
"""Shortcuts whose formula is one of elements, each with those at its own place."""
