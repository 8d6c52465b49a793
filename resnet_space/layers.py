"""Chains of layers, which stems, branches and heads are made of.

A chain is a sequence of layers; a `Parallel` has parallel chains, whose outputs are concatenated. Every layer knows the
channels and the (H, W) of its output, and is written as short text, which `chain_text` explains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from resnet_space.errors import InputError

Size = tuple[int, int]
"""(H, W) of a map."""


class Layer:
    """The base of all layers: by default, channels and size stay."""

    def out_channels(self, channels: int) -> int:
        return channels

    def out_size(self, size: Size) -> Size:
        """Return the (H, W) of the output.

        Raises:
            InputError: the layer does not fit on the map.
        """
        return size


Chain = tuple[Layer, ...]


class Sliding(Layer):
    """A window that slides over a map. Unless `valid`, the map is padded so that it keeps its size at stride 1."""

    kernel: Size
    stride: int
    valid: bool
    dilation: int = 1

    @property
    def reach(self) -> Size:
        """(H, W) of the window with its gaps."""
        height, width = (self.dilation * (side - 1) + 1 for side in self.kernel)
        return height, width

    @property
    def padding(self) -> Size:
        return (0, 0) if self.valid else (self.reach[0] // 2, self.reach[1] // 2)

    def out_size(self, size: Size) -> Size:
        found = window_out_size(size, self.reach, self.padding, self.stride)
        if min(found) < 1:
            raise InputError(f"{self} does not fit on a map of {size[0]}x{size[1]}")
        return found

    @property
    def window(self) -> str:
        stride = f"/{self.stride}" if self.stride > 1 else ""
        return f"{self.kernel[0]}x{self.kernel[1]}{stride}{' valid' if self.valid else ''}"


@dataclass(frozen=True)
class Convolution(Sliding):
    """A convolution with a kernel of (height, width)."""

    kernel: Size
    in_channels: int
    channels: int
    stride: int = 1
    groups: int = 1
    valid: bool = False
    linear: bool = False
    """Whether it has a bias, and is followed by neither BN nor ReLU."""
    dilation: int = 1
    biased: bool = False
    """Whether it has a bias although a normalisation may follow."""
    without: frozenset[str] = frozenset()
    """The words of the order, `bn` or `relu`, that do not follow it."""

    @property
    def weights(self) -> int:
        return math.prod(self.kernel) * self.in_channels // self.groups * self.channels

    def out_channels(self, channels: int) -> int:
        return self.channels

    def followed_by(self, chain: str) -> str:
        """Return those of the order's words that follow this convolution."""
        return "" if self.linear else " ".join(word for word in chain.split() if word not in self.without)

    def __str__(self) -> str:
        words = [self.window, f"dilated {self.dilation}" if self.dilation > 1 else "", str(self.channels)]
        words += [f"in {self.groups} groups" if self.groups > 1 else ""]
        words += ["linear" if self.linear else "", "biased" if self.biased else ""]
        words += [f"without {' '.join(sorted(self.without))}" if self.without else ""]
        return " ".join(filter(None, words))


@dataclass(frozen=True)
class Pool(Sliding):
    """The maximum or the mean of each window; a mean ignores padded pixels."""

    pool: Literal["max", "avg"]
    kernel: Size
    stride: int = 1
    valid: bool = False

    def __str__(self) -> str:
        return f"{self.pool} {self.window}"


@dataclass(frozen=True)
class Blur(Sliding):
    """Blur pooling: weights (1, 2, 1)/4 along both sides, then every stride-th pixel. 1904.11486, section 3.2.

    The border is reflected.
    """

    stride: int
    kernel: Size = (3, 3)
    valid: bool = False

    def out_size(self, size: Size) -> Size:
        if min(size) < 2:
            raise InputError(f"{self} needs a map of at least 2x2 to reflect, not {size[0]}x{size[1]}")
        return super().out_size(size)

    def __str__(self) -> str:
        return f"blur {self.window}"


@dataclass(frozen=True)
class SpaceToDepth(Layer):
    """Each block of `block` x `block` pixels becomes one pixel with block^2 times the channels. 2003.13630, 2.1."""

    block: int

    def out_channels(self, channels: int) -> int:
        return channels * self.block**2

    def out_size(self, size: Size) -> Size:
        if size[0] % self.block or size[1] % self.block:
            raise InputError(f"{self}: {self.block} does not divide the sides of a map of {size[0]}x{size[1]}")
        return size[0] // self.block, size[1] // self.block

    def __str__(self) -> str:
        return f"unshuffle {self.block}"


@dataclass(frozen=True)
class Zeros(Layer):
    """A border of zeros, `width` pixels wide. Before a `valid` max pooling, padded pixels then count as 0."""

    width: int

    def out_size(self, size: Size) -> Size:
        return size[0] + 2 * self.width, size[1] + 2 * self.width

    def __str__(self) -> str:
        return f"zeros {self.width}"


@dataclass(frozen=True)
class DropoutLayer(Layer):
    """Each element is 0 with probability p, else x / (1 - p), in training."""

    p: float

    def __str__(self) -> str:
        return f"dropout {self.p!r}"


