"""A setup: a network with the recipe and the data that it is trained with. With a seed, it is a trial.

A path that begins with `recipe` or `data` changes how networks are trained, and any other path changes the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from resnet_space import Architecture, paths
from resnet_space.description import Description
from resnet_space.errors import InputError
from search.data.description import DataSet
from search.files.folder import differences
from search.trials.identity import Identity
from search.trials.optimizers import OPTIMIZERS
from search.trials.recipe import OF_SOME_OPTIMIZERS, NamedRecipe, Recipe, resolve_recipe
from search.trials.trial import TrialSpec

HEADS = ("recipe", "data")
"""The first parts of paths that change how a network is trained."""

REFUSED = {
    "data": "names another data set",
    "data.name": "names another data set",
    "data.root": "is where the data are, not which data, and all arms read the same",
    "data.split": "decides for all arms which images a seed has",
}
"""Paths that arms and axes cannot set, and why."""


class KnownImages(Protocol):
    """What a study needs to know of images to make its setups; `search.data.Images` has it too."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""

    @property
    def classes(self) -> int:
        """The number of classes."""

    @property
    def fingerprint(self) -> str:
        """The hash of the content and splits."""


@dataclass(frozen=True)
class Setup:
    """What the trials of an arm have in common: the network, the recipe, and the data.

    Setup(net, Recipe(epochs=10), DataSet(name="digits"), images.fingerprint).spec(seed=0)
    """

    net: Architecture
    recipe: Recipe
    data: DataSet
    fingerprint: str
    """The hash of the data's content and splits."""

    @classmethod
    def of(cls, spec: TrialSpec) -> Setup:
        """Return the setup of a trial."""
        return cls(spec.architecture, spec.recipe, spec.data, spec.fingerprint)

    @cached_property
    def identity(self) -> Identity:
        return Identity(self.recipe, self.fingerprint)

    @property
    def key(self) -> str:
        """Equal for setups that train the same network in the same way on the same images."""
        return f"{self.net.key} {self.identity.training}"

    @property
    def classes(self) -> int:
        return self.net.classes

    def changes_from(self, recipe: Recipe, data: DataSet) -> dict[str, Any]:
        """Return the values, by path, in which the recipe and the data differ from these, mostly those of the study."""
        return differing(recipe, data, self.recipe, self.data)

    def trial(self, seed: int) -> str:
        """Return the key of the trial with this seed."""
        return self.identity.key(self.net.key, seed)

    def spec(self, seed: int) -> TrialSpec:
        """Return the trial with this seed."""
        return TrialSpec(
            architecture=self.net, recipe=self.recipe, data=self.data, fingerprint=self.fingerprint, seed=seed
        )


def trains(path: str) -> bool:
    """Whether a path is that of the recipe or the data, or of a part of them."""
    return path.split(".")[0] in HEADS


def of_network(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes that are the network's."""
    return {path: value for path, value in changes.items() if not trains(path)}


class _Training(Description):
    """A recipe and data, to be validated together, so that messages have complete paths."""

    recipe: NamedRecipe
    data: DataSet


def changed(recipe: Recipe, data: DataSet, changes: Mapping[str, Any]) -> tuple[Recipe, DataSet]:
    """Return a recipe and data with the values that changes set by path; other paths are ignored.

    A complete `recipe` is replaced before parts of it are set. A length in epochs replaces one in steps, and the other
    way round. Another optimiser leaves out momentum and nesterov if it does not have them.

        changed(Recipe(epochs=10), DataSet(name="digits"), {"recipe.lr": 0.2, "data.limit": 100})

    Raises:
        InputError: no such field, a value that it cannot take, or a path of `REFUSED`.
    """
    own = {path: value for path, value in changes.items() if trains(path)}
    if not own:
        return recipe, data
    for path in own:
        check_allowed(path)
    before: dict[str, Any] = {"recipe": _plain(recipe), "data": _plain(data)}
    if "recipe" in own:
        try:
            before["recipe"] = resolve_recipe(own.pop("recipe"))
        except InputError as error:
            raise InputError(f"recipe: {error}") from None
        if not isinstance(before["recipe"], dict):
            # Parts cannot be set in what is no mapping, and the message is about the whole.
            own = {}
    for one, other in (("recipe.epochs", "recipe.steps"), ("recipe.steps", "recipe.epochs")):
        if own.get(one) is not None:
            own.setdefault(other, None)
    now = paths.assign(before, own)
    for name in _not_taken(now["recipe"], own):
        now["recipe"].pop(name, None)
    found = _Training.of(now)
    return found.recipe, found.data


def _not_taken(recipe: Any, changes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields of the previous optimiser that a new one does not have, unless the changes set them too."""
    optimizer = recipe.get("optimizer") if isinstance(recipe, dict) else None
    kind = optimizer.get("kind") if isinstance(optimizer, dict) else optimizer
    if isinstance(kind, str) and kind in OPTIMIZERS and any(path.startswith("recipe.optimizer") for path in changes):
        for name in OF_SOME_OPTIMIZERS:
            if name not in OPTIMIZERS[kind].takes and f"recipe.{name}" not in changes:
                yield name


def check_allowed(path: str) -> None:
    """Raise InputError if arms and axes cannot set this path."""
    if path in REFUSED:
        raise InputError(
            f"{path}: {REFUSED[path]}; within a study all arms have the same test images, since errors are compared "
            "on them; to repeat a study on several data sets, give it data: [a, b]"
        )


def changes_text(changes: Mapping[str, Any]) -> str:
    """Return changes by path as text, such as `recipe.lr=0.2, data.limit=500`; empty without changes."""
    return ", ".join(f"{path}={value}" for path, value in changes.items())


def changes_shown(changes: Mapping[str, Any]) -> str:
    """Return the same for people, with four significant digits of numbers that are not whole."""
    return changes_text({path: f"{to:.4g}" if isinstance(to, float) else to for path, to in changes.items()})


def differing(recipe: Recipe, data: DataSet, other: Recipe, other_data: DataSet) -> dict[str, Any]:
    """Return the values, by path, in which another recipe and other data differ from the first."""
    before, now = plain_training(recipe, data), plain_training(other, other_data)
    return values_at([path for path, _, _ in differences(before, now)], now)


def values_at(some: Iterable[str], plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of plain data at those of these paths that they have: a schedule has the fields of its kind."""
    found = {}
    for path in some:
        with suppress(KeyError):
            found[path] = paths.lookup(plain, path)
    return found


def plain_training(recipe: Recipe, data: DataSet) -> dict[str, Any]:
    """Return a recipe and data as plain data with all of their fields, also those that are not written by default."""
    return {"recipe": _plain(recipe), "data": {name: value for name, value in _plain(data).items() if name != "root"}}


def _plain(value: Any) -> Any:
    if isinstance(value, Description):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
