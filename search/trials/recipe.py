"""Recipes: how a network is trained, as data. Named ones are in `search/trials/named_recipes.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.numbers import Above0, AtLeast0, AtLeast2, Below1, Count, Positive
from search.data.augmentations.description import Augmentation
from search.trials.averaging import Averaging
from search.trials.losses import CrossEntropy, Loss
from search.trials.named_recipes import NAMED
from search.trials.optimizers import OPTIMIZERS, SGD, Optimizer
from search.trials.schedules import AnyWarmUp, OneCycle, Schedule

OF_SOME_OPTIMIZERS = ("momentum", "nesterov")
"""Fields that only some optimisers have."""
MOST_PARTS = 64
"""Up to this number, a message lists the allowed parts of a batch."""


class Recipe(Description):
    """How a network is trained, for a number of either `epochs` or `steps`.

    `autocast: bf16` applies on CUDA only; there `none` means TF32 in convolutions and float32 elsewhere. `compile`
    means torch.compile.

    A field that earlier versions did not have is in no stored recipe while it has its default, and so changes no key.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    steps: Positive | None = None
    batch_size: AtLeast2 = 128
    """Images of a step."""
    accumulation: Annotated[Count, Field(exclude_if=lambda parts: parts == 1)] = 1
    """Number of equal parts in which a step's images are computed, to take less memory; their gradients are summed.
    BN computes its statistics over each part."""
    optimizer: Annotated[Optimizer, Field(exclude_if=lambda kind: kind == SGD())] = SGD()
    lr: Above0 = 0.1
    """The peak of the schedule."""
    momentum: Below1 = 0.9
    """Of the optimisers that have it; in no stored recipe of others."""
    nesterov: bool = False
    weight_decay: AtLeast0 = 1e-4
    decay_norms_and_biases: Annotated[bool, Field(exclude_if=lambda decay: decay)] = True
    """Whether weight decay applies also to weights with at most one dimension: those of BN, biases and scalars."""
    schedule: Schedule = OneCycle()
    warm_up: AnyWarmUp | None = None
    clip_norm: Annotated[Above0 | None, Field(exclude_if=lambda norm: norm is None)] = None
    """Gradients with a larger norm, over all weights of the network, are scaled to it. 1211.5063."""
    loss: Annotated[Loss, Field(exclude_if=lambda loss: loss == CrossEntropy())] = CrossEntropy()
    dropout: Annotated[Below1, Field(exclude_if=lambda p: p == 0)] = 0.0
    """Probability with which a feature is 0 before the classifier."""
    averaging: Annotated[Averaging | None, Field(exclude_if=lambda kind: kind is None)] = None
    """Measured and kept are the averaged weights; training continues with its own."""
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

    @model_validator(mode="after")
    def _of_its_optimizer(self) -> Self:
        for name in self._not_taken:
            if getattr(self, name) != type(self).model_fields[name].default:
                owners = ", ".join(kind for kind, cls in OPTIMIZERS.items() if name in cls.takes)
                raise InputError(f"{name}: {self.optimizer.kind} has none; it belongs to: {owners}")
        return self

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.batch_size % self.accumulation or self.part_size < 2:
            allowed = (
                parts for parts in range(1, min(self.batch_size // 2, MOST_PARTS) + 1) if not self.batch_size % parts
            )
            raise InputError(
                f"accumulation: {self.accumulation} does not divide a batch of {self.batch_size} into equal parts of "
                f"at least 2 images; up to {MOST_PARTS}, allowed: {', '.join(map(str, allowed))}"
            )
        return self

    @model_validator(mode="after")
    def _longer_than_its_warm_up(self) -> Self:
        if self.warm_up:
            self.warm_up.check(self.epochs, self.steps)
        return self

    @model_serializer(mode="wrap")
    def _without_what_the_optimizer_lacks(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        return {name: value for name, value in data.items() if name not in self._not_taken}

    @property
    def _not_taken(self) -> tuple[str, ...]:
        return tuple(name for name in OF_SOME_OPTIMIZERS if name not in self.optimizer.takes)

    @property
    def part_size(self) -> int:
        """The number of images that are computed at a time."""
        return self.batch_size // self.accumulation

    @property
    def copies(self) -> int:
        """The number of tensors as large as the weights that a checkpoint has: weights, moments and an average."""
        return 1 + self.optimizer.moments + (self.averaging is not None)

    def total_steps(self, steps_an_epoch: int) -> int:
        """Return the number of optimiser steps of the training.

        Raises:
            InputError: the warm-up is not shorter.
        """
        total = self.steps if self.steps is not None else (self.epochs or 0) * steps_an_epoch
        if self.warm_up:
            try:
                self.warm_up.check(self.epochs, total)
            except InputError as error:
                raise InputError(f"recipe.{error}") from None
        return total


RECIPES: dict[str, Recipe] = {name: Recipe.of(dict(row.fields)) for name, row in NAMED.items()}
"""The recipes of `search/trials/named_recipes.py`."""


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
    if "optimizer" in changes:
        # Those of the base are for its optimiser.
        data = {name: each for name, each in data.items() if name not in ("momentum", "nesterov")}
    # A new length in epochs replaces the base's length in steps, and the other way round.
    for one, other in (("epochs", "steps"), ("steps", "epochs")):
        if one in changes:
            data[other] = None
    return data | changes


class _Named:
    """Adds to the JSON Schema: a recipe can also be a name, or a base with changed fields."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        names, own = {"enum": list(RECIPES)}, handler(core)
        fields = handler.resolve_ref_schema(own)["properties"]
        based = {"type": "object", "properties": {"base": names, **fields}, "required": ["base"]}
        return {"anyOf": [own, names, {**based, "additionalProperties": False}]}


NamedRecipe = Annotated[Recipe, BeforeValidator(resolve_recipe), _Named()]
