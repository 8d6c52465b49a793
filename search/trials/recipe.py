"""Recipes: how a network is trained, as data. A new recipe is a row of `RECIPES`."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from resnet_space.branches import Positive
from resnet_space.description import Description, by_kind
from resnet_space.errors import InputError, unknown
from search.data.description import Augmentation

Fraction = Annotated[float, Field(gt=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Above0 = Annotated[float, Field(gt=0)]
AtLeast1 = Annotated[float, Field(ge=1)]


class ScheduleKind(Description):
    """A schedule is a formula: the learning rate as a fraction of its peak, at a fraction of the training."""

    def factor(self, progress: float) -> float:
        """lr / peak lr at `progress` = step / steps, in [0, 1)."""
        raise NotImplementedError


class Constant(ScheduleKind):
    """1."""

    kind: Literal["constant"] = "constant"

    def factor(self, progress: float) -> float:
        return 1.0


class Steps(ScheduleKind):
    """`factor`^k behind the k-th milestone; milestones are fractions of the training (32k of 64k steps: 0.5)."""

    kind: Literal["steps"] = "steps"
    milestones: Annotated[tuple[Fraction, ...], Field(max_length=100)] = (0.5, 0.75)
    decay: Fraction = 0.1

    def factor(self, progress: float) -> float:
        return self.decay ** sum(progress >= milestone for milestone in self.milestones)


class OneCycle(ScheduleKind):
    """Half a cosine from 1/`start` up to 1 over the first `rise` of the training, another down to 1/`end`.

    Smith and Topin 2017, 1708.07120, with cosines for lines.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    rise: Fraction = 0.3
    start: AtLeast1 = 25.0
    end: AtLeast1 = 250_000.0

    def factor(self, progress: float) -> float:
        if progress < self.rise:
            return _cosine(1 / self.start, 1.0, progress / self.rise)
        return _cosine(1.0, 1 / self.end, (progress - self.rise) / (1 - self.rise) if self.rise < 1 else 1.0)


def _cosine(begin: float, end: float, progress: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * progress)) / 2


Schedule = Annotated[Constant | Steps | OneCycle, *by_kind(Constant, Steps, OneCycle)]


class WarmUp(Description):
    """A small learning rate until an epoch's training error is below `until_error`. 1512.03385, section 4.2."""

    lr: Above0 = 0.01
    until_error: Fraction = 0.8


class Recipe(Description):
    """SGD on the cross-entropy, for so many `epochs` or `steps` (one of them).

    `autocast: bf16` holds on CUDA only, where `none` means TF32 in convolutions and float32 in all else; `compile` is
    torch.compile.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    steps: Positive | None = None
    batch_size: Annotated[int, Field(ge=2)] = 128
    lr: Above0 = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 1e-4
    schedule: Schedule = OneCycle()
    warm_up: WarmUp | None = None
    augmentation: Augmentation = Augmentation()
    autocast: Literal["none", "bf16"] = "none"
    compile: bool = False

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"give epochs or steps, one of them, not epochs={self.epochs} and steps={self.steps}")
        if self.nesterov and not self.momentum:
            raise InputError("nesterov: looks ahead along the momentum, and that is 0; give momentum, or leave it out")
        return self

    def total_steps(self, steps_an_epoch: int) -> int:
        """Optimiser steps of the whole training."""
        return self.steps if self.steps is not None else (self.epochs or 0) * steps_an_epoch


RECIPES: dict[str, Recipe] = {
    # 1512.03385 section 4.2 and 1603.05027 appendix: 64k steps, a tenth at 32k and 48k, pad 4 and flip.
    "paper-cifar": Recipe(
        steps=64_000,
        schedule=Steps(milestones=(0.5, 0.75), decay=0.1),
        warm_up=WarmUp(lr=0.01, until_error=0.8),
        augmentation=Augmentation(pad=4, flip=True),
    ),
    # A tenth of the paper's cost for most of its accuracy.
    "fast": Recipe(
        epochs=20,
        lr=0.2,
        nesterov=True,
        weight_decay=5e-4,
        augmentation=Augmentation(pad=4, flip=True),
        autocast="bf16",
    ),
    # Small images of digits: neither crops nor flips, which change what they show.
    "digits": Recipe(epochs=10, batch_size=64),
    # Does it run at all? Not a result.
    "smoke": Recipe(epochs=1, batch_size=64, schedule=Constant(), lr=0.05),
}


def resolved(value: Any) -> Any:
    """A recipe's name, or `{base: NAME, field: value, ...}`, as the fields of a whole recipe.

    Raises:
        InputError: the name is no recipe's.
    """
    if isinstance(value, str):
        value = {"base": value}
    if not isinstance(value, dict) or "base" not in value:
        return value
    base, changes = value["base"], {name: to for name, to in value.items() if name != "base"}
    if not isinstance(base, str) or base not in RECIPES:
        raise unknown("recipe", base, RECIPES)
    data = RECIPES[base].model_dump()
    # One length replaces the other.
    for one, other in (("epochs", "steps"), ("steps", "epochs")):
        if one in changes:
            data[other] = None
    return data | changes


class _Named:
    """Says in the JSON Schema that a name will do, or a name and what is otherwise."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        names = {"enum": list(RECIPES)}
        based = {"type": "object", "properties": {"base": names}, "required": ["base"]}
        return {"anyOf": [handler(core), names, based]}


NamedRecipe = Annotated[Recipe, BeforeValidator(resolved), _Named()]
