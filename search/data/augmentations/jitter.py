"""Colour jitter: brightness, contrast, saturation and hue in another order for each image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from search.data.augmentations import colours
from search.data.augmentations.colours import Levels
from search.data.augmentations.description import Jitter
from search.data.augmentations.draws import Draw, uniform
from search.data.augmentations.operations import Layer, Operation, computed, laid_out, unchanged

OPERATIONS: tuple[Operation, ...] = (
    lambda x, factors: colours.brightness(x, factors[0], 1),
    lambda x, factors: colours.contrast(x, factors[0], 1),
    lambda x, factors: colours.saturation(x, factors[0], 1),
    lambda x, turns: colours.hue(x, turns[0]),
    unchanged,
)
"""On levels from 0 to 1; the last one is for amounts of 0."""


@dataclass(frozen=True)
class ColourJitter:
    """Change the colours of each image; see `Jitter`."""

    settings: Jitter
    levels: Levels

    def draw(self, number: int, generator: Generator) -> Draw:
        """Draw a random order of the operations and their factors for each image: as many layers as operations."""
        settings = self.settings
        amounts = (settings.brightness, settings.contrast, settings.saturation)
        factors = [uniform(max(0, 1 - by), 1 + by, number, generator=generator) for by in amounts]
        factors.append(uniform(-settings.hue, settings.hue, number, generator=generator))
        orders = uniform(0, 1, len(factors), number, generator=generator).argsort(0)
        values = torch.stack(factors)
        used = torch.tensor([*map(bool, amounts), bool(settings.hue)])
        layers = [
            Layer(torch.where(used[place], place, len(factors)), values.gather(0, place[None])) for place in orders
        ]
        return laid_out(layers, len(OPERATIONS))

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        return self.levels.normalised(computed(self.levels.of(x), draw, OPERATIONS))
