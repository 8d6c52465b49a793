"""How each policy chooses actions for the images of a batch. To add a policy, add a row to `CHOICES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from search.data.augmentations.actions import (
    ACTIONS,
    NUMBERS,
    OPERATIONS,
    narrow_ranges,
    wide_ranges,
)
from search.data.augmentations.colours import Levels
from search.data.augmentations.draws import Draw, uniform
from search.data.augmentations.found_policies import FOUND
from search.data.augmentations.operations import Layer, computed, laid_out
from search.data.augmentations.policies import AutoAugment, PolicyKind, RandAugment, TrivialAugmentWide

NAMES = list(ACTIONS)
DRAWN = [NAMES.index(name) for name in NAMES if name != "invert"]
"""The 14 actions that RandAugment and TrivialAugment draw from."""

OPERATION_OF = torch.tensor([list(OPERATIONS).index(action.operation) for action in ACTIONS.values()])

IDENTITY = NAMES.index("identity")
LARGEST = 30
"""The largest of 31 magnitudes, from 0."""

Chosen = list[tuple[Tensor, Tensor]]
"""For each layer, the action of each image by its place in `ACTIONS`, and its magnitude, both (n,)."""


def rand_augment(settings: RandAugment, number: int, generator: Generator) -> Chosen:
    """Draw an action per image and layer."""
    drawn = torch.randint(len(DRAWN), (settings.operations, number), generator=generator)
    return [(torch.tensor(DRAWN)[layer], torch.full((number,), settings.magnitude)) for layer in drawn]


def trivial_augment(settings: TrivialAugmentWide, number: int, generator: Generator) -> Chosen:
    """Draw an action and a magnitude per image."""
    drawn = torch.randint(len(DRAWN), (number,), generator=generator)
    return [(torch.tensor(DRAWN)[drawn], torch.randint(LARGEST + 1, (number,), generator=generator))]


def auto_augment(settings: AutoAugment, number: int, generator: Generator) -> Chosen:
    """Draw a pair of actions per image, and whether each of them happens."""
    actions, probabilities, magnitudes = _table(settings.found_for)
    drawn = torch.randint(len(actions), (number,), generator=generator)
    happens = uniform(0, 1, 2, number, generator=generator) < probabilities[drawn].T
    chosen = torch.where(happens, actions[drawn].T, IDENTITY)
    return list(zip(chosen, magnitudes[drawn].T, strict=True))


@cache
def _table(found_for: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return a found policy's actions, probabilities and magnitudes, (25, 2) each."""
    pairs = FOUND[found_for]
    actions = torch.tensor([[NAMES.index(name) for name, _, _ in pair] for pair in pairs])
    probabilities = torch.tensor([[probability for _, probability, _ in pair] for pair in pairs], dtype=torch.float64)
    magnitudes = torch.tensor([[magnitude for _, _, magnitude in pair] for pair in pairs])
    return actions, probabilities, magnitudes


@dataclass(frozen=True)
class Choice:
    """How a policy draws, from how many magnitudes, and the greatest strengths by height and width."""

    draw: Callable[[Any, int, Generator], Chosen]
    bins: int
    ranges: Callable[[int, int], Mapping[str, float]]


CHOICES: dict[str, Choice] = {
    "rand_augment": Choice(rand_augment, LARGEST + 1, narrow_ranges),
    "trivial_augment_wide": Choice(trivial_augment, LARGEST + 1, wide_ranges),
    "auto_augment": Choice(auto_augment, 10, narrow_ranges),
}
"""By the `kind` of the policy."""


def numbers_of_actions(choice: Choice, height: int, width: int) -> Tensor:
    """Return the numbers of each action at each magnitude, in both directions: (actions, magnitudes, 2, 6)."""
    ranges = choice.ranges(height, width)
    found = torch.zeros(len(ACTIONS), choice.bins, 2, NUMBERS)
    for place, (name, action) in enumerate(ACTIONS.items()):
        strengths = action.strengths(ranges.get(name, 0), choice.bins)
        for direction, sign in enumerate((1, -1 if action.signed else 1)):
            found[place, :, direction] = action.numbers(sign * strengths, height, width).T
    return found


@dataclass(frozen=True)
class PolicyChange:
    """Change each image by the actions that a policy draws for it."""

    settings: PolicyKind
    size: tuple[int, int]
    """Height and width of the images."""
    levels: Levels

    @cached_property
    def numbers(self) -> Tensor:
        return numbers_of_actions(CHOICES[self.settings.kind], *self.size)

    def draw(self, number: int, generator: Generator) -> Draw:
        """Draw the actions and their numbers: a layer for each action that an image gets."""
        layers = []
        for actions, magnitudes in CHOICES[self.settings.kind].draw(self.settings, number, generator):
            directions = torch.randint(2, (number,), generator=generator)
            layers.append(Layer(OPERATION_OF[actions], self.numbers[actions, magnitudes, directions].T))
        return laid_out(layers, len(OPERATIONS))

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        return self.levels.normalised(computed(self.levels.of(x), draw, list(OPERATIONS.values())))
