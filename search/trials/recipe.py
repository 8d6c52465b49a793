"""Recipes: how a network is trained, as data. To add a recipe, add a row to `RECIPES`."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from resnet_space.catalogues import OneOf
from resnet_space.description import Description, Kind, kinds
from resnet_space.errors import InputError, unknown
from resnet_space.numbers import Above0, AtLeast0, AtLeast1, AtLeast2, Below1, Positive, Proportion
from search.data.augmentations.description import Augmentation


class ScheduleKind(Kind):
    """A learning rate schedule: the fraction of the peak rate as a function of the training progress."""

    def factor(self, progress: float) -> float:
        """Return lr / peak lr at `progress` = step / steps, in [0, 1)."""
        raise NotImplementedError


class Constant(ScheduleKind):
    """1."""

    kind: Literal["constant"] = "constant"

    def factor(self, progress: float) -> float:
        return 1.0


class Steps(ScheduleKind):
    """`decay`^k after the k-th milestone; milestones are fractions of the training (32k of 64k steps: 0.5)."""

    kind: Literal["steps"] = "steps"
    milestones: Annotated[tuple[Proportion, ...], Field(max_length=100)] = (0.5, 0.75)
    decay: Proportion = 0.1

    def factor(self, progress: float) -> float:
        return self.decay ** sum(progress >= milestone for milestone in self.milestones)


class OneCycle(ScheduleKind):
    """Half a cosine from 1/`start` up to 1 over the first `rise` of the training, then another down to 1/`end`.

    Smith and Topin 2017, 1708.07120, with cosines instead of lines.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    rise: Proportion = 0.3
    start: AtLeast1 = 25.0
    end: AtLeast1 = 250_000.0

    def factor(self, progress: float) -> float:
        if progress < self.rise:
            return _cosine(1 / self.start, 1.0, progress / self.rise)
        return _cosine(1.0, 1 / self.end, (progress - self.rise) / (1 - self.rise) if self.rise < 1 else 1.0)


def _cosine(begin: float, end: float, progress: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * progress)) / 2


SCHEDULES: dict[str, type[ScheduleKind]] = kinds(ScheduleKind, globals())
"""By name: every class above that has a `kind`."""

Schedule = Annotated[ScheduleKind, OneOf(SCHEDULES)]


class WarmUp(Description):
    """A small learning rate until the training error of an epoch is below `until_error`. 1512.03385, section 4.2."""

    lr: Above0 = 0.01
    until_error: Proportion = 0.8


class Recipe(Description):
    """SGD on the cross-entropy for a number of either `epochs` or `steps`.

    `autocast: bf16` applies on CUDA only; there `none` means TF32 in convolutions and float32 elsewhere. `compile`
    means torch.compile.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    steps: Positive | None = None
    batch_size: AtLeast2 = 128
    lr: Above0 = 0.1
    momentum: Below1 = 0.9
    nesterov: bool = False
    weight_decay: AtLeast0 = 1e-4
    schedule: Schedule = OneCycle()
    warm_up: WarmUp | None = None
    augmentation: Augmentation = Augmentation()
    autocast: Literal["none", "bf16"] = "none"
    compile: bool = False

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"give either epochs or steps, not epochs={self.epochs} and steps={self.steps}")
        if self.nesterov and not self.momentum:
            raise InputError("nesterov: needs momentum, which is 0; give momentum, or leave nesterov out")
        return self

    def total_steps(self, steps_an_epoch: int) -> int:
        """Return the number of optimiser steps of the training."""
        return self.steps if self.steps is not None else (self.epochs or 0) * steps_an_epoch


RECIPES: dict[str, Recipe] = {
    # 1512.03385 section 4.2 and 1603.05027 appendix: 64k steps, lr / 10 at 32k and 48k, pad 4 and flip.
    "paper-cifar": Recipe(
        steps=64_000,
        schedule=Steps(milestones=(0.5, 0.75), decay=0.1),
        warm_up=WarmUp(lr=0.01, until_error=0.8),
        augmentation=Augmentation(pad=4, flip=True),
    ),
    # A tenth of the paper's cost, with most of its accuracy.
    "fast": Recipe(
        epochs=20,
        lr=0.2,
        nesterov=True,
        weight_decay=5e-4,
        augmentation=Augmentation(pad=4, flip=True),
        autocast="bf16",
    ),
    # Small images of digits: no crops and no flips, which would change what the images show.
    "digits": Recipe(epochs=10, batch_size=64),
    # Only to test that a study runs; not for results.
    "smoke": Recipe(epochs=1, batch_size=64, schedule=Constant(), lr=0.05),
}


def resolve_recipe(value: Any) -> Any:
    """Return the fields of a recipe, from its name or from `{base: NAME, field: value, ...}`.

    Any other value is returned unchanged, for pydantic to check.

        resolve_recipe({"base": "fast", "lr": 0.1})

    Raises:
        InputError: there is no recipe of that name.
    """
    if isinstance(value, str):
        value = {"base": value}
    if not isinstance(value, dict) or "base" not in value:
        return value
    base, changes = value["base"], {name: to for name, to in value.items() if name != "base"}
    if not isinstance(base, str) or base not in RECIPES:
        raise unknown("recipe", base, RECIPES)
    data = RECIPES[base].model_dump()
    # A new length in epochs replaces the base's length in steps, and the other way round.
    for one, other in (("epochs", "steps"), ("steps", "epochs")):
        if one in changes:
            data[other] = None
    return data | changes


class _Named:
    """Adds to the JSON Schema: a recipe can also be a name, or a base with changed fields."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        names = {"enum": list(RECIPES)}
        based = {"type": "object", "properties": {"base": names}, "required": ["base"]}
        return {"anyOf": [handler(core), names, based]}


NamedRecipe = Annotated[Recipe, BeforeValidator(resolve_recipe), _Named()]
