"""The description of a trial's data: the data set and its splits. No tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema

from resnet_space.description import Description
from resnet_space.errors import InputError, printable, unknown
from resnet_space.numbers import AtLeast2, Count, ProperProportion
from search.data.catalogue import DATASETS


class DataSet(Description):
    """A data set by name, and how it is divided; can be written as its bare name.

    `validation` and `test` are fractions of all images if the set has no test images of its own; otherwise `validation`
    is a fraction of its training images, and `test` is not used. CIFAR-10: 45k, 5k, 10k.
    """

    name: Annotated[str, Field(json_schema_extra={"enum": list(DATASETS)})]
    root: str | None = None
    """A directory, or for npz a file. Where the data are, and not which data, so it is not part of a trial's key."""
    validation: ProperProportion = 0.1
    test: ProperProportion = 0.2
    split: Annotated[Literal["fixed", "seed"], Field(exclude_if=lambda split: split == "fixed")] = "fixed"
    """`seed`: each seed has its own division of the images into training, validation and test. A split that the set has
    of its own stays as it is. The default is in no stored study, and so changes none of an earlier version."""
    limit: Count | None = None
    """Maximum number of training images, with the same proportions of classes: for quick tests."""
    size: Count | None = None
    """Side of a square image in pixels (imagefolder, fake)."""
    classes: AtLeast2 | None = None
    samples: Count | None = None
    """Total number of images (fake)."""
    channels: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in DATASETS:
            raise unknown("data set", name, DATASETS)
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        row = DATASETS[self.name]
        if self.root is not None and not row.root:
            raise InputError(f"root: data set {self.name!r} is not read from files and has no root")
        for setting in ("size", "classes", "samples", "channels"):
            if getattr(self, setting) is not None and setting not in row.settings:
                owners = ", ".join(name for name, other in DATASETS.items() if setting in other.settings)
                raise InputError(f"{setting}: data set {self.name!r} has no such setting; only {owners} has it")
        if self.validation + self.test >= 1:
            raise InputError(f"validation + test: {self.validation} + {self.test} leave nothing for training")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(core), {"enum": list(DATASETS)}]}

    @property
    def identifying(self) -> dict[str, Any]:
        """The fields that say which data these are, as plain data; the others say where they are."""
        return self.model_dump(mode="json", exclude={"root"})

    def found_at(self, root: str | None) -> Self:
        """Return the same data in another place."""
        return self if self.root == root else self.model_copy(update={"root": root})

    def division(self, seed: int) -> int | None:
        """Return the number of the division for a trial with this seed; None for the fixed one."""
        return seed if self.split == "seed" else None

    def setting(self, name: str) -> int:
        """Return `size`, `classes`, `samples` or `channels`: the given value, or the catalogue's default."""
        given: int | None = getattr(self, name)
        return DATASETS[self.name].settings[name] if given is None else given


def labels(datasets: Sequence[DataSet]) -> tuple[str, ...]:
    """Return a label for each data set: its name. If several have this name, their fields that differ are added.

    For example "digits", "npz (root=a.npz)" and "npz (root=b.npz)". Labels are different if the data sets are.
    """
    found = []
    for each in datasets:
        namesakes = [other.to_dict() for other in datasets if other.name == each.name]
        own = {
            field: value
            for field, value in each.to_dict().items()
            if value is not None and any(other[field] != value for other in namesakes)
        }
        shown = ", ".join(f"{field}={value}" for field, value in own.items())
        # A root is any text, and a label is printed.
        found.append(printable(f"{each.name} ({shown})") if shown else each.name)
    return tuple(found)
