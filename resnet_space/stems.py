"""What stands in front of the residual units: one convolution, or layers as they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from resnet_space.branches import Layers, whole_kernel
from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.errors import InputError
from resnet_space.layers import Chain, Convolution, Pool, Size, convolutions, read, with_channels
from resnet_space.numbers import Channels, Side
from resnet_space.orders import OrderName


class StemKind(Kind):
    """A stem says which layers it is made of."""

    order: ClassVar[OrderName | None] = None
    """The order whose `stem` stands behind the last convolution; None for the units' own."""

    def chain(self, in_channels: int, size: Size) -> Chain:
        """The layers, on images of `in_channels` and this size.

        Raises:
            InputError: they do not fit on the images.
        """
        raise NotImplementedError

    def widened(self, times: Callable[[int], int]) -> dict[str, Any]:
        """The stem with every number of channels changed, as plain data that is still to be validated."""
        raise NotImplementedError


class Stem(StemKind):
    """The first convolution, kernel x kernel, and for large images a 3x3 max pool of stride 2 behind it.

    The kernel `full` is as large as the image: a fully connected layer, behind which the map is 1x1 and 1x1
    convolutions are fully connected layers too (the nets of 1505.00387, section 4).
    """

    kind: Literal["convolution"] = "convolution"
    kernel: Annotated[Literal[1, 3, 5, 7, "full"], whole_kernel(1, 3, 5, 7, "full")] = 3
    channels: Channels = 16
    stride: Side = 1
    max_pool: bool = False

    def chain(self, in_channels: int, size: Size) -> Chain:
        if self.kernel == "full":
            if self.stride > 1 or self.max_pool:
                raise InputError("stem.kernel: full leaves a map of 1x1; take stride 1 and no max_pool")
            return (Convolution(size, in_channels, self.channels, valid=True),)
        if min(size) < self.stride:
            raise InputError(f"stem.stride: {self.stride} would shrink a map of {size[0]}x{size[1]} to nothing")
        first = Convolution((self.kernel, self.kernel), in_channels, self.channels, self.stride)
        if not self.max_pool:
            return (first,)
        height, width = first.out_size(size)
        if min(height, width) < 2:
            raise InputError(f"stem.max_pool: 2 would shrink a map of {height}x{width} to nothing")
        return (first, Pool("max", (3, 3), 2))

    def widened(self, times: Callable[[int], int]) -> dict[str, Any]:
        return self.model_dump() | {"channels": times(self.channels)}


class WrittenStem(StemKind):
    """`layers` as they are written, such as `7x7/2 64, max 3x3/2`, with BN and ReLU behind every convolution.

    The stems of DenseNet (1608.06993, table 1) and of the Inception nets (1602.07261, figures 3 and 14).
    """

    kind: Literal["written"] = "written"
    order: ClassVar[OrderName | None] = "original"
    layers: Layers

    def chain(self, in_channels: int, size: Size) -> Chain:
        try:
            chain = read(self.layers, in_channels)
        except InputError as error:
            raise InputError(f"stem.layers: {error}") from None
        if not all(shape.channels for shape in convolutions(chain)):
            raise InputError(
                f"stem.layers: {self.layers[:60]}: c is a stage's channels, and a stem has none; write a number"
            )
        return chain

    def widened(self, times: Callable[[int], int]) -> dict[str, Any]:
        return self.model_dump() | {"layers": with_channels(self.layers, times)}


STEMS: dict[str, type[StemKind]] = kinds(StemKind, globals())


AnyStem = Annotated[StemKind, OneOf(STEMS, otherwise="convolution")]
