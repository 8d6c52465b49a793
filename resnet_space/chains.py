"""Build the torch modules of a chain of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_space import layers
from resnet_space.attention_layers import BlockAttention, EfficientAttention, SqueezeExcitation
from resnet_space.conv_layers import conv
from resnet_space.layers import Chain, Convolution, Parallel, Pool, followed
from resnet_space.norm_layers import word_layers
from resnet_space.orders import Words


def build_chain(chain: Chain, *, between: str, last: str, words: Words) -> nn.Sequential:
    """Return the layers in sequence, with `between` after each convolution except the last, and `last` after that one.

    `between` and `last` are chains of an order's words, such as "bn relu", which mean what `words` says. Without a
    normalisation every convolution has a bias, initially 0.
    """
    return nn.Sequential(*_modules(chain, between, last, words))


def _modules(chain: Chain, between: str, last: str, words: Words) -> Iterator[nn.Module]:
    for layer, after in followed(chain, between, last):
        if isinstance(layer, Parallel):
            yield Paths(build_chain(path, between=between, last=after, words=words) for path in layer.paths)
        elif isinstance(layer, Convolution):
            biased = words.biased or layer.linear or layer.biased
            yield conv(layer, bias=0.0 if biased else None, standardised=words.standardised)
            yield from word_layers(after, layer.channels, words)
        else:
            yield MAKERS[type(layer)](layer)


class Paths(nn.Module):
    """Parallel chains on one input, their outputs concatenated by channel. 1602.07261, figures 3 to 19."""

    def __init__(self, paths: Iterator[nn.Sequential]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)
        self.join = Join()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.join(*(path(x) for path in self.paths))
        return y


class Join(nn.Module):
    """Concatenation by channel; a module, so that every operation belongs to a leaf module."""

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, dim=1)


Kind = TypeVar("Kind", bound=nn.Module)


def last_modules(module: nn.Module, kind: type[Kind] | tuple[type[Kind], ...]) -> list[Kind]:
    """Return the last module of a kind, or of several, on every path through a chain; empty if a path has none."""
    if isinstance(module, kind):
        return [module]
    if isinstance(module, Paths):
        ends = [last_modules(path, kind) for path in module.paths]
        return [end for path in ends for end in path] if all(ends) else []
    for part in reversed([*module]) if isinstance(module, nn.Sequential) else ():
        if found := last_modules(part, kind):
            return found
    return []


def pool(layer: Pool) -> nn.Module:
    """Return the max or average pooling."""
    if layer.pool == "max":
        return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
    return nn.AvgPool2d(layer.kernel, layer.stride, layer.padding, count_include_pad=False)


class BlurPool(nn.Module):
    """Weights (1, 2, 1)/4 along both sides of a map with a reflected border, every stride-th pixel. 1904.11486.

    These weights are those of two means over 2x2 pixels, one after the other.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        reflected = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        return functional.avg_pool2d(functional.avg_pool2d(reflected, 2, 1), 2, self.stride)

    def extra_repr(self) -> str:
        return f"{self.stride}"


class PixelBlocks(nn.PixelUnshuffle):
    """Each block of r x r pixels becomes one pixel: (N, C, H, W) to (N, C*r*r, H/r, W/r), channels last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        r = self.downscale_factor
        blocks = x.reshape(n, channels, height // r, r, width // r, r)
        return blocks.permute(0, 2, 4, 1, 3, 5).reshape(n, height // r, width // r, -1).permute(0, 3, 1, 2)


class Dropout(nn.Dropout):
    """x * m / (1 - p) in training, where m is 0 with probability p and else 1. 1603.05027, section 3.1.

    On a CPU the masks are drawn by `dropout_mask`.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        return x * dropout_mask(x, self.p)


def dropout_mask(x: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Return a mask for x, on a CPU: 0 with probability p, else 1 / (1 - p).

    Reason: torch's `bernoulli_` draws one number at a time. These are the same numbers, unless torch uses MKL's, as on
    processors of Intel.
    """
    drawn = torch.empty_like(x, dtype=torch.float64).uniform_(generator=generator)
    return (drawn < 1 - p).to(x.dtype).div_(1 - p)


# Any: each function takes one kind of layer.
MAKERS: Mapping[type[layers.Layer], Callable[[Any], nn.Module]] = {
    Pool: pool,
    layers.Blur: lambda layer: BlurPool(layer.stride),
    layers.SpaceToDepth: lambda layer: PixelBlocks(layer.block),
    layers.Zeros: lambda layer: nn.ZeroPad2d(layer.width),
    layers.DropoutLayer: lambda layer: Dropout(layer.p),
    layers.SqueezeLayer: SqueezeExcitation,
    layers.EfficientLayer: EfficientAttention,
    layers.BlockAttentionLayer: BlockAttention,
}
"""The layers that no words follow."""
