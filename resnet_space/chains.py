"""From a chain of layers to torch modules, and how their weights are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from resnet_space.layers import Chain, Convolution, Parallel, Pool, convolutions


def build_chain(chain: Chain, *, between: str, last: str, bias: bool = False) -> nn.Sequential:
    """The layers one behind the other: `between` behind each convolution but the last, `last` behind that.

    `between` and `last` are chains of `bn` and `relu`; with `bias` every convolution has one, at 0 in the beginning.
    """
    return nn.Sequential(*_modules(chain, between, last, bias=bias))


def _modules(chain: Chain, between: str, last: str, *, bias: bool) -> Iterator[nn.Module]:
    for index, layer in enumerate(chain):
        behind = between if any(convolutions(chain[index + 1 :])) else last
        if isinstance(layer, Parallel):
            yield Paths(build_chain(path, between=between, last=behind, bias=bias) for path in layer.paths)
        elif isinstance(layer, Pool):
            yield pool(layer)
        else:
            yield conv(layer, bias=0.0 if bias or layer.linear else None)
            yield from () if layer.linear else activations(behind, layer.channels)


class Paths(nn.Module):
    """Chains side by side on one input, their outputs concatenated by channel. 1602.07261, figures 3 to 19."""

    def __init__(self, paths: Iterator[nn.Sequential]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)
        self.join = Join()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.join(*(path(x) for path in self.paths))
        return y


class Join(nn.Module):
    """Its inputs behind one another by channel; a module, so that all work is done in modules without parts."""

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, dim=1)


Kind = TypeVar("Kind", bound=nn.Module)


def closing(module: nn.Module, kind: type[Kind]) -> list[Kind]:
    """The last of a kind on every way through a chain: one, or one a path; empty if some way has none."""
    if isinstance(module, kind):
        return [module]
    if isinstance(module, Paths):
        ends = [closing(path, kind) for path in module.paths]
        return [end for path in ends for end in path] if all(ends) else []
    for part in reversed([*module]) if isinstance(module, nn.Sequential) else ():
        if found := closing(part, kind):
            return found
    return []


def pool(layer: Pool) -> nn.Module:
    """The largest or the mean of each window."""
    if layer.pool == "max":
        return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
    return nn.AvgPool2d(layer.kernel, layer.stride, layer.padding, count_include_pad=False)


def activations(chain: str, channels: int) -> Iterator[nn.Module]:
    """The modules of a chain such as "bn relu"."""
    for name in chain.split():
        yield nn.BatchNorm2d(channels) if name == "bn" else nn.ReLU()


def pixels(x: Tensor, stride: int) -> Tensor:
    """Every stride-th pixel of (N, C, H, W), as (N, H', W', C).

    Sliced with the channels last, as images are in memory: a gradient of another layout slows all kernels that use it.
    """
    return x.permute(0, 2, 3, 1)[:, ::stride, ::stride]


class Pointwise(nn.Conv2d):
    """A 1x1 convolution with a stride s: y = W * x[s*i, s*j], of x (N, C, H, W).

    While it learns, pixels are taken first and convolved with stride 1, which is the same sum. The gradient that oneDNN
    computes for a stride and channels last writes past its memory where the channels do not fill a block
    (https://github.com/uxlfoundation/oneDNN/issues/6035): wrong gradients or a crash, by processor and threads.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and self.weight.requires_grad):
            return super().forward(x)
        chosen = pixels(x, self.stride[0]).permute(0, 3, 1, 2)
        return functional.conv2d(chosen, self.weight, self.bias, groups=self.groups)


def conv(shape: Convolution, *, bias: float | None = None) -> nn.Conv2d:
    """Drawn as `draw` says; without a bias, since BN follows, unless one is given."""
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
    draw(module)
    if module.bias is not None and bias is not None:
        nn.init.constant_(module.bias, bias)
    return module


def draw(layer: nn.Conv2d | nn.Linear, generator: Generator | None = None) -> None:
    """Weights of a layer, from torch's global generator or a given one.

    A convolution's are normal with variance 2 / fan-out (1502.01852), its bias is not drawn; a linear layer's weights
    and bias are uniform within 1 / sqrt(fan-in), as torch has them. On the meta device there is nothing to draw.
    """
    if layer.weight.is_meta:
        # Torch would load its compiler for it, which takes longer than counting.
        return
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        return
    for parameter in (layer.weight, layer.bias):
        bound = layer.in_features**-0.5
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
