"""The demo's question for scripts without this project: the shipped study of shortcuts in its laptop form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from ablations.plan import AblationPlan
from resnet_space import Architecture, build
from resnet_space.api.studies import load as study
from search.data import Images, load
from search.trials.recipe import Recipe

STUDY, BASELINE = "shortcuts", "identity"


@dataclass(frozen=True)
class Question:
    """Its networks, by arm, what they are trained on, and by which recipe."""

    networks: Mapping[str, Architecture]
    images: Images
    recipe: Recipe

    @classmethod
    def of(cls, epochs: int) -> Question:
        asked = study(STUDY, changes={"recipe.epochs": epochs})
        images = load(asked.data)
        return cls(dict(AblationPlan.of(asked, images).architectures), images, asked.recipe)

    def network(self, arm: str, seed: int) -> nn.Module:
        """Return an arm's network with its initial weights; the seed is also that of training."""
        torch.manual_seed(seed)
        return build(self.networks[arm], seed)
