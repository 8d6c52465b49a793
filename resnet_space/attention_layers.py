"""The torch modules of attention. Every operation is in a module without submodules: see `counter`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space.conv_layers import conv, draw_weights
from resnet_space.layers import BlockAttentionLayer, Convolution, EfficientLayer, SqueezeLayer
from resnet_space.norm_layers import activation_layer


class Product(nn.Module):
    """The elementwise product of two tensors."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b


class SqueezeExcitation(nn.Module):
    """f * sigmoid(W2 act(W1 mean(f))), the mean over each map, (N, C, 1, 1). 1709.01507, equations 2 to 4."""

    def __init__(self, layer: SqueezeLayer) -> None:
        super().__init__()
        self.excitation = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv(Convolution((1, 1), layer.channels, layer.hidden), bias=0.0),
            activation_layer(layer.activation, layer.hidden) if layer.activation != "none" else nn.Identity(),
            conv(Convolution((1, 1), layer.hidden, layer.channels), bias=0.0),
            nn.Sigmoid(),
        )
        self.scale = Product()

    def forward(self, f: Tensor) -> Tensor:
        scaled: Tensor = self.scale(f, self.excitation(f))
        return scaled


class AlongChannels(nn.Conv1d):
    """One kernel that slides along the channels of (N, K*C, 1, 1), for each of K networks."""

    def __init__(self, kernel: int, networks: int = 1) -> None:
        super().__init__(networks, networks, kernel, padding=kernel // 2, groups=networks, bias=False)
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        apart = x.reshape(x.shape[0], self.groups, -1)
        return functional.conv1d(apart, self.weight, None, 1, self.padding, 1, self.groups).reshape(x.shape)


class EfficientAttention(nn.Module):
    """f * sigmoid(w * mean(f)): w slides along the channels. 1910.03151, equation 8."""

    def __init__(self, layer: EfficientLayer) -> None:
        super().__init__()
        self.excitation = nn.Sequential(nn.AdaptiveAvgPool2d(1), AlongChannels(layer.kernel), nn.Sigmoid())
        self.scale = Product()

    def forward(self, f: Tensor) -> Tensor:
        scaled: Tensor = self.scale(f, self.excitation(f))
        return scaled


class MapStatistics(nn.Module):
    """The mean and the maximum of each map as two pixels: (N, C, H, W) to (N, C, 2, 1)."""

    def forward(self, f: Tensor) -> Tensor:
        # (N, H*W, C): the order in memory, in which the results and all gradients stay.
        pixels = f.permute(0, 2, 3, 1).flatten(1, 2)
        return torch.stack([pixels.mean(1), pixels.amax(1)], 1)[:, :, None].permute(0, 3, 1, 2)


class PixelSum(nn.Module):
    """The sum of two pixels: (N, C, 2, 1) to (N, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(2, keepdim=True)


class PixelStatistics(nn.Module):
    """The mean and the maximum of each pixel's channels: (N, K*C, H, W) to (N, 2*K, H, W), for K networks."""

    def __init__(self, networks: int = 1) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, f: Tensor) -> Tensor:
        apart = _pixels(f, self.networks)
        return torch.stack([apart.mean(4), apart.amax(4)], 4).flatten(3).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f"{self.networks}"


def _pixels(x: Tensor, networks: int) -> Tensor:
    """Return a map (N, K*C, H, W) as (N, H, W, K, C), which is its order in memory."""
    last = x.permute(0, 2, 3, 1)
    return last.reshape(last.shape[0], last.shape[1], last.shape[2], networks, -1)


class PixelProduct(nn.Module):
    """Multiply each pixel's channels by one number, (N, K, H, W), for K networks."""

    def __init__(self, networks: int = 1) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, f: Tensor, g: Tensor) -> Tensor:
        product = _pixels(f, self.networks) * g.permute(0, 2, 3, 1).unsqueeze(4)
        return product.flatten(3).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f"{self.networks}"


class BlockAttention(nn.Module):
    """f' = f * sigmoid(M(mean(f)) + M(max(f))), then f' * sigmoid(conv([mean; max])). 1807.06521, equations 2 and 3.

    Mean and maximum of a map are two pixels for M, which has two 1x1 convolutions, so that each runs once.
    """

    def __init__(self, layer: BlockAttentionLayer) -> None:
        super().__init__()
        self.excitation = nn.Sequential(
            MapStatistics(),
            conv(Convolution((1, 1), layer.channels, layer.hidden)),
            nn.ReLU(),
            conv(Convolution((1, 1), layer.hidden, layer.channels)),
            PixelSum(),
            nn.Sigmoid(),
        )
        self.scale = Product()
        window = Convolution((layer.kernel, layer.kernel), 2, 1)
        self.places = nn.Sequential(PixelStatistics(), conv(window), nn.Sigmoid())
        self.place = PixelProduct()

    def forward(self, f: Tensor) -> Tensor:
        by_channel: Tensor = self.scale(f, self.excitation(f))
        scaled: Tensor = self.place(by_channel, self.places(by_channel))
        return scaled


ATTENTIONS = (SqueezeExcitation, EfficientAttention, BlockAttention)
"""The classes of all attentions."""
