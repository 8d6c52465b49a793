"""The base of all branches, and what can be added to any of them: dropout, attention, fewer activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import count
from typing import Annotated

from pydantic import BeforeValidator, Field

from resnet_space.attentions import AnyAttention
from resnet_space.description import Kind
from resnet_space.errors import InputError, unknown
from resnet_space.layers import (
    Chain,
    Convolution,
    DropoutLayer,
    Parallel,
    Size,
    SqueezeLayer,
    convolutions,
    out_channels,
)
from resnet_space.numbers import Below1, Channels, OddKernel


def whole_kernel(*allowed: int | str) -> BeforeValidator:
    """Return a validator that accepts the allowed values only: `Literal[1]` would also accept `true` and 1.0."""

    def check(value: object) -> object:
        if type(value) not in (int, str) or value not in allowed:
            raise unknown("kernel", value, map(str, allowed))
        return value

    return BeforeValidator(check)


Places = tuple[Channels, ...]
"""Numbers of convolutions, from 1."""


class BranchKind(Kind):
    """The base of all branches: a branch defines its chain of layers.

    With `squeeze` = r, squeeze-and-excitation follows its last layer: each channel of F(x) is multiplied by
    sigmoid(W2 relu(W1 mean(F(x)))), with a hidden width of channels / r, rounded down. 1709.01507, section 3. It is
    short for `attention: {kind: squeeze_excitation, reduction: r}`.

    With `dropout` = p, each element is dropped with probability p before the last convolution. 1605.07146, section 2.4.

    `activation_at` and `normalisation_at` are the numbers, from 1, of the convolutions that are still followed by what
    the order says; by default all. `first` of a pre-activation, which can be shared, stays.
    """

    squeeze: Channels | None = None
    attention: AnyAttention | None = None
    dropout: Below1 = 0.0
    activation_at: Places | None = None
    normalisation_at: Places | None = None

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

    def check_size(self, size: Size) -> None:
        """Check that the branch's windows fit a map of this (H, W)."""

    def complete(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
        """Return `chain` with what this branch adds to it.

        Raises:
            InputError: as `chain`; a place is not a convolution, or an attention does not fit the channels.
        """
        chain = self.chain(in_channels, channels, stride, scale)
        chain = _only_at(chain, "relu", self.activation_at, "activation_at")
        chain = _only_at(chain, "bn", self.normalisation_at, "normalisation_at")
        if self.attention:
            at = len(chain) if self.attention.place == "end" else _before_last(chain, "attention.place")
            chain = self._with_attention(chain, at, in_channels)
        elif self.squeeze:
            chain = (*chain, SqueezeLayer(channels, max(1, channels // self.squeeze)))
        if self.dropout:
            at = _before_last(chain, "dropout")
            chain = (*chain[:at], DropoutLayer(self.dropout), *chain[at:])
        return chain

    def _with_attention(self, chain: Chain, at: int, in_channels: int) -> Chain:
        assert self.attention
        if self.squeeze:
            raise InputError("unit.branch.squeeze: is short for an attention; give only one of them")
        try:
            layer = self.attention.layer(out_channels(chain[:at], in_channels), in_channels)
        except InputError as error:
            raise InputError(f"unit.branch.attention.{error}") from None
        return (*chain[:at], layer, *chain[at:])


class WindowBranch(BranchKind):
    """A branch with square windows of `kernel` x `kernel` weights that are `dilation` pixels apart. 1511.07122."""

    kernel: OddKernel = 3
    dilation: Annotated[int, Field(ge=1, le=64)] = 1

    def window(self, in_channels: int, channels: int, stride: int = 1, groups: int = 1) -> Convolution:
        side = self.kernel
        # The gaps of a 1x1 kernel have no meaning.
        return Convolution(
            (side, side), in_channels, channels, stride, groups, dilation=self.dilation if side > 1 else 1
        )

    def check_size(self, size: Size) -> None:
        """Check that every weight of a window, other than the default 3x3, meets a pixel of a map of this (H, W).

        Raises:
            InputError: the window is too large; the message begins with the name of a field.
        """
        reach, most = self.dilation * (self.kernel - 1) + 1, 2 * min(size) - 1
        if reach > max(most, 3):
            field, value = ("dilation", self.dilation) if self.dilation > 1 else ("kernel", self.kernel)
            allowed = max(most, 3) if field == "kernel" else max(1, (most - 1) // max(1, self.kernel - 1))
            raise InputError(
                f"{field}: {value} is too large for a map of {size[0]}x{size[1]}, since the outer weights would only "
                f"meet padding; at most {allowed}"
            )


def divided(channels: int, groups: int, path: str) -> int:
    """Return the channels of each group.

    Raises:
        InputError: the groups do not divide the channels.
    """
    if channels % groups:
        fits = [number for number in range(1, channels + 1) if channels % number == 0]
        near = min(fits, key=lambda number: abs(number - groups))
        raise InputError(f"{path}: {groups} does not divide the width {channels}; nearest that does: {near}")
    return channels // groups


def _before_last(chain: Chain, field: str) -> int:
    """Return the index of the last layer with convolutions."""
    found = [index for index, layer in enumerate(chain) if any(convolutions((layer,)))]
    if len(found) < 2:
        raise InputError(f"unit.branch.{field}: needs a branch of at least two convolutions one after the other")
    return found[-1]


def _only_at(chain: Chain, word: str, places: Places | None, field: str) -> Chain:
    """Return the chain with the word kept after the convolutions at these places only."""
    if places is None:
        return chain
    total = len([*convolutions(chain)])
    for place in places:
        if not 1 <= place <= total:
            raise InputError(f"unit.branch.{field}: {place} is not a convolution of this branch; allowed: 1 to {total}")
    numbers = count(1)
    return changed(
        chain, lambda conv: conv if next(numbers) in places else replace(conv, without=conv.without | {word})
    )


def changed(chain: Chain, change: Callable[[Convolution], Convolution]) -> Chain:
    """Return the chain with every convolution changed, in the order of its text."""
    return tuple(
        change(layer)
        if isinstance(layer, Convolution)
        else Parallel(tuple(changed(path, change) for path in layer.paths))
        if isinstance(layer, Parallel)
        else layer
        for layer in chain
    )
