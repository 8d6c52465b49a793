"""Tuned arms: every arm searches for its own best recipe, with the same budget, before its seeds are trained."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from resnet_space.axes import Choices, Range
from resnet_space.description import Description
from resnet_space.errors import InputError
from resnet_space.space_forms import AxesForm, read_axes
from search.data.description import DataSet
from search.samplers.kinds import TPE, AnySampler
from search.trials.joint_space import OF_TRAINING, JointSpace
from search.trials.recipe import Recipe
from search.trials.setup import Setup

FIRST_SEED = 1_000_000
"""The seed of all trials of the tuning. Arms have seeds from 0 on, so nothing is chosen by the seeds that they have."""

OF_RECIPE = {path: field for path, field in OF_TRAINING.items() if path.startswith("recipe.")}
"""The fields that tuning can set, by path."""


NOT_OF_RECIPE = (
    "is not of the recipe; tuning changes how an arm is trained, and neither its network nor its data, which are what "
    "arms are compared by; allowed: recipe.lr, recipe.weight_decay, ..."
)


def is_of_recipe(path: str) -> bool:
    return path.split(".")[0] == "recipe"


class Tune(Description):
    """A search of every arm over `axes` of its recipe: the same number of `trials`, by validation error.

    Arms of one sampler and one seed begin with the same recipes, the first of which is the study's own if it is in the
    axes. The recipe of the lowest validation error is the arm's own.

        tune: {axes: {recipe.lr: {low: 0.003, high: 1, log: true}}, trials: 8}

    Raises:
        InputError: no axis, an axis that is not of the recipe, a value that it cannot have, or a single trial.
    """

    axes: Annotated[dict[str, Choices | Range], Field(min_length=1, max_length=20)]
    trials: Annotated[int, Field(ge=2, le=1000)] = 8
    sampler: AnySampler = TPE(startup=4)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The seed of the samplers."""

    @field_validator("axes", mode="before", json_schema_input_type=AxesForm)
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        for path in data if isinstance(data, dict) else ():
            if not is_of_recipe(str(path)):
                raise InputError(f"{path}: {NOT_OF_RECIPE}")
        return read_axes(data, OF_RECIPE)

    def space(self, recipe: Recipe, data: DataSet, net: Any = "resnet20") -> JointSpace:
        """Return the space of a network's recipes: this recipe, changed along the axes."""
        fields = {"base": net, "recipe": recipe.to_dict(), "data": data.to_dict(), "axes": self.to_dict()["axes"]}
        return JointSpace.of(fields)

    def space_of(self, setup: Setup) -> JointSpace:
        """Return the space of an arm's recipes."""
        return self.space(setup.recipe, setup.data, setup.net.to_dict())
