"""Attention on the branch: layers that multiply each element of F(x) by a number that depends on F(x); a catalogue."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from resnet_space.activations import ActivationName
from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.errors import InputError
from resnet_space.layers import Attention, BlockAttentionLayer, EfficientLayer, SqueezeLayer
from resnet_space.numbers import Channels, OddKernel


class AttentionKind(Kind):
    """The base of all attentions.

    Its `place` is the `end` of the branch, as in the papers of 2017 to 2019, or the `middle`: before the last
    convolution, as in MobileNetV3, EfficientNet and RegNet.
    """

    place: Literal["end", "middle"] = "end"

    def layer(self, channels: int, in_channels: int) -> Attention:
        """Return the layer on a map of this number of channels, in a branch with `in_channels`.

        Raises:
            InputError: it cannot be; the message begins with the name of a field.
        """
        raise NotImplementedError


class Reducing(AttentionKind):
    """With a hidden width: that of the map, or of the branch's input, divided by `reduction` and rounded down."""

    reduction: Channels = 16
    share_of: Literal["map", "input"] = "map"

    def hidden(self, channels: int, in_channels: int) -> int:
        width = channels if self.share_of == "map" else in_channels
        if self.reduction > width:
            raise InputError(f"reduction: {self.reduction} is larger than the {width} channels; allowed: 1 to {width}")
        return width // self.reduction


class SqueezeExcitation(Reducing):
    """f * sigmoid(W2 act(W1 mean(f))), with the mean over each map. Hu et al. 2017, 1709.01507, equations 2 to 4."""

    kind: Literal["squeeze_excitation"] = "squeeze_excitation"
    activation: ActivationName = "relu"

    def layer(self, channels: int, in_channels: int) -> Attention:
        return SqueezeLayer(channels, self.hidden(channels, in_channels), self.activation)


class EfficientAttention(AttentionKind):
    """f * sigmoid(w * mean(f)), with `kernel` weights w that slide along the channels. Wang et al. 2019, 1910.03151.

    Default: the kernel of equation 12 with gamma 2 and b 1: the odd number next to log2(C)/2 + 1/2, and at least 3.
    """

    kind: Literal["eca"] = "eca"
    kernel: OddKernel | None = None

    def layer(self, channels: int, in_channels: int) -> Attention:
        near = int(abs(math.log2(channels) + 1) / 2)
        kernel = self.kernel or max(near if near % 2 else near + 1, 3)
        if kernel > 2 * channels - 1:
            raise InputError(f"kernel: {kernel} is too large for {channels} channels; at most {2 * channels - 1}")
        return EfficientLayer(channels, kernel)


class BlockAttention(Reducing):
    """By channel, sigmoid(M(mean(f)) + M(max(f))), then by pixel, sigmoid(conv([mean; max])). 1807.06521, eq. 2 and 3.

    M has two layers, as in squeeze-and-excitation; the convolution over the mean and maximum of each pixel's channels
    has the size `kernel`. Woo et al. 2018.
    """

    kind: Literal["cbam"] = "cbam"
    kernel: OddKernel = 7

    def layer(self, channels: int, in_channels: int) -> Attention:
        return BlockAttentionLayer(channels, self.hidden(channels, in_channels), self.kernel)


ATTENTIONS: dict[str, type[AttentionKind]] = kinds(AttentionKind, globals())

AnyAttention = Annotated[AttentionKind, OneOf(ATTENTIONS)]
