"""Stems, the layers before the residual units: a catalogue of chains of layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from resnet_space.activations import ActivationName
from resnet_space.branch_kind import whole_kernel
from resnet_space.branches import Layers
from resnet_space.catalogues import OneOf
from resnet_space.chain_text import map_channels, parse_chain
from resnet_space.description import Kind, kinds
from resnet_space.errors import InputError
from resnet_space.layers import Blur, Chain, Convolution, Pool, Size, SpaceToDepth, convolutions
from resnet_space.normalisations import Normalisation
from resnet_space.numbers import Channels, Side
from resnet_space.orders import OrderName


class StemKind(Kind):
    """The base of all kinds of stems.

    `normalisation` and `activation` are what the order's words mean here; by default what they mean in the first unit.
    """

    order: ClassVar[OrderName | None] = None
    """The order whose `stem` follows the last convolution; None for the order of the units."""
    normalisation: Normalisation | None = None
    activation: ActivationName | None = None

    def chain(self, in_channels: int, size: Size) -> Chain:
        """Return the layers, for images of `in_channels` and this size.

        Raises:
            InputError: the layers do not fit the images.
        """
        raise NotImplementedError

    def widened(self, times: Callable[[int], int]) -> dict[str, Any]:
        """Return the stem with `times` applied to every number of channels, as plain data, not yet validated."""
        raise NotImplementedError


class Pooled(StemKind):
    """A stem of `channels`, with a stride and `max_pool`: a 3x3 max pooling of stride 2.

    With `blur` the pooling has stride 1, and blur pooling follows it. 1904.11486, section 3.2.
    """

    channels: Channels = 16
    stride: Side = 1
    max_pool: bool = False
    blur: bool = False

    def then_pooled(self, chain: Chain, size: Size) -> Chain:
        """Return the chain, followed by the pooling if there is one, for images of this (H, W)."""
        if min(size) < self.stride:
            raise InputError(f"stem.stride: {self.stride} would shrink a map of {size[0]}x{size[1]} to nothing")
        if self.blur and not self.max_pool:
            raise InputError("stem.blur: is that of the max pooling; set max_pool: true too")
        if not self.max_pool:
            return chain
        height, width = chain[0].out_size(size)
        if min(height, width) < 2:
            raise InputError(f"stem.max_pool: 2 would shrink a map of {height}x{width} to nothing")
        return (*chain, Pool("max", (3, 3)), Blur(2)) if self.blur else (*chain, Pool("max", (3, 3), 2))

    def widened(self, times: Callable[[int], int]) -> dict[str, Any]:
        return self.model_dump() | {"channels": times(self.channels)}


class Stem(Pooled):
    """The first convolution, kernel x kernel, with `max_pool` followed by a 3x3 max pooling of stride 2.

    The kernel `full` is as large as the image, which is a fully connected layer. After it the map is 1x1, and 1x1
    convolutions are fully connected layers too (the nets of 1505.00387, section 4).
    """

    kind: Literal["convolution"] = "convolution"
    kernel: Annotated[Literal[1, 3, 5, 7, "full"], whole_kernel(1, 3, 5, 7, "full")] = 3

    def chain(self, in_channels: int, size: Size) -> Chain:
        if self.kernel == "full":
            if self.stride > 1 or self.max_pool:
                raise InputError("stem.kernel: full leaves a map of 1x1; take stride 1 and no max_pool")
            return (Convolution(size, in_channels, self.channels, valid=True),)
        first = Convolution((self.kernel, self.kernel), in_channels, self.channels, self.stride)
        return self.then_pooled((first,), size)


class DeepStem(Pooled):
    """Three 3x3 convolutions, the first two half as wide: ResNet-C. He et al. 2018, 1812.01187, figure 2b.

    The stride is on the first; the paper's stem for ImageNet has stride 2, 64 channels and `max_pool`.
    """

    kind: Literal["deep"] = "deep"

    def chain(self, in_channels: int, size: Size) -> Chain:
        if self.channels % 2:
            raise InputError(f"stem.channels: the first convolutions have half of them; {self.channels} is odd")
        half = self.channels // 2
        widths = (in_channels, half, half, self.channels)
        strides = (self.stride, 1, 1)
        chain = tuple(
            Convolution((3, 3), into, out, stride)
            for into, out, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )
        return self.then_pooled(chain, size)


class PatchStem(StemKind):
    """One convolution whose kernel is its stride, `patch` x `patch`, with a bias. 2201.03545, section 2.2."""

    kind: Literal["patchify"] = "patchify"
    patch: Side = 4
    channels: Channels = 16

    def chain(self, in_channels: int, size: Size) -> Chain:
        if self.patch > min(size):
            raise InputError(f"stem.patch: {self.patch} is larger than the image, {size[0]}x{size[1]}")
        patch = (self.patch, self.patch)
        return (Convolution(patch, in_channels, self.channels, self.patch, valid=True, biased=True),)

    def widened(self, times: Callable[[int], int]) -> dict[str, Any]:
        return self.model_dump() | {"channels": times(self.channels)}


class SpaceToDepthStem(StemKind):
    """Each block of `block` x `block` pixels becomes one pixel, then a 3x3 convolution. 2003.13630, section 2.1."""

    kind: Literal["space_to_depth"] = "space_to_depth"
    block: Side = 4
    channels: Channels = 16

    def chain(self, in_channels: int, size: Size) -> Chain:
        blocks = SpaceToDepth(self.block)
        if size[0] % self.block or size[1] % self.block:
            raise InputError(f"stem.block: {self.block} does not divide the sides of the image, {size[0]}x{size[1]}")
        return (blocks, Convolution((3, 3), blocks.out_channels(in_channels), self.channels))

    def widened(self, times: Callable[[int], int]) -> dict[str, Any]:
        return self.model_dump() | {"channels": times(self.channels)}


class WrittenStem(StemKind):
    """Layers given as text, such as `7x7/2 64, max 3x3/2`, with BN and ReLU after every convolution.

    For the stems of DenseNet (1608.06993, table 1) and of the Inception nets (1602.07261, figures 3 and 14).
    """

    kind: Literal["written"] = "written"
    order: ClassVar[OrderName | None] = "original"
    layers: Layers

    def chain(self, in_channels: int, size: Size) -> Chain:
        try:
            chain = parse_chain(self.layers, in_channels)
        except InputError as error:
            raise InputError(f"stem.layers: {error}") from None
        if not all(shape.channels for shape in convolutions(chain)):
            raise InputError(
                f"stem.layers: {self.layers[:60]}: c is a stage's channels, and a stem has none; write a number"
            )
        return chain

    def widened(self, times: Callable[[int], int]) -> dict[str, Any]:
        return self.model_dump() | {"layers": map_channels(self.layers, times)}


STEMS: dict[str, type[StemKind]] = kinds(StemKind, globals())


AnyStem = Annotated[StemKind, OneOf(STEMS, otherwise="convolution")]
