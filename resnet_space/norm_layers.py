"""The torch modules of the normalisations and activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space.activations import ACTIVATIONS
from resnet_space.description import kind_of
from resnet_space.normalisations import NormalisationKind
from resnet_space.orders import Words


class DenseGradient(torch.autograd.Function):
    """The identity, whose gradient is made channels last if it is a part of a larger tensor or has another layout."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous(memory_format=torch.channels_last)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel: (N, C, H, W) to the same shape. 2201.03545."""

    def forward(self, x: Tensor) -> Tensor:
        # In the memory layout of training, channels last, neither permutation moves anything.
        last = x.permute(0, 2, 3, 1)
        return functional.layer_norm(last, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


NORMS = (nn.BatchNorm2d, nn.GroupNorm, ChannelNorm)
"""The classes of all normalisations."""

# Any: each function takes one kind.
NORM_LAYERS: dict[str, Callable[[Any, int], nn.Module]] = {
    "batch": lambda kind, channels: nn.BatchNorm2d(channels, kind.eps),
    "group": lambda kind, channels: nn.GroupNorm(kind.groups, channels, kind.eps),
    "layer": lambda kind, channels: ChannelNorm(channels, kind.eps),
    # An instance normalisation has one group per channel.
    "instance": lambda kind, channels: nn.GroupNorm(channels, channels, kind.eps),
}


def norm_layer(kind: NormalisationKind, channels: int) -> nn.Module:
    """Return the normalisation of a map with this number of channels."""
    return NORM_LAYERS[kind_of(type(kind))](kind, channels)


class PixelMean(nn.AdaptiveAvgPool2d):
    """The mean of each map, (N, C, 1, 1), whose gradient is dense and channels last.

    By default the gradient of a mean has no memory layout, and the gradient of an activation other than ReLU then has
    the slower one, channels first, and so have all gradients before it.
    """

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(DenseGradient.apply(x) if x.requires_grad else x)


def activation_layer(name: str, channels: int) -> nn.Module:
    """Return the activation of a map with this number of channels."""
    row = ACTIVATIONS[name]
    made: nn.Module = getattr(nn, row.layer)(*([channels] if row.learned else []), **row.options)
    return made


WORD_LAYERS: dict[str, Callable[[Words, int], nn.Module]] = {
    "bn": lambda words, channels: norm_layer(words.normalisation, channels),
    "relu": lambda words, channels: activation_layer(words.activation, channels),
}


def word_layers(chain: str, channels: int, words: Words) -> Iterator[nn.Module]:
    """Yield the modules of a chain of an order's words, such as "bn relu"."""
    for word in chain.split():
        yield WORD_LAYERS[word](words, channels)
