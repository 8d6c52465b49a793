"""A study: a question as a file. What every kind of study says; each kind is a class of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from resnet_space import Architecture
from resnet_space.description import Description
from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from search.data.description import DataSet
from search.trials.recipe import NamedRecipe
from search.trials.resources import Resources

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
"""Of a study: it becomes a folder's name and a label in LaTeX."""


def _folder_name(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(NAME, value):
        shown = value if len(value) <= 40 else f"{value[:37]}..."
        raise InputError(f"must be small letters, digits, - and _, at most 64, the first no sign, not {shown!r}")
    return value


def check_images(net: Architecture, shape: tuple[int, int, int], classes: int) -> None:
    """Raise unless a network is for images of this shape and so many classes: both are the data's."""
    for name, own, given in (("input_shape", net.input_shape, shape), ("classes", net.classes, classes)):
        if own != given:
            raise InputError(f"{name}: {own} is not what the data have, {given}; leave {name} out, it is the data's")


class Study(Description):
    """What every study says: its name and question, the data, how networks are trained, and with what."""

    CHANGES: ClassVar[str]
    """The field that changes to every network go into."""
    ALIASES: ClassVar[dict[str, str]] = {}
    """What the command line calls fields that this kind has by another name."""
    MERGED: ClassVar[tuple[str, ...]] = ("set", "resources")
    """Fields that a profile changes in part, and does not replace."""
    FREE: ClassVar[tuple[str, ...]] = ("resources", "data.root", "notes", "question", "source")
    """What may differ when a run goes on: none of it is in a trial's name."""

    if TYPE_CHECKING:
        kind: str
        """Of each class its own word, by which a file says what kind of study it is."""
    name: Annotated[str, BeforeValidator(_folder_name), Field(pattern=NAME)]
    question: str = ""
    source: str = ""
    notes: str = ""
    data: DataSet
    recipe: NamedRecipe
    resources: Resources = Resources()

    @property
    def extent(self) -> str:
        """What it asks of, in a word or two."""
        raise NotImplementedError

    @property
    def asked(self) -> tuple[str, ...]:
        """The objectives of its front."""
        return ("error", "macs")

    def architectures(self, shape: tuple[int, int, int], classes: int) -> dict[str, Architecture]:
        """Networks that it gives a name, for images of this shape and so many classes, by name; none by default.

        Raises:
            InputError: one of them is not possible.
        """
        return {}

    @property
    def confirmation_seeds(self) -> range:
        """Seeds that make a network's numbers final, once all of them are complete."""
        raise NotImplementedError

    @property
    def result_constraints(self) -> Expression | None:
        """What a network must keep to be on its front, if that takes training."""
        return None
