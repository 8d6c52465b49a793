"""What data a trial sees: a data set, its division, and what is done to a training batch. No tensors."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema

from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.numbers import AtLeast2, Count, ProperProportion
from search.data.catalogue import DATASETS


class DataSet(Description):
    """A data set by name, and how it is divided; may be written as its bare name.

    `validation` and `test` are fractions of the images that come undivided: of all of them where the set has
    no test images of its own, else of its training images (`test` is then not used). CIFAR-10: 45k, 5k, 10k.
    """

    name: Annotated[str, Field(json_schema_extra={"enum": list(DATASETS)})]
    root: str | None = None
    """A directory, or for npz a file; where the data lies, not what it is, so no part of a trial's name."""
    validation: ProperProportion = 0.1
    test: ProperProportion = 0.2
    limit: Count | None = None
    """At most so many training images, in the same mixture of classes: for quick looks."""
    size: Count | None = None
    """Side of a square image in pixels (imagefolder, fake)."""
    classes: AtLeast2 | None = None
    samples: Count | None = None
    """Images in all (fake)."""
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
            raise InputError(f"root: data set {self.name!r} lies in no file and takes none")
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

    def setting(self, name: str) -> int:
        """`size`, `classes`, `samples` or `channels`, as given or as the catalogue has it."""
        given: int | None = getattr(self, name)
        return DATASETS[self.name].settings[name] if given is None else given


class Augmentation(Description):
    """What is done to each normalised training image, anew in every epoch. 1512.03385, section 4.2."""

    pad: Annotated[int, Field(ge=0, le=256)] = 0
    """Pixels of zeros on each side, before a random crop of the original size."""
    flip: bool = False
    """Mirror left and right with probability 1/2."""
