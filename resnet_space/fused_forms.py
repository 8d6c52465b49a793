"""The fused form of each module: it computes for K networks at once, with their channels side by side.

A fused form takes (N, K*C, H, W), with the k-th network's channels at k*C to (k+1)*C. Its parameters and buffers are
those of the K modules, concatenated along the first dimension, under the same names. Modules without a row in `FORMS`
have none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space.attention_layers import (
    AlongChannels,
    BlockAttention,
    EfficientAttention,
    MapStatistics,
    PixelProduct,
    PixelStatistics,
    PixelSum,
    Product,
    SqueezeExcitation,
)
from resnet_space.chains import BlurPool, Dropout, Join, Paths, PixelBlocks, dropout_mask
from resnet_space.conv_layers import Pointwise, Standardised, strided_pixels
from resnet_space.fused_shortcuts import by_channel, spread
from resnet_space.modules import (
    Concatenation,
    Gate,
    Nothing,
    Pad,
    ResidualNet,
    Scalar,
    Scalars,
    Shortcut,
    Sum,
    Unit,
)
from resnet_space.norm_layers import ChannelNorm, PixelMean
from resnet_space.shortcuts import ShortcutKind


class Unfusable(ValueError):
    """The networks cannot be fused; the message names the module that has no fused form."""


class Linears(nn.Module):
    """K linear layers: (N, K*in) to (N, K*out)."""

    def __init__(self, layer: nn.Linear, networks: int) -> None:
        super().__init__()
        self.networks = networks
        self.weight = nn.Parameter(layer.weight.repeat(networks, 1))
        self.bias = nn.Parameter(layer.bias.repeat(networks))

    def extra_repr(self) -> str:
        return f"{self.networks} networks"

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

    def extra_repr(self) -> str:
        return f"{self.networks} networks, {self.stride}, {self.more}"


class ScalarOfEach(nn.Module):
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

    def extra_repr(self) -> str:
        return self.shortcut.formula


class ChannelNorms(nn.Module):
    """Layer normalisation over the channels of each pixel of each network: (N, K*C, H, W) to the same shape."""

    def __init__(self, norm: ChannelNorm, networks: int) -> None:
        super().__init__()
        self.networks, self.eps = networks, norm.eps
        self.weight = nn.Parameter(norm.weight.repeat(networks))
        self.bias = nn.Parameter(norm.bias.repeat(networks))

    def forward(self, x: Tensor) -> Tensor:
        # (N, H, W, K, C): the order in memory.
        last = x.permute(0, 2, 3, 1)
        last = last.reshape(*last.shape[:3], self.networks, -1)
        normal = functional.layer_norm(last, last.shape[4:], eps=self.eps).flatten(3)
        return (normal * self.weight + self.bias).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f"{self.networks} networks, {self.eps}"


class Dropouts(nn.Module):
    """Dropout with separate masks per network: those it would draw alone from a generator in the same state.

    On the CPU only: on a GPU torch draws the mask inside the kernel that uses it, and the masks would differ.
    """

    def __init__(self, dropout: Dropout, networks: int) -> None:
        super().__init__()
        self.p = dropout.p
        self.generators: Sequence[torch.Generator] = [torch.default_generator] * networks

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        if x.device.type != "cpu":
            raise Unfusable(f"dropout on {x.device.type} would draw other masks than an unfused network")
        masks = [
            dropout_mask(part, self.p, generator)
            for part, generator in zip(x.chunk(len(self.generators), 1), self.generators, strict=True)
        ]
        return x * by_channel(masks)


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

    def extra_repr(self) -> str:
        return f"{self.networks} networks"


class Concatenates(Joins):
    """A formula whose parts are concatenated within each network."""

    def __init__(self, shortcut: ShortcutKind, networks: int) -> None:
        super().__init__(networks)
        self.shortcut = shortcut

    def forward(self, *parts: Tensor) -> Tensor:
        x, f, g = parts
        return super().forward(*self.shortcut.combine(x, f, g if self.shortcut.scalar is None else spread(g, f)))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.shortcut.formula}"


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


def _group_norm(norm: nn.Module, networks: int) -> nn.Module:
    """Statistics are per image and group, so those of K networks never mix."""
    assert isinstance(norm, nn.GroupNorm)
    return nn.GroupNorm(networks * norm.num_groups, networks * norm.num_channels, norm.eps, device="meta")


def _channel_norm(norm: nn.Module, networks: int) -> nn.Module:
    assert isinstance(norm, ChannelNorm)
    return ChannelNorms(norm, networks)


def _prelu(activation: nn.Module, networks: int) -> nn.Module:
    assert isinstance(activation, nn.PReLU)
    if activation.num_parameters == 1:
        raise Unfusable("a PReLU with one slope for all channels has no fused form")
    return nn.PReLU(networks * activation.num_parameters, device="meta")


def _along_channels(layer: nn.Module, networks: int) -> nn.Module:
    assert isinstance(layer, AlongChannels)
    return AlongChannels(layer.kernel_size[0], networks)


def _pixel_statistics(layer: nn.Module, networks: int) -> nn.Module:
    return PixelStatistics(networks)


def _pixel_product(layer: nn.Module, networks: int) -> nn.Module:
    return PixelProduct(networks)


def _scalars(scalars: nn.Module, networks: int) -> nn.Module:
    assert isinstance(scalars, Scalars)
    return Scalars(scalars.value, networks * len(scalars.a)).to("meta")


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
    if shortcut.fusing == "none":
        raise Unfusable(f"the formula of {type(shortcut).__name__} has no fused form")
    if shortcut.join == "concatenation":
        return Concatenates(shortcut, networks)
    # Scalars of each channel are a map already.
    return formula if shortcut.scalar is None or shortcut.per_channel else Scaled(shortcut)


def _dropout(dropout: nn.Module, networks: int) -> nn.Module:
    assert isinstance(dropout, Dropout)
    return Dropouts(dropout, networks)


def _scalar(scalar: nn.Module, networks: int) -> nn.Module:
    assert isinstance(scalar, Scalar)
    return ScalarOfEach(scalar, networks)


def _shortcut(shortcut: nn.Module, networks: int) -> nn.Module:
    """A unit that recomputes activations must not leave the concatenation to the next one, which would mix networks."""
    assert isinstance(shortcut, Shortcut)
    shortcut.concatenates = False
    return shortcut


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
    **dict.fromkeys((nn.Conv2d, Pointwise, Standardised), _convolution),
    nn.BatchNorm2d: _normalisation,
    nn.GroupNorm: _group_norm,
    ChannelNorm: _channel_norm,
    nn.PReLU: _prelu,
    AlongChannels: _along_channels,
    PixelStatistics: _pixel_statistics,
    PixelProduct: _pixel_product,
    Scalars: _scalars,
    nn.Linear: _linear,
    Pad: _pad,
    **dict.fromkeys((Sum, Concatenation), _formula),
    Scalar: _scalar,
    Dropout: _dropout,
    Join: _join,
    nn.Flatten: _flatten,
    **dict.fromkeys((nn.Sigmoid, nn.Identity, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, PixelMean), _same),
    **dict.fromkeys((nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish), _same),
    **dict.fromkeys((BlurPool, nn.ZeroPad2d, PixelBlocks, MapStatistics, PixelSum), _same),
    **dict.fromkeys((nn.Sequential, nn.ModuleList, ResidualNet, Unit, Gate, Nothing, Paths), _same),
    Shortcut: _shortcut,
    **dict.fromkeys((SqueezeExcitation, EfficientAttention, BlockAttention, Product), _same),
}
"""By exact type: a subclass can compute something else."""
