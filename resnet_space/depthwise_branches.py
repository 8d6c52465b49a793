"""Branches with depthwise convolutions, or with groups of a fixed width.

A depthwise convolution has one group per channel. Sources: the inverted bottleneck, Sandler et al. 2018, 1801.04381;
the block of RegNet, Radosavovic et al. 2020, 2003.13678; the block of ConvNeXt, Liu et al. 2022, 2201.03545.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from resnet_space.branch_kind import WindowBranch, divided
from resnet_space.errors import InputError
from resnet_space.layers import Chain, Convolution
from resnet_space.numbers import Channels, OddKernel

Factor = Annotated[float, Field(gt=0, le=64)]


class InvertedBottleneckBranch(WindowBranch):
    """1x1 to `expansion` times the input's channels, depthwise 3x3, 1x1 to the stage's. 1801.04381, figure 4d, table 1.

    With `expansion` 1 the first 1x1 is left out. The paper's order is `linear_bottleneck`, its transition `none`.
    """

    kind: Literal["inverted_bottleneck"] = "inverted_bottleneck"
    expansion: Factor = 6.0

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        hidden = max(1, round(in_channels * self.expansion))
        expand = (Convolution((1, 1), in_channels, hidden),) if self.expansion != 1 else ()
        depthwise = self.window(hidden, hidden, stride, groups=hidden)
        return (*expand, depthwise, Convolution((1, 1), hidden, channels))


class XBranch(WindowBranch):
    """1x1, 3x3 in groups of `group_width` channels, 1x1. 2003.13678, figure 4.

    The first two are `ratio` times as wide as the stage; the paper's b is 1/ratio. A stage that is narrower than
    `group_width` has one group.
    """

    kind: Literal["x_block"] = "x_block"
    group_width: Channels = 8
    ratio: Factor = 1.0

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        ratio = Fraction(self.ratio).limit_denominator(4096)
        exact = channels * ratio
        if exact.denominator != 1:
            raise InputError(
                f"unit.branch.ratio: {self.ratio:g} of {channels} channels is not a whole number; "
                f"use channels that are a multiple of {ratio.denominator}, or another ratio"
            )
        width = int(exact)
        groups = divided(width, min(self.group_width, width), "unit.branch.group_width")
        return (
            Convolution((1, 1), in_channels, width),
            self.window(width, width, stride, groups=groups),
            Convolution((1, 1), width, channels),
        )


class ConvNeXtBranch(WindowBranch):
    """Depthwise 7x7, BN, 1x1 to `expansion` times the channels, ReLU, 1x1, all with biases. 2201.03545, figure 4.

    The words are those of the unit: the paper's are layer normalisation and GELU. It has one normalisation and one
    activation, whatever the order says between convolutions. The paper's shortcut is `layer_scale`, its order
    `linear_bottleneck`, its transition `separate`.
    """

    kind: Literal["convnext"] = "convnext"
    kernel: OddKernel = 7
    expansion: Factor = 4.0

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        hidden = max(1, round(channels * self.expansion))
        depthwise = self.window(in_channels, in_channels, stride, groups=in_channels)
        return (
            replace(depthwise, biased=True, without=frozenset({"relu"})),
            Convolution((1, 1), in_channels, hidden, biased=True, without=frozenset({"bn"})),
            Convolution((1, 1), hidden, channels, linear=True),
        )
