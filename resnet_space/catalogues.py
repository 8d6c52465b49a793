"""Fields whose allowed values are the rows of a catalogue. A catalogue is a dict.

`Annotated[ShortcutKind, OneOf(SHORTCUTS)]` accepts each kind in `SHORTCUTS`; `Annotated[str, NameOf(ORDERS)]` accepts
each name in `ORDERS`. A new row in the dict is at once accepted, listed in errors and in the JSON Schema, and allowed
as a value of an axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from resnet_space.errors import InputError


class OneOf:
    """A field that takes `{kind: NAME, field: value, ...}` from a catalogue of descriptions.

    A name alone means that kind with its defaults. A mapping without a `kind` has the kind `otherwise`, if it is given.
    """

    def __init__(self, catalogue: Mapping[str, type[BaseModel]], *, otherwise: str = "") -> None:
        self.catalogue, self.otherwise = catalogue, otherwise

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kinds = reduce(or_, self.catalogue.values())
        return handler.generate_schema(Annotated[kinds, Field(discriminator="kind"), BeforeValidator(self._with_kind)])

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        if self.otherwise:
            # A mapping without a kind fits several kinds, of which `otherwise` is meant.
            schema = handler(core)
            return {**{name: value for name, value in schema.items() if name != "oneOf"}, "anyOf": schema["oneOf"]}
        return {"anyOf": [handler(core), {"enum": list(self.catalogue)}]}

    def _with_kind(self, value: Any) -> Any:
        if isinstance(value, Mapping) and "kind" not in value:
            if self.otherwise:
                return {"kind": self.otherwise, **value}
            raise InputError(f"needs a 'kind', not {value}; allowed: {', '.join(self.catalogue)}")
        return {"kind": value} if isinstance(value, str) else value


class NameOf:
    """A field that takes a name from a catalogue."""

    def __init__(self, catalogue: Mapping[str, Any]) -> None:
        self.catalogue = catalogue

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(self.literal)

    @property
    def literal(self) -> Any:
        """A `Literal` of the names."""
        return Literal[tuple(self.catalogue)]


def alternatives(annotation: Any, metadata: Sequence[Any] = ()) -> Iterator[Any]:
    """Yield the types that a field accepts: the members of a union and the rows of a catalogue.

    For a `FieldInfo`, call `alternatives(info.annotation, info.metadata)`.
    """
    for mark in metadata:
        if isinstance(mark, OneOf):
            yield from mark.catalogue.values()
            return
        if isinstance(mark, NameOf):
            yield mark.literal
            return
    if get_origin(annotation) is Annotated:
        yield from alternatives(*_apart(annotation))
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from alternatives(part)
    else:
        yield annotation


def _apart(annotation: Any) -> tuple[Any, Sequence[Any]]:
    inner, *metadata = get_args(annotation)
    return inner, metadata
