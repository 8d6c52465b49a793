"""Study: the base class of all kinds of studies, with the fields that every study file has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from resnet_space import Architecture
from resnet_space.description import Description
from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from search.data.description import DataSet, labels
from search.trials.recipe import NamedRecipe, Recipe
from search.trials.resources import Resources
from search.trials.setup import KnownImages, Setup

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
"""The pattern of a study's name, which becomes a folder's name and a label in LaTeX."""


def _check_name(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(NAME_PATTERN, value):
        shown = value if len(value) <= 40 else f"{value[:37]}..."
        raise InputError(
            f"must be 1-64 lower-case letters, digits, '-' or '_', starting with a letter or digit; got {shown!r}"
        )
    return value


def _one_or_several(value: Any) -> Any:
    """Return a list of one data set as that data set: both mean the same, and a study has one canonical form."""
    if not isinstance(value, list | tuple):
        return value
    if not value:
        raise InputError("an empty list; name at least one data set")
    return value[0] if len(value) == 1 else value


def _check_distinct(value: DataSet | tuple[DataSet, ...]) -> DataSet | tuple[DataSet, ...]:
    given = value if isinstance(value, tuple) else (value,)
    twice = next((each for at, each in enumerate(given) if each in given[:at]), None)
    if twice is not None:
        raise InputError(f"{twice.name!r} is given twice; each data set counts once")
    return value


OneOrSeveral = Annotated[
    # Tags in brackets are left out of the path in messages.
    Annotated[DataSet, Tag("[one]")] | Annotated[tuple[DataSet, ...], Tag("[several]")],
    Discriminator(lambda value: "[several]" if isinstance(value, list | tuple) else "[one]"),
    BeforeValidator(_one_or_several),
    AfterValidator(_check_distinct),
]
"""A data set, or a list of them."""


def check_images(net: Architecture, shape: tuple[int, int, int], classes: int) -> None:
    """Raise InputError unless a network is for images of this shape and this number of classes: those of the data."""
    for name, own, given in (("input_shape", net.input_shape, shape), ("classes", net.classes, classes)):
        if own != given:
            raise InputError(f"{name}: {own}, but the data have {given}; leave {name} out: it is taken from the data")


class Study(Description):
    """A study: its name and question, the data, the recipe and the resources. Each kind of study is a subclass."""

    CHANGES: ClassVar[str]
    """The field that holds changes to every network."""
    ALIASES: ClassVar[dict[str, str]] = {}
    """Names on the command line for fields that have another name in this kind of study."""
    MERGED: ClassVar[tuple[str, ...]] = ("set", "resources")
    """Fields that a profile merges with the study's instead of replacing them."""
    CHANGEABLE: ClassVar[tuple[str, ...]] = ("resources", "data.root", "notes", "question", "source")
    """Fields that can differ when a run resumes: none of them is part of a trial's key."""

    if TYPE_CHECKING:
        kind: str
        """The kind of study, as a file names it; each class has its own."""
    name: Annotated[str, BeforeValidator(_check_name), Field(pattern=NAME_PATTERN)]
    question: str = ""
    source: str = ""
    notes: str = ""
    data: OneOrSeveral
    recipe: NamedRecipe
    resources: Resources = Resources()

    @cached_property
    def on_each(self) -> dict[str, Self]:
        """The study on each of its data sets alone, by the label of the data set."""
        if not isinstance(self.data, tuple):
            return {self.data.name: self}
        named = zip(labels(self.data), self.data, strict=True)
        return {label: self.model_copy(update={"data": each}) for label, each in named}

    @property
    def several(self) -> bool:
        """Whether the study has several data sets."""
        return isinstance(self.data, tuple)

    @property
    def tunes(self) -> bool:
        """Whether the study searches a recipe for each of its networks; default: no."""
        return False

    @property
    def dataset(self) -> DataSet:
        """The data set of a study that has only one."""
        assert not isinstance(self.data, tuple)
        return self.data

    @property
    def extent(self) -> str:
        """What the study compares or searches, in a few words: "5 arms", "a space of 4 axes"."""
        raise NotImplementedError

    @property
    def front_objectives(self) -> tuple[str, ...]:
        """The objectives of the study's front."""
        return ("error", "macs")

    def architectures(self, shape: tuple[int, int, int], classes: int) -> dict[str, Architecture]:
        """Return the study's named networks, by name, for images of this shape and number of classes; default: none.

        Raises:
            InputError: one of them cannot be built.
        """
        return {}

    def setups(self, images: Mapping[DataSet, KnownImages]) -> Mapping[str, Setup]:
        """Return the study's named networks, with their recipes and data, by name; default: none.

        Args:
            images: what is known of the images of each data set of `trainings`.

        Raises:
            InputError: one of them cannot be built.
        """
        return {}

    @property
    def trainings(self) -> Sequence[tuple[Recipe, DataSet]]:
        """The recipes and data that the study names for its networks, each pair once.

        The first is that of networks that set neither: mostly its `recipe` and its `dataset`.
        """
        return ((self.recipe, self.dataset),)

    @property
    def datasets(self) -> Sequence[DataSet]:
        """The data of `trainings`, each once."""
        return list(dict.fromkeys(data for _, data in self.trainings))

    @property
    def settled(self) -> bool:
        """Whether no trial of the study has other recipes or data than those of `trainings`; default: yes."""
        return True

    def varied(self, recipe: Recipe, data: DataSet) -> dict[str, Any]:
        """Return the values of a recipe and data at the paths in which trials of the study differ; default: none."""
        return {}

    def makes(self, recipe: Recipe, data: DataSet) -> bool:
        """Whether trials of this recipe on these data can be of the study, in addition to `trainings`; default: no."""
        return False

    @property
    def confirmation_seeds(self) -> range:
        """The seeds that nothing is chosen by, which confirm a network once all of them are complete; default: none."""
        return range(0)

    @property
    def result_constraint(self) -> Expression | None:
        """The constraint on networks of the front that needs results of training, or None."""
        return None
