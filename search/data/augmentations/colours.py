"""Changes of colours, with a number for each image, on images (N, C, H, W) in levels from black, 0, to white.

Each equals torchvision's function of that name, image by image: on floating-point images with white = 1, or on uint8
images with white = 255 and `whole` levels, which torchvision rounds down.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from search.data.augmentations.draws import Draw, uniform

GREY = (0.2989, 0.587, 0.114)
"""The weights of red, green and blue in grey. ITU-R BT.601."""


@dataclass(frozen=True)
class Levels:
    """The levels of normalised images: white (x std + mean - black) / (brightest - black), per channel.

    `black` and `brightest` are the pixels of the data that mean black and white.
    """

    factor: Tensor
    """std white / (brightest - black), (C, 1, 1)."""
    offset: Tensor
    """(mean - black) white / (brightest - black), (C, 1, 1)."""
    white: float
    whole: bool
    """Whether levels are whole numbers."""

    def of(self, x: Tensor) -> Tensor:
        """Return the levels of normalised images."""
        levels = x * self.factor + self.offset
        return (levels.round_() if self.whole else levels).clamp_(0, self.white)

    def normalised(self, levels: Tensor) -> Tensor:
        """Return the normalised images of levels."""
        return (levels - self.offset) / self.factor


def per_image(factors: Tensor) -> Tensor:
    """Return numbers (N,) in the shape (N, 1, 1, 1)."""
    return factors.view(-1, 1, 1, 1)


def grey(x: Tensor) -> Tensor:
    """Return the grey levels (N, 1, H, W) of images of three channels or one."""
    if x.shape[1] == 1:
        return x
    red, green, blue = x.unbind(1)
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])[:, None]


def blend(x: Tensor, other: Tensor, factors: Tensor, white: float) -> Tensor:
    """Return f x + (1 - f) y, clamped to levels, with f a number for each image."""
    factors = per_image(factors)
    return (x * factors + other * (1 - factors)).clamp_(0, white)


def brightness(x: Tensor, factors: Tensor, white: float) -> Tensor:
    """Return f x, clamped to levels."""
    return (x * per_image(factors)).clamp_(0, white)


def saturation(x: Tensor, factors: Tensor, white: float, *, whole: bool = False) -> Tensor:
    """Blend with the grey image."""
    if x.shape[1] == 1:
        return x
    other = grey(x)
    return blend(x, other.floor() if whole else other, factors, white)


def contrast(x: Tensor, factors: Tensor, white: float, *, whole: bool = False) -> Tensor:
    """Blend with the mean grey level of the image."""
    other = grey(x)
    mean = (other.floor() if whole else other).mean((1, 2, 3), keepdim=True)
    return blend(x, mean, factors, white)


def hue(x: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue by fractions of a circle, with levels from 0 to 1.

    With V = max(R, G, B), C = V - min(R, G, B) and the hue h from 0 to 6, channel n becomes V - C max(0, min(k, 4 - k,
    1)), k = (n + h + 6 turns) mod 6, n = 5, 3, 1 for red, green, blue. Smith 1978, doi 10.1145/965139.807361.
    """
    if x.shape[1] == 1:
        return x
    red, green, blue = x.unbind(1)
    low, high = x.aminmax(dim=1)
    chroma = high - low
    # Grey pixels have no hue: any number does, since their chroma is 0.
    divisor = torch.where(chroma > 0, chroma, 1)
    angle = torch.where(high == green, (blue - red) / divisor + 2, (red - green) / divisor + 4)
    angle = torch.where(high == red, (green - blue) / divisor, angle)
    angle = angle[:, None] + 6 * per_image(turns)
    k = (angle + torch.arange(5, 0, -2, device=x.device).view(1, 3, 1, 1)).remainder_(6)
    return high[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp_(0, 1)


@dataclass(frozen=True)
class Grayscale:
    """Remove the colours of each image with a probability."""

    probability: float
    levels: Levels

    def draw(self, number: int, generator: Generator) -> Draw:
        """Draw 1 for images that become grey, (1, number)."""
        return Draw((uniform(0, 1, 1, number, generator=generator) < self.probability).float())

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        if x.shape[1] == 1:
            return x
        changed = self.levels.normalised(grey(self.levels.of(x)).expand_as(x))
        return torch.where(per_image(draw.rows[0]) > 0, changed, x)
