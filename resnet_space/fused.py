"""Fuse K networks of the same shape into one, so that the same arithmetic runs in fewer, larger kernels.

The networks' channels are side by side in separate groups. A module's fused form takes (N, K*C, H, W), with the k-th
network's channels at k*C to (k+1)*C. Its parameters and buffers are those of the K modules, concatenated along the
first dimension, under the same names. Modules without a fused form, such as branches that a batch can skip, are
refused: `refusal` returns the reason.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space.chains import Join, Paths, Pointwise, strided_pixels
from resnet_space.modules import (
    Concatenation,
    Gate,
    Nothing,
    Pad,
    Product,
    ResidualNet,
    Scalar,
    Shortcut,
    SqueezeExcitation,
    Sum,
    Unit,
)
from resnet_space.shortcuts import ShortcutKind

TensorPairs = Sequence[tuple[Tensor, Sequence[Tensor]]]
"""The tensors of a fused network, each with the tensors of the original networks that it replaces."""


class Unfusable(ValueError):
    """The networks cannot be fused; the message names the module that has no fused form."""


def fuse(nets: Sequence[nn.Module]) -> nn.Module:
    """Return one network made of copies of K networks: (N, K*C, H, W) to logits (N, K*classes).

    Raises:
        Unfusable: a module has no fused form, or the networks differ in shape.
    """
    if len({repr(net) for net in nets}) > 1:
        raise Unfusable("networks of different shapes")
    fused = _blank(copy.deepcopy(nets[0]), len(nets))
    states = [net.state_dict() for net in nets]
    joined = {name: join([state[name] for state in states]) for name in states[0]}
    fused.load_state_dict(joined, assign=True)
    return fused.train(nets[0].training)


def tensor_pairs(fused: nn.Module, nets: Sequence[nn.Module]) -> TensorPairs:
    """Return the weights and statistics of a fused network, each with those of its original networks."""
    states = [net.state_dict() for net in nets]
    return [(tensor, [state[name] for state in states]) for name, tensor in fused.state_dict().items()]


def unfuse(tensors: TensorPairs) -> None:
    """Copy a fused network's tensors back to its original networks."""
    copy_all([each for tensor, own in tensors for each in zip(own, divided(tensor, own), strict=True)])


