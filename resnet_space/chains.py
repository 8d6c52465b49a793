"""Build the torch modules of a chain of layers, and draw their weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from resnet_space.layers import Chain, Convolution, Parallel, Pool, convolutions


def build_chain(chain: Chain, *, between: str, last: str, bias: bool = False) -> nn.Sequential:
    """Return the layers in sequence, with `between` after each convolution except the last, and `last` after that one.

    `between` and `last` are chains of `bn` and `relu`, such as "bn relu". With `bias`, every convolution has a bias,
    initially 0.
    """
    return nn.Sequential(*_modules(chain, between, last, bias=bias))


def _modules(chain: Chain, between: str, last: str, *, bias: bool) -> Iterator[nn.Module]:
    for index, layer in enumerate(chain):
        after = between if any(convolutions(chain[index + 1 :])) else last
        if isinstance(layer, Parallel):
            yield Paths(build_chain(path, between=between, last=after, bias=bias) for path in layer.paths)
        elif isinstance(layer, Pool):
            yield pool(layer)
        else:
            yield conv(layer, bias=0.0 if bias or layer.linear else None)
            yield from () if layer.linear else activations(after, layer.channels)


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


def last_modules(module: nn.Module, kind: type[Kind]) -> list[Kind]:
    """Return the last module of a kind on every path through a chain; empty if a path has none."""
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


def activations(chain: str, channels: int) -> Iterator[nn.Module]:
    """Yield the modules of a chain such as "bn relu"."""
    for name in chain.split():
        yield nn.BatchNorm2d(channels) if name == "bn" else nn.ReLU()


def strided_pixels(x: Tensor, stride: int) -> Tensor:
    """Return every stride-th pixel of (N, C, H, W), as (N, H', W', C).

    It slices with channels last, the memory layout of the images: a gradient of another layout slows down all kernels
    that use it.
    """
    return x.permute(0, 2, 3, 1)[:, ::stride, ::stride]


class Pointwise(nn.Conv2d):
    """A 1x1 convolution with a stride s: y = W * x[s*i, s*j], of x (N, C, H, W).

    In training, pixels are selected first and convolved with stride 1, which gives the same sum. Reason: for a stride
    and channels last, oneDNN's gradient writes outside its memory if the channels do not fill a block
    (https://github.com/uxlfoundation/oneDNN/issues/6035). Gradients are then wrong, or the process crashes, depending
    on processor and number of threads.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and self.weight.requires_grad):
            return super().forward(x)
        chosen = strided_pixels(x, self.stride[0]).permute(0, 3, 1, 2)
        return functional.conv2d(chosen, self.weight, self.bias, groups=self.groups)


def conv(shape: Convolution, *, bias: float | None = None) -> nn.Conv2d:
    """Return the convolution with weights by `draw_weights`. Default: no bias, since BN follows."""
    kind = Pointwise if shape.kernel == (1, 1) and shape.stride > 1 else nn.Conv2d
    module = kind(
        shape.in_channels,
        shape.channels,
        shape.kernel,
        stride=shape.stride,
        padding=shape.padding,
        groups=shape.groups,
        bias=bias is not None,
    )
    draw_weights(module)
    if module.bias is not None and bias is not None:
        nn.init.constant_(module.bias, bias)
    return module


def draw_weights(layer: nn.Conv2d | nn.Linear, generator: Generator | None = None) -> None:
    """Draw the weights of a layer, from torch's global generator or a given one.

    Weights of a convolution are normal with variance 2 / fan-out (1502.01852); its bias is not drawn. Weights and bias
    of a linear layer are uniform within ±1 / sqrt(fan-in), torch's default. On the meta device nothing is drawn.
    """
    if layer.weight.is_meta:
        # Torch would load its compiler for this, which takes longer than counting.
        return
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        return
    for parameter in (layer.weight, layer.bias):
        bound = layer.in_features**-0.5
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
