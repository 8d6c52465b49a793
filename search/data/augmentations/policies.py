"""Policies: random choices among fourteen operations, as data. To add a policy, add a class and its draws.

The operations, their ranges and the random choices are those of torchvision's classes of the same names, and their
result is compared with torchvision's image by image. Where its training scripts and its defaults differ, the scripts
are followed: shears, translations and rotations are bilinear, and fill with black.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds


class PolicyKind(Kind):
    """Operations on images of 256 levels, chosen anew for each image: after crops and flips, before normalisation."""


class RandAugment(PolicyKind):
    """A chain of `operations`, each drawn uniformly from 14, all of one `magnitude`. Cubuk et al. 2019, 1909.13719.

    Magnitude m of 30 means m/30 of an operation's range: a shear of 0.3, a translation of 150/331 of the width, a
    rotation of 30 degrees, a factor of 1 - 0.9 or 1 + 0.9, 4 bits less, a threshold lower by 255. The direction is
    random.
    """

    kind: Literal["rand_augment"] = "rand_augment"
    operations: Annotated[int, Field(ge=1, le=14)] = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9


class TrivialAugmentWide(PolicyKind):
    """One operation, drawn uniformly from 14, of a magnitude drawn uniformly from 31. Müller and Hutter 2021,
    2103.10158, the wide ranges.

    They are a shear of 0.99, a translation of 32 pixels, a rotation of 135 degrees, a factor of 1 - 0.99 or 1 + 0.99,
    6 bits less, and a threshold lower by 255. The direction is random. A translation of 32 pixels leaves nothing of an
    image of 32 or fewer, as in torchvision.
    """

    kind: Literal["trivial_augment_wide"] = "trivial_augment_wide"


class AutoAugment(PolicyKind):
    """Two operations in a row, by one of 25 pairs that were found for a data set. Cubuk et al. 2018, 1805.09501.

    Each operation of a pair has a probability and a magnitude; the direction is random.
    """

    kind: Literal["auto_augment"] = "auto_augment"
    found_for: Literal["imagenet", "cifar10", "svhn"] = "imagenet"


POLICIES: dict[str, type[PolicyKind]] = kinds(PolicyKind, globals())
"""By name: every class above that has a `kind`."""

Policy = Annotated[PolicyKind, OneOf(POLICIES)]
