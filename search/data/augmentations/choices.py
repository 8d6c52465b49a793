"""How each policy chooses actions for the images of a batch. To add a policy, add a row to `CHOICES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
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
SIGNED = torch.tensor([action.signed for action in ACTIONS.values()])

LARGEST = 30
"""The largest of 31 magnitudes, from 0."""

Chosen = list[tuple[Tensor, Tensor]]
"""For each layer, the action of each image by its place in `ACTIONS`, and its magnitude from 0 to 1, both (n,)."""


def rand_augment(settings: RandAugment, number: int, generator: Generator) -> Chosen:
    """Draw an action per image and layer."""
    drawn = torch.randint(len(DRAWN), (settings.operations, number), generator=generator)
    magnitude = torch.full((number,), settings.magnitude / LARGEST, dtype=torch.float64)
    return [(torch.tensor(DRAWN)[layer], magnitude) for layer in drawn]


def trivial_augment(settings: TrivialAugmentWide, number: int, generator: Generator) -> Chosen:
    """Draw an action and a magnitude per image."""
    drawn = torch.randint(len(DRAWN), (number,), generator=generator)
    magnitude = torch.randint(LARGEST + 1, (number,), generator=generator) / LARGEST
    return [(torch.tensor(DRAWN)[drawn], magnitude.double())]


def auto_augment(settings: AutoAugment, number: int, generator: Generator) -> Chosen:
    """Draw a pair of actions per image, and whether each of them happens."""
    actions, probabilities, magnitudes = _table(settings.found_for)
    drawn = torch.randint(len(actions), (number,), generator=generator)
    happens = uniform(0, 1, 2, number, generator=generator)
    return [
        (
            torch.where(happens[place] < probabilities[drawn, place], actions[drawn, place], NAMES.index("identity")),
            magnitudes[drawn, place],
        )
        for place in range(2)
    ]


@cache
def _table(found_for: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return a found policy's actions, probabilities and magnitudes from 0 to 1, (25, 2) each."""
    pairs = FOUND[found_for]
    actions = torch.tensor([[NAMES.index(name) for name, _, _ in pair] for pair in pairs])
    probabilities = torch.tensor([[probability for _, probability, _ in pair] for pair in pairs], dtype=torch.float64)
    # Of ten magnitudes.
    magnitudes = torch.tensor([[magnitude / 9 for _, _, magnitude in pair] for pair in pairs], dtype=torch.float64)
    return actions, probabilities, magnitudes


@dataclass(frozen=True)
class Choice:
    """How a policy draws, and from which ranges, by height and width."""

    draw: Callable[[Any, int, Generator], Chosen]
    ranges: Callable[[int, int], Mapping[str, float]]


CHOICES: dict[str, Choice] = {
    "rand_augment": Choice(rand_augment, narrow_ranges),
    "trivial_augment_wide": Choice(trivial_augment, wide_ranges),
    "auto_augment": Choice(auto_augment, narrow_ranges),
}
"""By the `kind` of the policy."""


@dataclass(frozen=True)
class PolicyChange:
    """Change each image by the actions that a policy draws for it."""

    settings: PolicyKind
    size: tuple[int, int]
    """Height and width of the images."""
    levels: Levels

    def draw(self, number: int, generator: Generator) -> Draw:
        """Draw the actions and their numbers: a layer for each action that an image gets."""
        choice = CHOICES[self.settings.kind]
        ranges = choice.ranges(*self.size)
        layers = []
        for actions, magnitudes in choice.draw(self.settings, number, generator):
            signs = 2 * torch.randint(2, (number,), generator=generator) - 1
            strengths = torch.where(SIGNED[actions], signs, 1) * magnitudes
            layers.append(Layer(OPERATION_OF[actions], self._numbers(actions, strengths, ranges)))
        return laid_out(layers, len(OPERATIONS))

    def _numbers(self, actions: Tensor, strengths: Tensor, ranges: Mapping[str, float]) -> Tensor:
        """Return the numbers of each image's operation, (6, n)."""
        numbers = torch.zeros(NUMBERS, len(actions), dtype=torch.float64)
        for place, (name, greatest) in ((NAMES.index(name), (name, greatest)) for name, greatest in ranges.items()):
            mine = (actions == place).nonzero()[:, 0]
            numbers[:, mine] = ACTIONS[name].numbers(strengths[mine] * greatest, *self.size)
        return numbers

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        return self.levels.normalised(computed(self.levels.of(x), draw, list(OPERATIONS.values())))
