"""The branches `F` of a residual unit: a catalogue of chains of layers.

Source: basic and bottleneck, He et al. 2015, 1512.03385, figure 5; cardinality, Xie et al. 2016, 1611.05431; a single
layer, Srivastava et al. 2015, 1505.00387; the dense bottleneck, Huang et al. 2016, 1608.06993; inception, Szegedy et
al. 2016, 1602.07261. Branches with depthwise convolutions and those of RegNet are in `depthwise_branches`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator

from resnet_space.branch_kind import BranchKind, WindowBranch, divided
from resnet_space.catalogues import OneOf
from resnet_space.chain_text import map_channels, parse_chain
from resnet_space.depthwise_branches import (  # noqa: F401 (rows of the catalogue)
    ConvNeXtBranch,
    InvertedBottleneckBranch,
    XBranch,
)
from resnet_space.description import kinds
from resnet_space.errors import InputError
from resnet_space.layers import Chain, Convolution, Parallel
from resnet_space.numbers import Channels


class SingleBranch(WindowBranch):
    """One convolution, 3x3 or 1x1: a layer of a Highway net (1505.00387) or of a DenseNet (1608.06993)."""

    kind: Literal["single"] = "single"

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        return (self.window(in_channels, channels, stride),)


class BasicBranch(WindowBranch):
    """3x3, 3x3, both as wide as the stage; the stride is on the first. 1512.03385, figure 5 left.

    With `kernel` k both are k x k; with `dilation` d the weights are d pixels apart (1511.07122).
    """

    kind: Literal["basic"] = "basic"

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        return (self.window(in_channels, channels, stride), self.window(channels, channels))


class WideBranch(BranchKind):
    """A branch with an inner width: `width` in the first stage, growing with the stages' channels."""

    width: Channels | None = None

    def own_width(self, channels: int) -> Fraction:
        """Return the default width in a stage with this number of channels."""
        raise NotImplementedError

    def width_in(self, channels: int, scale: Fraction) -> int:
        """Return the width in a stage.

        Raises:
            InputError: it is not an integer.
        """
        exact = self.width * scale if self.width else self.own_width(channels)
        if exact.denominator == 1:
            return int(exact)
        if not self.width:
            part = "a quarter" if exact == Fraction(channels, 4) else "a part"
            raise InputError(f"unit.branch.width: {part} of {channels} channels is not a whole number; give the width")
        raise InputError(
            f"unit.branch.width: {float(exact):g} channels in a stage of {channels} is not a whole number; "
            f"use a multiple of {exact.denominator * self.width}"
        )

    def widened(self, factor: Fraction) -> BranchKind:
        return self.model_copy(update={"width": max(1, round(self.width * factor))}) if self.width else self


class BottleneckBranch(WideBranch, WindowBranch):
    """1x1 to `width`, 3x3 in `cardinality` groups, 1x1 to the stage's channels. 1512.03385, figure 5 right.

    `width` is the width of the 3x3 convolution in the first stage and grows with the stages' channels; default: a
    quarter of the first stage's channels. ResNeXt's C x d is `width` C*d and `cardinality` C (1611.05431, table 1).
    The stride is on the 3x3 (the default, as in torchvision) or on the first 1x1 (`stride_on: 1x1`, as in 1512.03385).
    `kernel` and `dilation` are those of the 3x3.
    """

    kind: Literal["bottleneck"] = "bottleneck"
    cardinality: Channels = 1
    stride_on: Literal["3x3", "1x1"] = "3x3"

    def own_width(self, channels: int) -> Fraction:
        return Fraction(channels, 4)

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        width = self.width_in(channels, scale)
        divided(width, self.cardinality, "unit.branch.cardinality")
        early, late = (stride, 1) if self.stride_on == "1x1" else (1, stride)
        return (
            Convolution((1, 1), in_channels, width, early),
            self.window(width, width, late, groups=self.cardinality),
            Convolution((1, 1), width, channels),
        )


class DenseBottleneckBranch(WideBranch, WindowBranch):
    """1x1 to `width` (default: four times the output channels), then 3x3: DenseNet-B's layer. 1608.06993, section 3."""

    kind: Literal["dense_bottleneck"] = "dense_bottleneck"

    def own_width(self, channels: int) -> Fraction:
        return Fraction(4 * channels)

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        width = self.width_in(channels, scale)
        return (Convolution((1, 1), in_channels, width), self.window(width, channels, stride))


class InceptionBranch(WideBranch):
    """[1x1 w | 1x1 w, 3x3 w | 1x1 w, 3x3 1.5w, 3x3 2w], 1x1 to the stage's channels; w is the `width`.

    It has the proportions of the Inception-ResNet-A block: 32, 48 and 64 (1602.07261, figure 16). Default: w is a
    quarter of the first stage's channels, so that the paths together are as wide as the stage. 1.5w is rounded down.
    """

    kind: Literal["inception"] = "inception"

    def own_width(self, channels: int) -> Fraction:
        return Fraction(channels, 4)

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        w = self.width_in(channels, scale)
        more = max(1, 3 * w // 2)
        entrance = Convolution((1, 1), in_channels, w)
        paths: tuple[Chain, ...] = (
            (Convolution((1, 1), in_channels, w, stride),),
            (entrance, Convolution((3, 3), w, w, stride)),
            (entrance, Convolution((3, 3), w, more), Convolution((3, 3), more, 2 * w, stride)),
        )
        return (Parallel(paths), Convolution((1, 1), 4 * w, channels))


def readable(text: str) -> str:
    """Return the text if it can be read as layers, for any number of input channels.

    Raises:
        InputError: it cannot be read.
    """
    parse_chain(text, 0)
    return text


Layers = Annotated[str, AfterValidator(readable)]
"""A chain of layers as text, see `resnet_space.layers`."""


class WrittenBranch(BranchKind):
    """The layers written in `layers`, such as `[1x1 32 | 1x1 32, 3x3 48], 1x1 c linear`; `/s` is the stage's stride.

    The blocks of Inception-v4 and Inception-ResNet: 1602.07261, figures 4 to 19.
    """

    kind: Literal["written"] = "written"
    layers: Layers

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        try:
            return parse_chain(self.layers, in_channels, channels=channels, stride=stride)
        except InputError as error:
            raise InputError(f"unit.branch.layers: {error}") from None

    def widened(self, factor: Fraction) -> BranchKind:
        return self.model_copy(
            update={"layers": map_channels(self.layers, lambda channels: max(1, round(channels * factor)))}
        )


BRANCHES: dict[str, type[BranchKind]] = dict(
    sorted(kinds(BranchKind, globals()).items(), key=lambda row: row[1].__module__ != __name__)
)
"""All classes above that have a `kind`, by name, and then those of `depthwise_branches`."""

Branch = Annotated[BranchKind, OneOf(BRANCHES)]
