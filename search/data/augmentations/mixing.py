"""Mixup and cutmix: each image of a batch is mixed with the previous one, and labels become soft.

What is drawn are a few numbers per batch, which stay on the host.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Generator, Tensor, arange

from search.data.augmentations.description import Augmentation
from search.data.augmentations.draws import uniform


@dataclass(frozen=True)
class Mix:
    """How a batch is mixed."""

    own: float
    """lambda: the share of the own image; 1 for a batch that is not mixed."""
    centre: tuple[float, float] | None = None
    """For cutmix, the centre of the rectangle as fractions of the height and width."""


UNMIXED = Mix(1.0)


def draw_mix(augmentation: Augmentation, generator: Generator) -> Mix:
    """Draw how a batch is mixed.

    lambda is the quantile of Beta(alpha, alpha) at a uniform number: torch draws from this distribution only with its
    global generator.
    """
    from scipy.special import betaincinv

    whether, which, quantile, *centre = uniform(0, 1, 5, generator=generator).tolist()
    if whether >= augmentation.mixed:
        return UNMIXED
    share = augmentation.cutmix_share if augmentation.mixup and augmentation.cutmix else float(augmentation.cutmix > 0)
    cut = which < share
    alpha = augmentation.cutmix if cut else augmentation.mixup
    return Mix(float(betaincinv(alpha, alpha, quantile)), (centre[0], centre[1]) if cut else None)


def mixed(x: Tensor, y: Tensor, mix: Mix, classes: int, *, shift: int = 1) -> tuple[Tensor, Tensor]:
    """Return a batch of images (n, C, H, W), each mixed with another, and its soft labels (n, classes) float32.

    The other image is `shift` places before, so that copies of an image (`repeats`) are not mixed with each other.

    Mixup: x <- lambda x + (1 - lambda) x'. Cutmix: x' inside of a rectangle with sides sqrt(1 - lambda) of the
    image's, x outside; lambda becomes 1 - the share of the image that the rectangle covers. In both cases, with
    labels as probabilities, y <- lambda y + (1 - lambda) y'. As torchvision's MixUp and CutMix.
    """
    own = mix.own
    if mix.centre is not None:
        top, bottom = span(mix.centre[0], own, x.shape[2])
        left, right = span(mix.centre[1], own, x.shape[3])
        x, other = x.clone(), x
        x[:, :, top:bottom, left:right] = other.roll(shift, 0)[:, :, top:bottom, left:right]
        own = 1 - (bottom - top) * (right - left) / (x.shape[2] * x.shape[3])
    elif own != 1:
        x = x.roll(shift, 0).mul_(1 - own).add_(x, alpha=own)
    labels = (y[:, None] == arange(classes, device=y.device)).float()
    return x, labels if own == 1 else labels.roll(shift, 0).mul_(1 - own).add_(labels, alpha=own)


def span(centre: float, own: float, side: int) -> tuple[int, int]:
    """Return the pixels (first, end) of a rectangle's side: half of sqrt(1 - lambda) of the image's on both sides of
    the pixel at `centre`, cut off at the borders."""
    pixel, half = int(centre * side), int(math.sqrt(1 - own) / 2 * side)
    return max(0, pixel - half), min(side, pixel + half)
