"""The branches `F` of a residual unit: a catalogue of chains of convolutions.

Source: basic and bottleneck, He et al. 2015, 1512.03385, figure 5; cardinality, Xie et al. 2016, 1611.05431.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from resnet_space.description import Description, by_kind, kind_of
from resnet_space.errors import InputError

Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
Channels = Annotated[int, Field(ge=1, le=65_536)]


@dataclass(frozen=True)
class Convolution:
    """kernel x kernel, padded to keep the map's size at stride 1, without bias."""

    kernel: int
    in_channels: int
    channels: int
    stride: int = 1
    groups: int = 1

    @property
    def weights(self) -> int:
        return self.kernel**2 * self.in_channels // self.groups * self.channels


class BranchKind(Description):
    """A branch says which convolutions it is made of."""

    convolutions: ClassVar[int]
    """Weighted layers, as the papers count depth."""
    expansion: ClassVar[int]
    """Output channels over the width that the branch takes by itself."""

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> tuple[Convolution, ...]:
        """The convolutions from `in_channels` to `channels`; `scale` is the stage's channels over the first stage's.

        Raises:
            InputError: the width or the cardinality does not come out even.
        """
        raise NotImplementedError

    def widened(self, factor: Fraction) -> BranchKind:
        """The branch in a net whose channels are all multiplied by `factor`."""
        return self


class BasicBranch(BranchKind):
    """3x3, 3x3, both as wide as the stage; the stride is on the first. 1512.03385, figure 5 left."""

    kind: Literal["basic"] = "basic"
    convolutions: ClassVar[int] = 2
    expansion: ClassVar[int] = 1

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> tuple[Convolution, ...]:
        return (
            Convolution(kernel=3, in_channels=in_channels, channels=channels, stride=stride),
            Convolution(kernel=3, in_channels=channels, channels=channels),
        )


class BottleneckBranch(BranchKind):
    """1x1 to `width`, 3x3 in `cardinality` groups, 1x1 to the stage's channels. 1512.03385, figure 5 right.

    `width` is that of the 3x3 in the first stage and grows with the stages' channels; by itself it is a quarter of
    the first stage's channels. ResNeXt's C x d is `width` C*d and `cardinality` C (1611.05431, table 1). The stride
    stands on the 3x3 (torchvision, today's practice) or on the first 1x1 (`stride_on: 1x1`, as in 1512.03385).
    """

    kind: Literal["bottleneck"] = "bottleneck"
    convolutions: ClassVar[int] = 3
    expansion: ClassVar[int] = 4
    width: Channels | None = None
    cardinality: Channels = 1
    stride_on: Literal["3x3", "1x1"] = "3x3"

    def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> tuple[Convolution, ...]:
        exact = self.width * scale if self.width else Fraction(channels, self.expansion)
        if exact.denominator != 1:
            raise InputError(
                f"unit.branch.width: {float(exact):g} channels in a stage of {channels} is no whole number; "
                f"use a multiple of {exact.denominator * (self.width or 1)}"
                if self.width
                else f"unit.branch.width: a quarter of {channels} channels is no whole number; give the width"
            )
        width = int(exact)
        if width % self.cardinality:
            fits = [c for c in range(1, width + 1) if width % c == 0]
            near = min(fits, key=lambda c: abs(c - self.cardinality))
            raise InputError(
                f"unit.branch.cardinality: {self.cardinality} does not divide the width {width}; "
                f"nearest that does: {near}"
            )
        on_1x1 = self.stride_on == "1x1"
        return (
            Convolution(kernel=1, in_channels=in_channels, channels=width, stride=stride if on_1x1 else 1),
            Convolution(
                kernel=3,
                in_channels=width,
                channels=width,
                stride=1 if on_1x1 else stride,
                groups=self.cardinality,
            ),
            Convolution(kernel=1, in_channels=width, channels=channels),
        )

    def widened(self, factor: Fraction) -> BranchKind:
        return self.model_copy(update={"width": max(1, round(self.width * factor))}) if self.width else self


Branch = Annotated[BasicBranch | BottleneckBranch, *by_kind(BasicBranch, BottleneckBranch)]

BRANCHES: dict[str, type[BranchKind]] = {kind_of(cls): cls for cls in (BasicBranch, BottleneckBranch)}
