"""Chains of layers, which stems and branches are made of, and the short text that describes them.

A chain is a sequence of layers; a `Parallel` has parallel chains, whose outputs are concatenated. As text:

    3x3/2 valid 32, [max 3x3/2 valid | 1x1 64, 3x3 96 in 2 groups | avg 3x3, 1x1 c/4], 1x1 c linear

A convolution is `HxW[/stride] [valid] channels [in N groups] [linear]`, a pooling `max|avg HxW[/stride] [valid]`.
Without `valid` the map keeps its size at stride 1. `c` is the stage's channels, and `/s` the stage's stride. The order
decides whether BN and ReLU follow a convolution; a `linear` convolution has a bias, and neither BN nor ReLU follows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NoReturn

from resnet_space.errors import InputError

Size = tuple[int, int]
"""(H, W) of a map."""

MAX_TEXT = 2_000
"""The maximum number of characters of a chain."""
MAX_NUMBER = 65_536
"""The maximum for channels, strides and groups."""
MAX_DEPTH = 8
"""The maximum nesting of brackets."""


class Sliding:
    """A window that slides over a map. Unless `valid`, the map is padded so that it keeps its size at stride 1."""

    kernel: Size
    stride: int
    valid: bool

    @property
    def padding(self) -> Size:
        return (0, 0) if self.valid else (self.kernel[0] // 2, self.kernel[1] // 2)

    def out_size(self, size: Size) -> Size:
        return window_out_size(size, self.kernel, self.padding, self.stride)

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

    @property
    def weights(self) -> int:
        return math.prod(self.kernel) * self.in_channels // self.groups * self.channels

    def __str__(self) -> str:
        groups = f" in {self.groups} groups" if self.groups > 1 else ""
        return f"{self.window} {self.channels}{groups}{' linear' if self.linear else ''}"


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
class Parallel:
    """Parallel chains on the same input, their outputs concatenated by channel."""

    paths: tuple[Chain, ...]

    def __str__(self) -> str:
        return f"[{' | '.join(map(chain_text, self.paths))}]"


Layer = Convolution | Pool | Parallel
Chain = tuple[Layer, ...]


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


def count_normalised(chain: Chain, *, within: bool) -> int:
    """Return the smallest number of convolutions on a path that are not `linear`.

    With `within`, the last convolution of each path does not count.
    """
    counts = []
    for index, layer in enumerate(chain):
        later = within and not any(convolutions(chain[index + 1 :]))
        if isinstance(layer, Parallel):
            counts.append(min(count_normalised(path, within=later) for path in layer.paths))
        elif isinstance(layer, Convolution):
            counts.append(int(not layer.linear and not later))
    return sum(counts)


def out_channels(chain: Chain, channels: int) -> int:
    """Return the output channels of a chain with `channels` input channels."""
    for layer in chain:
        if isinstance(layer, Convolution):
            channels = layer.channels
        elif isinstance(layer, Parallel):
            channels = sum(out_channels(path, channels) for path in layer.paths)
    return channels


def out_size(chain: Chain, size: Size) -> Size:
    """Return the (H, W) of a chain's output.

    Raises:
        InputError: a window is larger than its map, or paths end in maps of different sizes.
    """
    for layer in chain:
        if isinstance(layer, Parallel):
            sizes = {out_size(path, size) for path in layer.paths}
            if len(sizes) > 1:
                ends = ", ".join(f"{height}x{width}" for height, width in sorted(sizes))
                raise InputError(f"the paths of {layer} end in maps of {ends}; they must have the same size")
            (size,) = sizes
        else:
            before, size = size, layer.out_size(size)
            if min(size) < 1:
                raise InputError(f"{layer} does not fit on a map of {before[0]}x{before[1]}")
    return size


def parse_chain(text: str, in_channels: int, *, channels: int = 0, stride: int = 1) -> Chain:
    """Return the chain of a text, for `in_channels` input channels; c is `channels` and s is `stride` of the stage.

    Zero means that channels are not known yet.

    Raises:
        InputError: the text is not a chain, an even window has no `valid`, or groups do not divide the channels.
    """
    return _ChainParser(text, channels, stride).parse_chain(in_channels)


def map_channels(text: str, change: Callable[[int], int]) -> str:
    """Return the text with `change` applied to every number of channels, except fractions of c, which change with c."""
    return _CHANNELS.sub(lambda found: f"{found[1]}{change(int(found[2]))}", text)


_CHANNELS = re.compile(r"(\d+x\d+(?:/\w+)?(?: +valid)? +)(\d+)(?![\w/])")
_TOKEN = re.compile(r"\s*(?:([\[\]|,])|([^\s\[\]|,]+))")
_WINDOW = re.compile(r"(\d{1,3})x(\d{1,3})(?:/(\d{1,5}|s))?")
_SHARE = re.compile(r"(?:(\d{1,5})\*)?c(?:/(\d{1,5}))?")


class _ChainParser:
    """Recursive descent: chain = layer {"," layer}; layer = words | "[" chain {"|" chain} "]"."""

    def __init__(self, text: str, channels: int, stride: int) -> None:
        if len(text) > MAX_TEXT:
            raise InputError(f"{text[:40]}...: {len(text)} characters; at most {MAX_TEXT} are allowed")
        self.text, self.c, self.s = text, channels, stride
        self.tokens, self.at, self.depth = [found[0].strip() for found in _TOKEN.finditer(text)], 0, 0

    def parse_chain(self, channels: int) -> Chain:
        chain, _ = self._chain(channels)
        if self._token:
            self._fail(f"',' or the end was expected, not {self._token!r}")
        return chain

    @property
    def _token(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def _chain(self, channels: int) -> tuple[Chain, int]:
        layers: list[Layer] = []
        while not layers or self._token == ",":
            if layers:
                self._take()
            layers.append(self._parallel(channels) if self._token == "[" else self._words(channels))
            channels = out_channels((layers[-1],), channels)
        return tuple(layers), channels

    def _parallel(self, channels: int) -> Parallel:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._fail(f"brackets are nested more than {MAX_DEPTH} deep")
        paths: list[Chain] = []
        self._take()
        while not paths or self._token == "|":
            if paths:
                self._take()
            paths.append(self._chain(channels)[0])
        if self._token != "]":
            self._fail(f"']' was expected, not {self._token!r}")
        self._take()
        self.depth -= 1
        return Parallel(tuple(paths))

    def _words(self, channels: int) -> Convolution | Pool:
        words: list[str] = []
        while self._token and self._token not in "[]|,":
            words.append(self._take())
        kind = words.pop(0) if words[:1] in (["max"], ["avg"]) else ""
        window = _WINDOW.fullmatch(words.pop(0)) if words else None
        if window is None:
            self._fail("a layer is a convolution, as in 3x3/2 64, or a pooling, as in max 3x3/2")
        fields: dict[str, Any] = {
            "kernel": (self._number(window[1]), self._number(window[2])),
            "stride": self.s if window[3] == "s" else self._number(window[3] or "1"),
            "valid": words[:1] == ["valid"],
        }
        del words[: fields["valid"]]
        if not fields["valid"] and not all(side % 2 for side in fields["kernel"]):
            self._fail(f"an even window, {window[0]}, cannot keep the map's size; write valid after it")
        if kind:
            layer: Convolution | Pool = Pool(kind, **fields)  # type: ignore[arg-type]
        else:
            width = self._channels(words.pop(0) if words else "")
            groups = 1
            if words[:1] == ["in"] and words[2:3] == ["groups"]:
                groups = self._number(words[1])
                del words[:3]
            linear = words[:1] == ["linear"]
            del words[:linear]
            for number in (channels, width):
                if number % groups:
                    self._fail(f"{groups} groups do not divide {number} channels")
            layer = Convolution(in_channels=channels, channels=width, groups=groups, linear=linear, **fields)
        if words:
            self._fail(f"unexpected {' '.join(words)!r} after {layer}")
        return layer

    def _channels(self, word: str) -> int:
        share = _SHARE.fullmatch(word)
        if share is None:
            return self._number(word)
        exact = Fraction(int(share[1] or 1) * self.c, self._number(share[2] or "1"))
        if exact.denominator != 1 or (self.c and not exact):
            self._fail(f"{word} of {self.c} channels is not a whole number")
        return int(exact)

    def _number(self, word: str) -> int:
        if not word.isdecimal() or not 1 <= int(word[:9]) <= MAX_NUMBER:
            self._fail(f"a whole number from 1 to {MAX_NUMBER} was expected, not {word!r}")
        return int(word)

    def _fail(self, problem: str) -> NoReturn:
        raise InputError(f"{self.text[:60]}: {problem}")
