"""The branches `F` of a residual unit: a catalogue of chains of layers.

Source: basic and bottleneck, He et al. 2015, 1512.03385, figure 5; cardinality, Xie et al. 2016, 1611.05431; a single
layer, Srivastava et al. 2015, 1505.00387; the dense bottleneck, Huang et al. 2016, 1608.06993; inception, Szegedy et
al. 2016, 1602.07261; squeeze-and-excitation, Hu et al. 2017, 1709.01507.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.errors import InputError, unknown
from resnet_space.layers import Chain, Convolution, Parallel, map_channels, parse_chain
from resnet_space.numbers import Channels


def whole_kernel(*allowed: int | str) -> BeforeValidator:
    """Return a validator that accepts the allowed values only: `Literal[1]` would also accept `true` and 1.0."""

    def check(value: object) -> object:
        if type(value) not in (int, str) or value not in allowed:
            raise unknown("kernel", value, map(str, allowed))
        return value

    return BeforeValidator(check)


class BranchKind(Kind):
    """The base of all branches: a branch defines its chain of layers.

    With `squeeze` = r, squeeze-and-excitation follows its last layer: each channel of F(x) is multiplied by
    sigmoid(W2 relu(W1 mean(F(x)))), with a hidden width of channels / r, rounded down. 1709.01507, section 3.
    """

    squeeze: Channels | None = None

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        """Return the layers from `in_channels` to `channels`.

        `scale` is the stage's channels divided by the first stage's.

        Raises:
            InputError: the width is not an integer, or the cardinality does not divide it.
        """
        raise NotImplementedError

    def widened(self, factor: Fraction) -> BranchKind:
        """Return the branch for a network whose channels are all multiplied by `factor`."""
        return self


class SingleBranch(BranchKind):
    """One convolution, 3x3 or 1x1: a layer of a Highway net (1505.00387) or of a DenseNet (1608.06993)."""

    kind: Literal["single"] = "single"
    kernel: Annotated[Literal[1, 3], whole_kernel(1, 3)] = 3

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        return (Convolution((self.kernel, self.kernel), in_channels, channels, stride),)


class BasicBranch(BranchKind):
    """3x3, 3x3, both as wide as the stage; the stride is on the first. 1512.03385, figure 5 left."""

    kind: Literal["basic"] = "basic"

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        return (Convolution((3, 3), in_channels, channels, stride), Convolution((3, 3), channels, channels))


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


class BottleneckBranch(WideBranch):
    """1x1 to `width`, 3x3 in `cardinality` groups, 1x1 to the stage's channels. 1512.03385, figure 5 right.

    `width` is the width of the 3x3 convolution in the first stage and grows with the stages' channels; default: a
    quarter of the first stage's channels. ResNeXt's C x d is `width` C*d and `cardinality` C (1611.05431, table 1).
    The stride is on the 3x3 (the default, as in torchvision) or on the first 1x1 (`stride_on: 1x1`, as in 1512.03385).
    """

    kind: Literal["bottleneck"] = "bottleneck"
    cardinality: Channels = 1
    stride_on: Literal["3x3", "1x1"] = "3x3"

    def own_width(self, channels: int) -> Fraction:
        return Fraction(channels, 4)

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        width = self.width_in(channels, scale)
        if width % self.cardinality:
            fits = [c for c in range(1, width + 1) if width % c == 0]
            near = min(fits, key=lambda c: abs(c - self.cardinality))
            raise InputError(
                f"unit.branch.cardinality: {self.cardinality} does not divide the width {width}; "
                f"nearest that does: {near}"
            )
        early, late = (stride, 1) if self.stride_on == "1x1" else (1, stride)
        return (
            Convolution((1, 1), in_channels, width, early),
            Convolution((3, 3), width, width, late, groups=self.cardinality),
            Convolution((1, 1), width, channels),
        )


class DenseBottleneckBranch(WideBranch):
    """1x1 to `width` (default: four times the output channels), then 3x3: DenseNet-B's layer. 1608.06993, section 3."""

    kind: Literal["dense_bottleneck"] = "dense_bottleneck"

    def own_width(self, channels: int) -> Fraction:
        return Fraction(4 * channels)

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        width = self.width_in(channels, scale)
        return (Convolution((1, 1), in_channels, width), Convolution((3, 3), width, channels, stride))


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


BRANCHES: dict[str, type[BranchKind]] = kinds(BranchKind, globals())
"""All classes above that have a `kind`, by name."""

Branch = Annotated[BranchKind, OneOf(BRANCHES)]
