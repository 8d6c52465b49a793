"""The operations of policies on images of 256 levels, and the numbers by which each image gets its own.

Levels are whole numbers from 0 to 255, kept as float32. Each operation equals that of torchvision's policies on uint8
images; a level can differ by 1 where torchvision's sum, in another order, is rounded to the other side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from search.data.augmentations import colours
from search.data.augmentations.affine import affine, rotations
from search.data.augmentations.colours import per_image
from search.data.augmentations.operations import Operation, unchanged

WHITE = 255.0
NUMBERS = 6
"""Numbers for each image: the matrix of an affine map; other operations use the first one only."""


def sharpness(x: Tensor, factors: Tensor) -> Tensor:
    """Blend each pixel that has eight neighbours with a mean in which it counts 5/13, and each neighbour 1/13."""
    if min(x.shape[2:]) <= 2:
        return x
    inner = x[:, :, 1:-1, 1:-1]
    # Not a convolution, which on a GPU would round to TF32.
    smooth = (functional.avg_pool2d(x, 3, 1) * 9 + inner * 4).div_(13).round_()
    sharp = x.clone()
    sharp[:, :, 1:-1, 1:-1] = colours.blend(inner, smooth, factors, WHITE).floor_()
    return sharp


def solarize(x: Tensor, thresholds: Tensor) -> Tensor:
    """Invert the levels that reach a threshold."""
    return torch.where(x >= per_image(thresholds), WHITE - x, x)


def posterize(x: Tensor, steps: Tensor) -> Tensor:
    """Round levels down to multiples of a step: with 8 - b for log2 of the step, b bits are left."""
    steps = per_image(steps)
    return (x / steps).floor_() * steps


def auto_contrast(x: Tensor, _: Tensor) -> Tensor:
    """Stretch the levels of each channel to 0..255; a channel of one level stays as it is."""
    # Not torchvision's, which selects by a mask: on a GPU that can make the host wait.
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    stretched = ((x - low) / ((high - low) * (1 / WHITE))).clamp(0, WHITE).floor()
    return torch.where(high > low, stretched, x)


def equalize(x: Tensor, _: Tensor) -> Tensor:
    """Make all levels of each channel about equally frequent."""
    from torchvision.transforms.v2.functional import equalize

    return equalize(x.to(torch.uint8)).float()  # type: ignore[no-any-return]


OPERATIONS: dict[str, Operation] = {
    "identity": unchanged,
    "affine": lambda x, matrices: affine(x, matrices).round_(),
    "brightness": lambda x, factors: colours.brightness(x, factors[0], WHITE).floor_(),
    "saturation": lambda x, factors: colours.saturation(x, factors[0], WHITE, whole=True).floor(),
    "contrast": lambda x, factors: colours.contrast(x, factors[0], WHITE, whole=True).floor_(),
    "sharpness": lambda x, factors: sharpness(x, factors[0]),
    "posterize": lambda x, steps: posterize(x, steps[0]),
    "solarize": lambda x, thresholds: solarize(x, thresholds[0]),
    "auto_contrast": auto_contrast,
    "equalize": equalize,
    "invert": lambda x, _: WHITE - x,
}
"""Each takes images (n, C, H, W) and their numbers (6, n)."""


def growing(greatest: float, bins: int) -> Tensor:
    """Return strengths (bins,) from 0 to the greatest."""
    return torch.linspace(0, greatest, bins)


@dataclass(frozen=True)
class Action:
    """An operation as policies name it, and its numbers (6, n) from strengths (n,), height and width."""

    operation: str
    numbers: Callable[[Tensor, int, int], Tensor]
    signed: bool = False
    """Whether strengths of both signs are drawn."""
    strengths: Callable[[float, int], Tensor] = growing
    """From the greatest strength and the number of magnitudes to the strength of each."""


def _numbers(strength: Tensor, *numbers: Tensor | float) -> Tensor:
    """Return numbers as (6, n), with 0 for those that are not given."""
    rows = torch.zeros(NUMBERS, len(strength), dtype=strength.dtype)
    for row, number in zip(rows, numbers, strict=False):
        row.copy_(torch.as_tensor(number))
    return rows


def _factor(strength: Tensor, height: int, width: int) -> Tensor:
    return _numbers(strength, 1 + strength)


def _none(strength: Tensor, height: int, width: int) -> Tensor:
    return _numbers(strength)


ACTIONS: dict[str, Action] = {
    "identity": Action("identity", _none),
    # Shears keep the first row or column, as in the papers.
    "shear_x": Action("affine", lambda s, height, width: _numbers(s, 1, s, s * height / 2, 0, 1), signed=True),
    "shear_y": Action("affine", lambda s, height, width: _numbers(s, 1, 0, 0, s, 1, s * width / 2), signed=True),
    # By whole pixels.
    "translate_x": Action("affine", lambda s, height, width: _numbers(s, 1, 0, -s.trunc(), 0, 1), signed=True),
    "translate_y": Action("affine", lambda s, height, width: _numbers(s, 1, 0, 0, 0, 1, -s.trunc()), signed=True),
    "rotate": Action("affine", lambda s, height, width: rotations(s), signed=True),
    "brightness": Action("brightness", _factor, signed=True),
    "color": Action("saturation", _factor, signed=True),
    "contrast": Action("contrast", _factor, signed=True),
    "sharpness": Action("sharpness", _factor, signed=True),
    "posterize": Action("posterize", lambda s, height, width: _numbers(s, 2 ** (8 - (8 - s).round()))),
    "solarize": Action(
        "solarize",
        lambda s, height, width: _numbers(s, WHITE * s),
        strengths=lambda greatest, bins: torch.linspace(greatest, 0, bins),
    ),
    "auto_contrast": Action("auto_contrast", _none),
    "equalize": Action("equalize", _none),
    "invert": Action("invert", _none),
}
"""By name, in the order of torchvision's tables."""


def narrow_ranges(height: int, width: int) -> dict[str, float]:
    """Return the greatest strength of each action for RandAugment and AutoAugment, 1909.13719 and 1805.09501."""
    return {
        "shear_x": 0.3,
        "shear_y": 0.3,
        "translate_x": 150 / 331 * width,
        "translate_y": 150 / 331 * height,
        "rotate": 30,
        "brightness": 0.9,
        "color": 0.9,
        "contrast": 0.9,
        "sharpness": 0.9,
        "posterize": 4,
        "solarize": 1,
    }


def wide_ranges(height: int, width: int) -> dict[str, float]:
    """Return the greatest strength of each action for TrivialAugment, 2103.10158, table of the wide space."""
    return {
        "shear_x": 0.99,
        "shear_y": 0.99,
        "translate_x": 32,
        "translate_y": 32,
        "rotate": 135,
        "brightness": 0.99,
        "color": 0.99,
        "contrast": 0.99,
        "sharpness": 0.99,
        "posterize": 6,
        "solarize": 1,
    }
