"""Heads, the layers after the residual units: a catalogue. All have global average pooling and a linear classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from resnet_space.activations import ActivationName
from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.layers import Chain, Convolution
from resnet_space.normalisations import Normalisation
from resnet_space.numbers import Channels


class HeadKind(Kind):
    """The base of all heads: the order's `tail`, a chain of layers, pooling, `pooled`, and the classifier.

    `normalisation` and `activation` are what the order's words mean here; by default what they mean in the last unit.
    """

    pooled: ClassVar[str] = ""
    """The words after the pooling."""
    normalisation: Normalisation | None = None
    activation: ActivationName | None = None

    def chain(self, channels: int) -> Chain:
        """Return the layers before the pooling; BN and ReLU follow each convolution."""
        return ()

    def widened(self, times: Callable[[int], int]) -> dict[str, Any]:
        """Return the head with `times` applied to every number of channels, as plain data, not yet validated."""
        return self.model_dump()


class LinearHead(HeadKind):
    """Global average pooling and a linear classifier. 1512.03385, section 3.3."""

    kind: Literal["linear"] = "linear"


class ConvolutionHead(HeadKind):
    """A 1x1 convolution to `channels`, BN and ReLU before the pooling. 1801.04381, table 2."""

    kind: Literal["convolution"] = "convolution"
    channels: Channels

    def chain(self, channels: int) -> Chain:
        return (Convolution((1, 1), channels, self.channels),)

    def widened(self, times: Callable[[int], int]) -> dict[str, Any]:
        return self.model_dump() | {"channels": times(self.channels)}


class NormalisedHead(HeadKind):
    """A normalisation between the pooling and the classifier. 2201.03545, in the authors' code."""

    kind: Literal["normalised"] = "normalised"
    pooled: ClassVar[str] = "bn"


HEADS: dict[str, type[HeadKind]] = kinds(HeadKind, globals())

AnyHead = Annotated[HeadKind, OneOf(HEADS)]