@torch.no_grad()
def copy_all(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Copy the second tensor of each pair into the first.

    Tensors of the same type and layout are copied in one call, which is one launch for many tensors on a GPU.
    """
    kinds: dict[tuple[torch.dtype, bool], tuple[list[Tensor], list[Tensor]]] = {}
    for to, own in pairs:
        places, values = kinds.setdefault((to.dtype, to.stride() == own.stride()), ([], []))
        places.append(to)
        values.append(own)
    for places, values in kinds.values():
        torch._foreach_copy_(places, values)


def refusal(net: nn.Module) -> str:
    """Return why networks of this shape cannot be fused, or an empty text if they can.

    This destroys the network: pass a copy.
    """
    try:
        _blank(net, 2)
    except Unfusable as reason:
        return str(reason)
    return ""


def join(tensors: Sequence[Tensor]) -> Tensor:
    """Return the fused network's parameter, buffer or momentum, made of the networks' own.

    The networks share one count of batches.
    """
    first = tensors[0]
    if first.dim():
        return torch.cat(list(tensors))
    return torch.stack(list(tensors)) if first.is_floating_point() else first.clone()


def divided(tensor: Tensor, like: Sequence[Tensor]) -> Sequence[Tensor]:
    """Split a tensor made by `join` into each network's part, with the shapes of `like`."""
    parts = tensor.chunk(len(like)) if tensor.dim() else [tensor] * len(like)
    return [part.reshape(own.shape) for part, own in zip(parts, like, strict=True)]


def form(module: nn.Module, networks: int) -> nn.Module:
    """Return the fused form of several modules like this one, without weights, on torch's meta device.

    Raises:
        Unfusable: the module has none.
    """
    return _blank(copy.deepcopy(module), networks)


def _blank(net: nn.Module, networks: int) -> nn.Module:
    """Return the fused form without weights, on torch's meta device, reusing this network's modules."""
    made = _form(net.to("meta"), networks, "")
    parts = [*made.modules()]
    if any(isinstance(part, Dropouts) for part in parts) and any(getattr(part, "recompute", False) for part in parts):
        raise Unfusable("dropout in a network that recomputes activations, which would draw new masks")
    return made


def draw_from(fused: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Make each network draw its random numbers from its own generator."""
    for part in fused.modules():
        if isinstance(part, Dropouts):
            part.generators = generators


def _form(module: nn.Module, networks: int, name: str) -> nn.Module:
    kind = type(module)
    if kind not in FORMS:
        raise Unfusable(f"{name or 'the network'}: {kind.__name__} has no fused form")
    try:
        made = FORMS[kind](module, networks)
    except Unfusable as reason:
        raise Unfusable(f"{name}: {reason}") from None
    for part, child in made.named_children():
        setattr(made, part, _form(child, networks, f"{name}.{part}".lstrip(".")))
    wanted = {own: _joined_shape(own, shape, networks) for own, shape in _shapes(module).items()}
    if _shapes(made) != wanted:
        raise Unfusable(f"{name}: {kind.__name__} has parameters that its fused form does not handle")
    return made


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a module's own parameters and buffers, without those of its submodules."""
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return {name: tuple(tensor.shape) for name, tensor in own}


def _joined_shape(name: str, shape: tuple[int, ...], networks: int) -> tuple[int, ...]:
    if not shape:
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
    """Option A in each network: zero channels after each network's channels, not once at the end."""

    def __init__(self, pad: Pad, networks: int) -> None:
        super().__init__()
        self.networks, self.stride, self.more = networks, pad.stride, pad.more

    def forward(self, x: Tensor) -> Tensor:
        # (N, H, W, K, C): the order in memory.
        chosen = strided_pixels(x, self.stride)
        apart = chosen.reshape(*chosen.shape[:3], self.networks, -1)
        return functional.pad(apart, (0, self.more)).flatten(3).permute(0, 3, 1, 2)


class Scalars(nn.Module):
    """Each network's learned scalar, shape (K,)."""

    def __init__(self, scalar: Scalar, networks: int) -> None:
        super().__init__()
        self.a = nn.Parameter(scalar.a.repeat(networks))

    def forward(self, x: Tensor) -> Tensor:
        return self.a


class Scaled(nn.Module):
    """A formula with a learned scalar, one per network, applied to that network's channels."""

    def __init__(self, shortcut: ShortcutKind) -> None:
        super().__init__()
        self.shortcut = shortcut

    def forward(self, x: Tensor | None, f: Tensor, g: Tensor) -> Tensor:
        y: Tensor = self.shortcut.combine(x, f, spread(g, f))
        return y


def spread(numbers: Tensor, f: Tensor) -> Tensor:
    """Repeat each network's number, (K,), for all its channels in f, (N, K*C, H, W): returns (1, K*C, 1, 1)."""
    return numbers.repeat_interleave(f.shape[1] // len(numbers)).view(1, -1, 1, 1)


class Dropouts(nn.Module):
    """Dropout with separate masks per network: those it would draw alone from a generator in the same state.

    On the CPU only: on a GPU torch draws the mask inside the kernel that uses it, and the masks would differ.
    """

    def __init__(self, dropout: nn.Dropout, networks: int) -> None:
        super().__init__()
        self.p = dropout.p
        self.generators: Sequence[torch.Generator] = [torch.default_generator] * networks

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        if x.device.type != "cpu":
            raise Unfusable(f"dropout on {x.device.type} would draw other masks than an unfused network")
        masks = [
            torch.empty_like(part).bernoulli_(1 - self.p, generator=generator).div_(1 - self.p)
            for part, generator in zip(x.chunk(len(self.generators), 1), self.generators, strict=True)
        ]
        return x * torch.cat(masks, 1)


class Joins(nn.Module):
    """Concatenate tensors along the channels, keeping each network's channels together."""

    def __init__(self, networks: int) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, *parts: Tensor) -> Tensor:
        # Channels last, the order in memory: (N, H, W, K, C).
        last = [part.permute(0, 2, 3, 1) for part in parts]
        apart = [part.reshape(*part.shape[:3], self.networks, -1) for part in last]
        return torch.cat(apart, 4).flatten(3).permute(0, 3, 1, 2)


class Concatenates(Joins):
    """A formula whose parts are concatenated within each network."""

    def __init__(self, shortcut: ShortcutKind, networks: int) -> None:
        super().__init__(networks)
        self.shortcut = shortcut

    def forward(self, *parts: Tensor) -> Tensor:
        x, f, g = parts
        return super().forward(*self.shortcut.combine(x, f, g if self.shortcut.scalar is None else spread(g, f)))


def _convolution(conv: nn.Module, networks: int) -> nn.Module:
    assert isinstance(conv, nn.Conv2d)
    if conv.padding_mode != "zeros":
        raise Unfusable(f"a convolution with {conv.padding_mode} padding has no fused form")
    assert not isinstance(conv.padding, str)
    return type(conv)(
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
    """BN computes statistics per channel, so those of K networks never mix."""
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


def _formula(formula: nn.Module, networks: int) -> nn.Module:
    """Fuse as the shortcut's `fusing` and `join` say."""
    assert isinstance(formula, Sum)
    shortcut = formula.shortcut
    if shortcut.fusing != "elementwise":
        raise Unfusable(f"the formula of {type(shortcut).__name__} has no fused form")
    if shortcut.join == "concatenation":
        return Concatenates(shortcut, networks)
    return formula if shortcut.scalar is None else Scaled(shortcut)


def _dropout(dropout: nn.Module, networks: int) -> nn.Module:
    assert isinstance(dropout, nn.Dropout)
    return Dropouts(dropout, networks)


def _scalar(scalar: nn.Module, networks: int) -> nn.Module:
    assert isinstance(scalar, Scalar)
    return Scalars(scalar, networks)


def _join(module: nn.Module, networks: int) -> nn.Module:
    return Joins(networks)


def _flatten(module: nn.Module, networks: int) -> nn.Module:
    assert isinstance(module, nn.Flatten)
    if (module.start_dim, module.end_dim) != (1, -1):
        raise Unfusable("flattening only some of an image has no fused form")
    return module


def _same(module: nn.Module, networks: int) -> nn.Module:
    """For modules that treat each channel separately, or only call their submodules."""
    return module


FORMS: dict[type[nn.Module], Callable[[nn.Module, int], nn.Module]] = {
    **dict.fromkeys((nn.Conv2d, Pointwise), _convolution),
    nn.BatchNorm2d: _normalisation,
    nn.Linear: _linear,
    Pad: _pad,
    **dict.fromkeys((Sum, Concatenation), _formula),
    Scalar: _scalar,
    nn.Dropout: _dropout,
    Join: _join,
    nn.Flatten: _flatten,
    **dict.fromkeys((nn.ReLU, nn.Sigmoid, nn.Identity, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d), _same),
    **dict.fromkeys((nn.Sequential, nn.ModuleList, ResidualNet, Unit, Shortcut, Gate, Nothing, Paths), _same),
    **dict.fromkeys((SqueezeExcitation, Product), _same),
}
"""By exact type: a subclass can compute something else."""
