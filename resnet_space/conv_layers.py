"""The torch modules of convolutions, and how their weights are drawn."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from resnet_space.layers import Convolution


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


class Standardised(nn.Conv2d):
    """A convolution with the weights (w - mean) / sd, over each output channel. Qiao et al. 2019, 1903.10520, eq. 2.

    With a 1x1 kernel and a stride it selects pixels first, as `Pointwise` does.
    """

    def forward(self, x: Tensor) -> Tensor:
        # A channel whose weights are all equal has standard deviation 0, and then only 0 as weights.
        both = torch.std_mean(self.weight, (1, 2, 3), correction=0, keepdim=True)
        weight, stride = (self.weight - both[1]) / both[0].clamp(min=SMALLEST_DEVIATION), self.stride
        if self.kernel_size == (1, 1) and self.stride[0] > 1:
            x, stride = strided_pixels(x, self.stride[0]).permute(0, 3, 1, 2), (1, 1)
        return functional.conv2d(x, weight, self.bias, stride, self.padding, self.dilation, self.groups)


SMALLEST_DEVIATION = 1e-4
"""Divided by at least this, the root of the 1e-8 that libraries add to the variance."""


def conv(shape: Convolution, *, bias: float | None = None, standardised: bool = False) -> nn.Conv2d:
    """Return the convolution with weights by `draw_weights`. Default: no bias, since BN follows."""
    pointwise = Pointwise if shape.kernel == (1, 1) and shape.stride > 1 else nn.Conv2d
    module = (Standardised if standardised else pointwise)(
        shape.in_channels,
        shape.channels,
        shape.kernel,
        stride=shape.stride,
        padding=shape.padding,
        dilation=shape.dilation,
        groups=shape.groups,
        bias=bias is not None,
    )
    draw_weights(module)
    if module.bias is not None and bias is not None:
        nn.init.constant_(module.bias, bias)
    return module


def draw_weights(layer: nn.Conv2d | nn.Conv1d | nn.Linear, generator: Generator | None = None) -> None:
    """Draw the weights of a layer, from torch's global generator or a given one.

    Weights of a convolution are normal with variance 2 / fan-out (1502.01852); its bias is not drawn. Weights and bias
    of a linear layer, or of one that slides along the channels, are uniform within ±1 / sqrt(fan-in), torch's default.
    On the meta device nothing is drawn.
    """
    if layer.weight.is_meta:
        # Torch would load its compiler for this, which takes longer than counting.
        return
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        return
    bound = layer.weight[0].numel() ** -0.5
    for parameter in (layer.weight, layer.bias):
        if parameter is not None:
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
