"""Who trains: members, a seed's network and how far it is, and groups of them that take their steps as one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from resnet_space import build
from search import checkpoint
from search.fused import divided, fuse, join, unfuse
from search.recipe import Recipe
from search.trial import TrialSpec


@dataclass(eq=False)
class Member:
    """One trial under way."""

    spec: TrialSpec
    folder: Path | None
    model: nn.Module
    optimizer: torch.optim.Optimizer
    state: checkpoint.State

    @classmethod
    def of(cls, spec: TrialSpec, folder: Path | None, device: str, *, recompute: bool = False) -> Member:
        """The trial where its checkpoint left it, or at its beginning."""
        model, optimizer = beginning(spec, device, recompute=recompute)
        state = checkpoint.load(folder, model, optimizer, device) if folder else checkpoint.State()
        if state is None:
            (model, optimizer), state = beginning(spec, device, recompute=recompute), checkpoint.State()
        return cls(spec, folder, model, optimizer, state)


def beginning(spec: TrialSpec, device: str, *, recompute: bool = False) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The seed's network and its optimiser, before the first step."""
    # Dropout draws from the global generator as it trains; the weights have generators of their own.
    torch.manual_seed(spec.seed)
    model = build(spec.architecture, spec.seed, recompute=recompute).to(memory_format=torch.channels_last).to(device)
    return model, sgd(model, spec.recipe)


def sgd(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; every step sets the rate anew."""
    return torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def furthest_behind(members: Sequence[Member], total: int) -> list[Member]:
    """Who trains next: of those that have steps to do, the ones with the fewest done, and with one learning rate.

    Members stand apart behind a kill between two checkpoints, or where the warm-up ends earlier for one than for
    another; those behind go first, so that all are level again.
    """
    going = [member for member in members if member.state.step < total]
    if not going:
        return []
    first = min(going, key=lambda member: member.state.step)
    alike = (first.state.step, first.state.warming_up)
    return [member for member in going if (member.state.step, member.state.warming_up) == alike]


class Group:
    """Members of one recipe that stand at one step. One is its own network and optimiser; several are fused.

    What they learn is theirs when `hand_back` is called, and not before.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        """Raises `fused.Unfusable` for several that cannot be."""
        self.members = list(members)
        self.recipe = members[0].spec.recipe
        self.alone = len(members) == 1
        self.model, self.optimizer = members[0].model, members[0].optimizer
        if not self.alone:
            self.model = fuse([member.model for member in members])
            self.optimizer = sgd(self.model, self.recipe)
            self._take_momenta()
        self.forward = torch.compile(self.model) if self.recipe.compile else self.model

    def logits(self, images: Sequence[Tensor]) -> Sequence[Tensor]:
        """(n, classes) of each member for its own images (n, C, H, W)."""
        x = torch.cat(list(images), 1).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.forward(x)
        return logits.chunk(len(self.members), dim=1)

    def hand_back(self) -> None:
        """Give the members their weights, statistics and momenta."""
        if self.alone:
            return
        unfuse(self.model, [member.model for member in self.members])
        for mine, theirs in self._parameters():
            momentum = self.optimizer.state[mine].get("momentum_buffer")
            if momentum is not None:
                parts = divided(momentum, theirs)
                for member, parameter, part in zip(self.members, theirs, parts, strict=True):
                    member.optimizer.state[parameter]["momentum_buffer"] = part.clone()
        for member in self.members:
            for own, common in zip(member.optimizer.param_groups, self.optimizer.param_groups, strict=True):
                own["lr"] = common["lr"]

    def _take_momenta(self) -> None:
        for mine, theirs in self._parameters():
            momenta = [
                member.optimizer.state[parameter].get("momentum_buffer")
                for member, parameter in zip(self.members, theirs, strict=True)
            ]
            if None not in momenta:
                self.optimizer.state[mine]["momentum_buffer"] = join(momenta)

    def _parameters(self) -> list[tuple[Tensor, tuple[Tensor, ...]]]:
        """Each fused parameter with those it was made of."""
        owned = zip(*(member.model.parameters() for member in self.members), strict=True)
        return list(zip(self.model.parameters(), owned, strict=True))
