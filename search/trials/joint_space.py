"""A joint space: networks together with the recipes and the data that they are trained with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar

from pydantic import model_validator

from resnet_space import Architecture, paths
from resnet_space.axes import Choices
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from resnet_space.fields import FIELDS, NAMES, Lookup, fields_of, lookup_of
from resnet_space.fields import Field as AtPath
from resnet_space.space import SpaceOf, start_of
from search.data.description import DataSet
from search.trials.recipe import NamedRecipe, Recipe
from search.trials.setup import REFUSED, Setup, changed, of_network, plain_training, trains, values_at

LIMIT = "data.limit"
"""The only field of the data that can be an axis: others change the images that networks are compared on."""

OF_TRAINING: dict[str, AtPath] = {**fields_of(Recipe, "recipe"), LIMIT: fields_of(DataSet, "data")[LIMIT]}
"""The fields of recipes and data that axes can set, by path."""

NAMES_OF_TRAINING: dict[str, tuple[Any, ...]] = {path: at_path.catalogue for path, at_path in OF_TRAINING.items()}
"""Their names in expressions, with their values."""


class SpaceOfStudy(SpaceOf[Setup]):
    """Axes of networks, recipes and data, as a study has them: what they change besides the network is the study's.

    Axes are those of a network, `recipe.*` and `data.limit`.
    """

    FIELDS: ClassVar[Mapping[str, AtPath]] = {**FIELDS, **OF_TRAINING}
    NAMES: ClassVar[Mapping[str, tuple[Any, ...]]] = {**NAMES, **NAMES_OF_TRAINING}

    @model_validator(mode="before")
    @classmethod
    def _refuse_other_data(cls, given: Any) -> Any:
        for path in (given.get("axes") or {}) if isinstance(given, Mapping) else ():
            if str(path).split(".")[0] == "data" and path != LIMIT:
                raise InputError(
                    f"axes.{path}: {REFUSED.get(path, 'changes the images')}, and a search compares networks on the "
                    f"same test images; allowed: {LIMIT}"
                )
        return given

    @property
    def of_recipe(self) -> list[str]:
        """The axes of the recipe and the data."""
        return [path for path in self.axes if trains(path)]

    @property
    def _plain_start(self) -> dict[str, Any]:
        return start_of(self.base, of_network(self.set)).model_dump()

    def complete(
        self,
        recipe: Recipe,
        data: DataSet,
        *,
        changes: Mapping[str, Any] | None = None,
        constraints: Iterable[str] = (),
    ) -> JointSpace:
        """Return the space with a recipe and data, and with further changes of the base and constraints.

        Raises:
            InputError: the recipe or the data cannot have what `set` and the axes set.
        """
        return JointSpace.of(
            self.to_dict()
            | {
                "recipe": recipe,
                "data": data,
                "set": {**(changes or {}), **self.set},
                "constraints": [*self.constraints, *constraints],
            }
        )


class JointSpace(SpaceOfStudy):
    """Networks, recipes and data that differ along `axes`.

    `recipe` and `data` are what axes change. A space over the recipe of one network has axes of the recipe only:

        axes = {"recipe.lr": {"low": 0.01, "high": 1, "log": True}}
        JointSpace.of({"base": "resnet20", "recipe": "fast", "data": "cifar10", "axes": axes})
    """

    recipe: NamedRecipe
    data: DataSet

    @cached_property
    def start(self) -> Setup:
        net = start_of(self.base, of_network(self.set))
        try:
            return _point(net, *changed(self.recipe, self.data, self.set))
        except InputError as error:
            raise InputError(f"set: {error}") from None

    def architecture(self, assignment: Mapping[str, Any]) -> Architecture:
        return self.point(assignment).net

    def searched(self, recipe: Recipe, data: DataSet) -> dict[str, Any]:
        """Return the values of a recipe and data at the paths of the axes that they have."""
        return values_at(self.of_recipe, plain_training(recipe, data))

    def point_of(self, setup: Setup) -> Setup:
        """Return a trial's setup as a point of a space, which may be another one."""
        return _point(setup.net, setup.recipe, setup.data)

    def makes(self, recipe: Recipe, data: DataSet) -> bool:
        """Whether a point of the space can have this recipe and these data: all but its axes is as at the start.

        Constraints and conditions are not checked, so trials of a space that has changed are kept.
        """
        chosen, start = self.searched(recipe, data), self.searched(self.start.recipe, self.start.data)
        # An axis that is not active leaves its field as it is at the start, which can be none of its values.
        varied = {path: value for path, value in chosen.items() if path not in start or value != start[path]}
        try:
            values = {path: self._written(path, value) for path, value in varied.items()}
            made = changed(self.start.recipe, self.start.data, values)
        except InputError:
            return False
        return made[0] == recipe and made[1].identifying == data.identifying

    def _written(self, path: str, value: Any) -> Any:
        """Return the value of an axis that a recipe has as `value`: an axis can have it in a shorter form.

        Raises:
            InputError: the axis has no such value.
        """
        for option, plain in self._long_forms.get(path, ()):
            if plain == value:
                return option
        return self.axes[path].member(value)

    @cached_property
    def _long_forms(self) -> dict[str, list[tuple[Any, Any]]]:
        """The values of each axis that a recipe has in a longer form, such as `rand_augment` with its fields."""
        found: dict[str, list[tuple[Any, Any]]] = {}
        for path in self.of_recipe:
            axis = self.axes[path]
            for option in axis.options if isinstance(axis, Choices) else ():
                # Some values are possible only together with those of other axes.
                with suppress(InputError):
                    plain = self.searched(*changed(self.start.recipe, self.start.data, {path: option})).get(path)
                    if plain != option:
                        found.setdefault(path, []).append((option, plain))
        return found

    def _assigned(self, assignment: Assignment) -> Setup:
        of_net = of_network(assignment)
        name = json.dumps(of_net, sort_keys=True)
        if name not in self._nets:
            self._nets[name] = self.start.net.assign(of_net)
        return _point(self._nets[name], *changed(self.start.recipe, self.start.data, assignment))

    @cached_property
    def _nets(self) -> dict[str, Architecture]:
        """The networks that were made, by their part of the assignment: recipes vary more often than networks."""
        return {}

    def _plain(self, point: Setup) -> dict[str, Any]:
        return {**point.net.model_dump(), **plain_training(point.recipe, point.data)}

    @property
    def _plain_start(self) -> dict[str, Any]:
        return self._plain(self.start)

    def lookup(self, point: Setup) -> Lookup:
        return lookup_of_setup(point)


def _point(net: Architecture, recipe: Recipe, data: DataSet) -> Setup:
    # The fingerprint of the images is known when they are loaded; points are distinguished without it.
    return Setup(net, recipe, data, fingerprint=json.dumps(data.identifying, sort_keys=True))


def lookup_of_setup(setup: Setup) -> Lookup:
    """Return the `Lookup` of a setup, for expressions over the fields of its network, its recipe and its data."""
    of_net, plain = lookup_of(setup.net), plain_training(setup.recipe, setup.data)

    def value(name: str) -> Any:
        if not trains(name):
            return of_net(name)
        found = paths.lookup(plain, name)
        return found.get("kind") if isinstance(found, Mapping) else found

    return value