@dataclass(frozen=True)
class Attention(Layer):
    """The base of layers that multiply each element of a map by a number in 0 to 1 that depends on the map."""

    channels: int


@dataclass(frozen=True)
class SqueezeLayer(Attention):
    """f * sigmoid(W2 act(W1 mean(f))), with `hidden` rows in W1; the mean is over each map. 1709.01507, eq. 2 to 4."""

    hidden: int
    activation: str = "relu"

    def __str__(self) -> str:
        return f"se {self.hidden}" + (f" {self.activation}" if self.activation != "relu" else "")


@dataclass(frozen=True)
class EfficientLayer(Attention):
    """f * sigmoid(w * mean(f)): w has `kernel` weights and slides along the channels. 1910.03151, equation 8."""

    kernel: int

    def __str__(self) -> str:
        return f"eca {self.kernel}"


@dataclass(frozen=True)
class BlockAttentionLayer(Attention):
    """Attention by channel, then by pixel. 1807.06521, equations 2 and 3; `kernel` is that of the convolution in 3."""

    hidden: int
    kernel: int = 7

    def __str__(self) -> str:
        return f"cbam {self.hidden} {self.kernel}x{self.kernel}"


@dataclass(frozen=True)
class Parallel(Layer):
    """Parallel chains on the same input, their outputs concatenated by channel."""

    paths: tuple[Chain, ...]

    def out_channels(self, channels: int) -> int:
        return sum(out_channels(path, channels) for path in self.paths)

    def out_size(self, size: Size) -> Size:
        sizes = {out_size(path, size) for path in self.paths}
        if len(sizes) > 1:
            ends = ", ".join(f"{height}x{width}" for height, width in sorted(sizes))
            raise InputError(f"the paths of {self} end in maps of {ends}; they must have the same size")
        return sizes.pop()

    def __str__(self) -> str:
        return f"[{' | '.join(map(chain_text, self.paths))}]"


def window_out_size(size: Size, kernel: Size, padding: Size, stride: int) -> Size:
    """Return the output (H, W) of a window: floor((size + 2 padding - kernel) / stride) + 1."""
    height, width = (
        (side + 2 * pad - window) // stride + 1 for side, pad, window in zip(size, padding, kernel, strict=True)
    )
    return height, width


def chain_text(chain: Chain) -> str:
    """Return a chain as text."""
    return ", ".join(map(str, chain))


def convolutions(chain: Chain) -> Iterator[Convolution]:
    """Yield all convolutions of a chain, in the order of its text."""
    for layer in chain:
        if isinstance(layer, Convolution):
            yield layer
        elif isinstance(layer, Parallel):
            for path in layer.paths:
                yield from convolutions(path)


def depth(chain: Chain) -> int:
    """Return the number of convolutions on the longest path through a chain."""
    return sum(
        max(map(depth, layer.paths)) if isinstance(layer, Parallel) else isinstance(layer, Convolution)
        for layer in chain
    )


def followed(chain: Chain, between: str, last: str) -> Iterator[tuple[Layer, str]]:
    """Yield each layer with the words that follow its convolutions: `last` after the chain's last one, else `between`.

    For a convolution these are the words that follow it; for a `Parallel`, those after the last ones of its paths.
    """
    for index, layer in enumerate(chain):
        after = between if any(convolutions(chain[index + 1 :])) else last
        yield layer, layer.followed_by(after) if isinstance(layer, Convolution) else after


def simplified(chain: Chain, between: str, last: str, *, biased: bool) -> Chain:
    """Return the chain without fields of convolutions that change nothing with these words.

    With `biased`, every convolution has a bias.
    """
    made: list[Layer] = []
    for index, layer in enumerate(chain):
        after = between if any(convolutions(chain[index + 1 :])) else last
        if isinstance(layer, Parallel):
            layer = Parallel(tuple(simplified(path, between, after, biased=biased) for path in layer.paths))
        elif isinstance(layer, Convolution) and (layer.without or layer.biased):
            without = frozenset() if layer.linear else layer.without & {*after.split()}
            layer = replace(layer, without=without, biased=layer.biased and not (biased or layer.linear))
        made.append(layer)
    return tuple(made)


def count_normalised(chain: Chain, between: str, last: str) -> int:
    """Return the smallest number of convolutions on a path that `bn` follows."""
    counts = []
    for layer, after in followed(chain, between, last):
        if isinstance(layer, Parallel):
            counts.append(min(count_normalised(path, between, after) for path in layer.paths))
        elif isinstance(layer, Convolution):
            counts.append(int("bn" in after.split()))
    return sum(counts)


def out_channels(chain: Chain, channels: int) -> int:
    """Return the output channels of a chain with `channels` input channels."""
    for layer in chain:
        channels = layer.out_channels(channels)
    return channels


def out_size(chain: Chain, size: Size) -> Size:
    """Return the (H, W) of a chain's output.

    Raises:
        InputError: a window is larger than its map, or paths end in maps of different sizes.
    """
    for layer in chain:
        size = layer.out_size(size)
    return size
