"""What a network repeats: the residual unit, what a stage changes of it, the stage, and what a shape's change does."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from resnet_space.branches import BasicBranch, Branch
from resnet_space.description import Description
from resnet_space.numbers import Channels, Proportion, Side
from resnet_space.orders import Normalisation, OrderName
from resnet_space.shortcuts import IdentityShortcut, Shortcut

Transition = Literal["A", "B", "C"]


class ResidualUnit(Description):
    """y = h(x) + F(x), x' = f(y): the shortcut h, the branch F, and where BN and ReLU stand. 1603.05027, eq. 1-2.

    With `normalisation` none there is no BN, and convolutions have biases. With a `survival` p below 1 the depth is
    stochastic (1603.09382, eq. 2-5): in training a batch leaves F out with probability 1 - p_l, in evaluation F is
    multiplied by p_l, where p_l = 1 - (1 - p) l / L for the l-th of L units.
    """

    shortcut: Shortcut = IdentityShortcut()
    order: OrderName = "original"
    normalisation: Normalisation = "batch"
    branch: Branch = BasicBranch()
    survival: Proportion = 1.0


class UnitOverride(Description):
    """What one stage's units have otherwise than the net's `unit`; a field left out is the net's."""

    shortcut: Shortcut | None = None
    order: OrderName | None = None
    normalisation: Normalisation | None = None
    branch: Branch | None = None
    survival: Proportion | None = None

    def over(self, unit: ResidualUnit) -> ResidualUnit:
        return unit.model_copy(
            update={name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}
        )


class Stage(Description):
    """`units` residual units, whose branches have `channels` outputs; the first one has the stride."""

    units: Annotated[int, Field(ge=1, le=10_000)]
    channels: Channels
    stride: Side = 1
    unit: UnitOverride | None = None
