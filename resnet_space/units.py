"""The residual unit, the stage, a stage's changes of the unit, and the transitions at changes of shape."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from resnet_space.activations import ActivationName
from resnet_space.branches import BasicBranch, Branch
from resnet_space.description import Description
from resnet_space.normalisations import BatchNormalisation, Normalisation
from resnet_space.numbers import Channels, Proportion, Side
from resnet_space.orders import OrderName, Words
from resnet_space.shortcuts import IdentityShortcut, Shortcut

Transition = Literal["A", "B", "C", "D", "none", "separate"]


class ResidualUnit(Description):
    """y = h(x) + F(x), x' = f(y): the shortcut h, the branch F, and the order of BN and ReLU. 1603.05027, eq. 1-2.

    `normalisation` and `activation` are what BN and ReLU mean in the order, here and in stem and head. With
    `normalisation` none, convolutions have biases. With `weight_standardisation` a convolution's weights are
    (w - mean) / sd over each output channel (1903.10520, eq. 2). With `blur`, a layer of the branch that has a stride
    has stride 1 and is followed by blur pooling, and so is a projection preceded by it (1904.11486, fig. 2).

    With a `survival` p below 1 the depth is
    stochastic (1603.09382, eq. 2-5): in training F is dropped for a batch with probability 1 - p_l; in evaluation F is
    multiplied by p_l. Here p_l = 1 - (1 - p) l / L for the l-th of L units.
    """

    shortcut: Shortcut = IdentityShortcut()
    order: OrderName = "original"
    normalisation: Normalisation = BatchNormalisation()
    activation: ActivationName = "relu"
    weight_standardisation: bool = False
    branch: Branch = BasicBranch()
    blur: bool = False
    survival: Proportion = 1.0

    @property
    def words(self) -> Words:
        """What the words of the order mean."""
        return Words(self.normalisation, self.activation, self.weight_standardisation)


class UnitOverride(Description):
    """The fields in which the units of one stage differ from the net's `unit`; other fields are the net's."""

    shortcut: Shortcut | None = None
    order: OrderName | None = None
    normalisation: Normalisation | None = None
    activation: ActivationName | None = None
    weight_standardisation: bool | None = None
    branch: Branch | None = None
    blur: bool | None = None
    survival: Proportion | None = None

    @property
    def given(self) -> frozenset[str]:
        """The names of the fields that differ."""
        return frozenset(name for name in self.model_fields_set if getattr(self, name) is not None)

    def over(self, unit: ResidualUnit) -> ResidualUnit:
        return unit.model_copy(update={name: getattr(self, name) for name in self.given})


class Stage(Description):
    """`units` residual units whose branches have `channels` output channels; the first unit has the stride."""

    units: Annotated[int, Field(ge=1, le=10_000)]
    channels: Channels
    stride: Side = 1
    unit: UnitOverride | None = None
