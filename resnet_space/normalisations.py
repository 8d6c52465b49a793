"""The normalisations that `bn` in an order can mean: a catalogue.

Each is g * (x - mean) / sqrt(var + eps) + b of a map x (N, C, H, W), with g and b learned per channel. They differ in
what mean and variance are taken over. To add one, add a class here and its layer in `norm_layers`.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kind_of, kinds
from resnet_space.errors import InputError
from resnet_space.layers import Size
from resnet_space.numbers import Channels, ProperProportion


class NormalisationKind(Kind):
    """The base of all normalisations."""

    normalises: ClassVar[bool] = True
    """Whether it does anything; if not, every convolution has a bias."""

    def check_map(self, channels: int, size: Size) -> None:
        """Check that it can normalise a map of this number of channels and (H, W).

        Raises:
            InputError: it cannot; the message begins with a dot and the name of a field, or with a colon.
        """
        if self.values(channels, size) < 2:
            raise InputError(
                f": {kind_of(type(self))} has one value to normalise in a map of {channels} channels of "
                f"{size[0]}x{size[1]}, and would return 0 for all; use batch"
            )

    def values(self, channels: int, size: Size) -> float:
        """Return the number of values of an image that a mean and a variance are taken over."""
        return math.inf

    def written(self) -> str | dict[str, object]:
        """Return its bare name, or with its fields that are not the defaults; this is what keys contain."""
        kind = kind_of(type(self))
        changed = self.model_dump(exclude_defaults=True)
        return {"kind": kind, **changed} if changed else kind


class BatchNormalisation(NormalisationKind):
    """Over batch and pixels, per channel; in evaluation by running averages. Ioffe and Szegedy 2015, 1502.03167."""

    kind: Literal["batch"] = "batch"
    eps: ProperProportion = 1e-5


class GroupNormalisation(NormalisationKind):
    """Over pixels and the channels of a group, per image. Wu and He 2018, 1803.08494, equations 1 to 7.

    The paper has 32 groups. The default 8 divides the widths of CIFAR's networks too.
    """

    kind: Literal["group"] = "group"
    groups: Channels = 8
    eps: ProperProportion = 1e-5

    def check_map(self, channels: int, size: Size) -> None:
        if channels % self.groups:
            fits = [groups for groups in range(1, channels + 1) if channels % groups == 0]
            near = min(fits, key=lambda groups: abs(groups - self.groups))
            raise InputError(f".groups: {self.groups} does not divide {channels} channels; nearest that does: {near}")
        super().check_map(channels, size)

    def values(self, channels: int, size: Size) -> float:
        return channels // self.groups * math.prod(size)


class LayerNormalisation(NormalisationKind):
    """Over the channels of each pixel, as in ConvNeXt. Ba et al. 2016, 1607.06450; Liu et al. 2022, 2201.03545."""

    kind: Literal["layer"] = "layer"
    eps: ProperProportion = 1e-6

    def values(self, channels: int, size: Size) -> float:
        return channels


class InstanceNormalisation(NormalisationKind):
    """Over pixels, per image and channel. Ulyanov et al. 2016, 1607.08022, equation 1."""

    kind: Literal["instance"] = "instance"
    eps: ProperProportion = 1e-5

    def values(self, channels: int, size: Size) -> float:
        return math.prod(size)


class NoNormalisation(NormalisationKind):
    """Nothing: every convolution has a bias."""

    kind: Literal["none"] = "none"
    normalises: ClassVar[bool] = False


NORMALISATIONS: dict[str, type[NormalisationKind]] = kinds(NormalisationKind, globals())
"""All classes above that have a `kind`, by name."""

Normalisation = Annotated[NormalisationKind, OneOf(NORMALISATIONS)]
