"""Chains of layers as text, which written branches and stems are made of. For example:

    3x3/2 valid 32, [max 3x3/2 valid | 1x1 64, 3x3 96 in 2 groups | avg 3x3, 1x1 c/4], se c/16, 1x1 c linear

A pooling is `max|avg HxW[/stride] [valid]`, and a convolution `HxW[/stride] [valid] [dilated N] channels
[in N groups | depthwise] [linear] [biased] [without bn|relu]`. Without `valid` the map keeps its size at stride 1. `c`
is the stage's channels, and `/s` the stage's stride. The order decides whether BN and ReLU follow a convolution, except
for those that it is written `without`; a `linear` convolution has a bias, and neither follows. The other layers:

    blur 3x3/2      blur pooling                          se c/16 [silu]   squeeze-and-excitation, its hidden width
    unshuffle 4     blocks of 4x4 pixels to channels      eca 3            efficient channel attention, its kernel
    zeros 1         a border of zeros                     cbam c/16 [7x7]  attention by channel and by pixel
    dropout 0.3     elements are 0 with this probability
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NoReturn

from resnet_space.activations import ACTIVATIONS
from resnet_space.errors import InputError, unknown
from resnet_space.layers import (
    BlockAttentionLayer,
    Blur,
    Chain,
    Convolution,
    DropoutLayer,
    EfficientLayer,
    Layer,
    Parallel,
    Pool,
    SpaceToDepth,
    SqueezeLayer,
    Zeros,
)

MAX_TEXT = 2_000
"""The maximum number of characters of a chain."""
MAX_NUMBER = 65_536
"""The maximum for channels, strides and groups."""
MAX_DEPTH = 8
"""The maximum nesting of brackets."""


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


_CHANNELS = re.compile(r"((?:\d+x\d+(?:/\w+)?(?: +valid)?(?: +dilated +\d+)?|\bse|\bcbam) +)(\d+)(?![\w/])")
_TOKEN = re.compile(r"\s*(?:([\[\]|,])|([^\s\[\]|,]+))")
_WINDOW = re.compile(r"(\d{1,3})x(\d{1,3})(?:/(\d{1,5}|s))?")
_SHARE = re.compile(r"(?:(\d{1,5})\*)?c(?:/(\d{1,5}))?")
_PROBABILITY = re.compile(r"0(?:\.\d{1,6})?")


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
            self.fail(f"',' or the end was expected, not {self._token!r}")
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
            channels = layers[-1].out_channels(channels)
        return tuple(layers), channels

    def _parallel(self, channels: int) -> Parallel:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"brackets are nested more than {MAX_DEPTH} deep")
        paths: list[Chain] = []
        self._take()
        while not paths or self._token == "|":
            if paths:
                self._take()
            paths.append(self._chain(channels)[0])
        if self._token != "]":
            self.fail(f"']' was expected, not {self._token!r}")
        self._take()
        self.depth -= 1
        return Parallel(tuple(paths))

    def _words(self, channels: int) -> Layer:
        words: list[str] = []
        while self._token and self._token not in "[]|,":
            words.append(self._take())
        made = WORDS[words.pop(0)](self, words, channels) if words[:1] and words[0] in WORDS else None
        layer = made or self._convolution(words, channels)
        if words:
            self.fail(f"unexpected {' '.join(words)!r} after {layer}")
        return layer

    def _convolution(self, words: list[str], channels: int) -> Convolution:
        fields = self.window(words)
        dilation = self.number(words[1]) if words[:1] == ["dilated"] and words[1:] else 1
        del words[: 2 * (dilation > 1 or words[:1] == ["dilated"])]
        width = self.channels(words.pop(0) if words else "")
        groups = 1
        if words[:1] == ["in"] and words[2:3] == ["groups"]:
            groups = self.number(words[1])
            del words[:3]
        elif words[:1] == ["depthwise"]:
            groups = channels or 1
            del words[:1]
        linear = words[:1] == ["linear"]
        del words[:linear]
        biased = words[:1] == ["biased"]
        del words[:biased]
        without = set[str]()
        if words[:1] == ["without"] and words[1:2] and words[1] in ("bn", "relu"):
            del words[:1]
            while words[:1] and words[0] in ("bn", "relu"):
                without.add(words.pop(0))
        for number in (channels, width):
            if number % groups:
                self.fail(f"{groups} groups do not divide {number} channels")
        return Convolution(
            in_channels=channels,
            channels=width,
            groups=groups,
            linear=linear,
            dilation=dilation,
            biased=biased,
            without=frozenset(without),
            **fields,
        )

    def window(self, words: list[str]) -> dict[str, Any]:
        """Take `HxW[/stride] [valid]`; return the fields of a window."""
        window = _WINDOW.fullmatch(words.pop(0)) if words else None
        if window is None:
            self.fail("a layer is a convolution, as in 3x3/2 64, or a pooling, as in max 3x3/2")
        fields: dict[str, Any] = {
            "kernel": (self.number(window[1]), self.number(window[2])),
            "stride": self.s if window[3] == "s" else self.number(window[3] or "1"),
            "valid": words[:1] == ["valid"],
        }
        del words[: fields["valid"]]
        if not fields["valid"] and not all(side % 2 for side in fields["kernel"]):
            self.fail(f"an even window, {window[0]}, cannot keep the map's size; write valid after it")
        return fields

    def channels(self, word: str) -> int:
        share = _SHARE.fullmatch(word)
        if share is None:
            return self.number(word)
        exact = Fraction(int(share[1] or 1) * self.c, self.number(share[2] or "1"))
        if exact.denominator != 1 or (self.c and not exact):
            self.fail(f"{word} of {self.c} channels is not a whole number")
        return int(exact)

    def number(self, word: str) -> int:
        if not word.isdecimal() or not 1 <= int(word[:9]) <= MAX_NUMBER:
            self.fail(f"a whole number from 1 to {MAX_NUMBER} was expected, not {word!r}")
        return int(word)

    def fail(self, problem: str) -> NoReturn:
        raise InputError(f"{self.text[:60]}: {problem}")


def _taken(words: list[str]) -> str:
    return words.pop(0) if words else ""


def _blur(parser: _ChainParser, words: list[str], channels: int) -> Blur:
    fields = parser.window(words)
    if fields["kernel"] != (3, 3) or fields["valid"]:
        parser.fail("a blur pooling is 3x3, as in blur 3x3/2")
    return Blur(fields["stride"])


def _dropout(parser: _ChainParser, words: list[str], channels: int) -> DropoutLayer:
    word = _taken(words)
    if not _PROBABILITY.fullmatch(word) or not float(word):
        parser.fail(f"a probability above 0 and below 1 was expected, as in dropout 0.3, not {word!r}")
    return DropoutLayer(float(word))


def _squeeze(parser: _ChainParser, words: list[str], channels: int) -> SqueezeLayer:
    hidden, activation = parser.channels(_taken(words)), words.pop(0) if words else "relu"
    if activation not in ACTIVATIONS:
        parser.fail(str(unknown("activation", activation, ACTIVATIONS)))
    return SqueezeLayer(channels, hidden, activation)


def _efficient(parser: _ChainParser, words: list[str], channels: int) -> EfficientLayer:
    kernel = parser.number(_taken(words))
    if kernel % 2 == 0:
        parser.fail(f"an even kernel, eca {kernel}, cannot keep the number of channels")
    return EfficientLayer(channels, kernel)


def _block_attention(parser: _ChainParser, words: list[str], channels: int) -> BlockAttentionLayer:
    hidden = parser.channels(_taken(words))
    (kernel, other) = parser.window(words)["kernel"] if words else (7, 7)
    if kernel != other:
        parser.fail(f"the kernel of cbam is square, not {kernel}x{other}")
    return BlockAttentionLayer(channels, hidden, kernel)


WORDS: Mapping[str, Callable[[_ChainParser, list[str], int], Layer]] = {
    "max": lambda parser, words, channels: Pool("max", **parser.window(words)),
    "avg": lambda parser, words, channels: Pool("avg", **parser.window(words)),
    "blur": _blur,
    "unshuffle": lambda parser, words, channels: SpaceToDepth(parser.number(_taken(words))),
    "zeros": lambda parser, words, channels: Zeros(parser.number(_taken(words))),
    "dropout": _dropout,
    "se": _squeeze,
    "eca": _efficient,
    "cbam": _block_attention,
}
"""The layers that begin with a word, and the functions that read the rest."""
