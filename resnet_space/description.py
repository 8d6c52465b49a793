"""The base of every description: frozen, strict, comparable, with errors that explain what is wrong with the input."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from resnet_space import documents
from resnet_space.catalogues import alternatives
from resnet_space.errors import InputError, unknown


class Description(BaseModel):
    """A frozen value that is written in YAML or JSON; descriptions with equal fields are equal and hash alike.

    Fields are strict (no `"3"` for 3, no `true` for 1, no NaN); unknown fields are refused.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for name in data:
            if name not in cls.model_fields:
                raise PydanticCustomError("unknown_field", "{hint}", {"name": name, "hint": cls._unknown(name)})
        return {name: _frozen(value) for name, value in data.items()}

    @classmethod
    def _unknown(cls, name: object) -> str:
        hint = str(unknown("field", name, cls.model_fields))
        owners = dict.fromkeys(kind_of(other) for other in kinds_of_family(cls) if name in other.model_fields)
        return f"{kind_of(cls)} has no {name!r}; it belongs to: {', '.join(owners)}" if owners else hint

    @classmethod
    def of(cls, data: Any, *, source: str = "") -> Self:
        """Validate plain data.

        Raises:
            InputError: one line per mistake: path, value, what is allowed, nearest name.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise InputError(explanation(error, cls, source)) from None

    @classmethod
    def from_yaml(cls, source: str | Path) -> Self:
        """Read YAML text or a file (a `Path`, or a one-line string that ends in .yaml, .yml or .json)."""
        return cls.of(documents.read(source), source=str(source) if documents.is_file(source) else "")

    @classmethod
    def from_json(cls, source: str | Path) -> Self:
        """Read JSON text or a file, in the same way as `from_yaml`: JSON is YAML."""
        return cls.from_yaml(source)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `of` accepts."""
        return self.model_dump(mode="json")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy. With changes, it is validated again and has no values cached from the old fields."""
        if not update:
            return super().model_copy(deep=deep)
        return type(self).of({name: getattr(self, name) for name in self.model_fields_set} | dict(update))

    def to_yaml(self) -> str:
        return documents.write(self.to_dict())

    def _repr_html_(self) -> str:
        """Return the description as a notebook shows it: its YAML."""
        return f"<pre>{html.escape(self.to_yaml())}</pre>"

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False)


class Kind(Description):
    """The base of a family whose members differ by their `kind`: `kind: Literal["dropout"] = "dropout"`."""

    if TYPE_CHECKING:
        kind: str = ""


def _frozen(value: Any) -> Any:
    """Turn YAML's lists into tuples, and -0.0 into 0.0: they are equal but would be written differently."""
    if isinstance(value, list):
        return tuple(value)
    return value + 0.0 if isinstance(value, float) else value


def kinds_of_family(cls: type[Description]) -> list[type[Description]]:
    """Return all kinds of the family that `cls` belongs to."""
    bases = (Description, Kind)
    family = next(base for base in reversed(cls.__mro__) if issubclass(base, Description) and base not in bases)
    # A kind with two bases of the family is found twice.
    return [member for member in dict.fromkeys(descendants(family)) if "kind" in member.model_fields]


def descendants(cls: type[Description]) -> list[type[Description]]:
    return [cls, *(found for child in cls.__subclasses__() for found in descendants(child))]


def kind_of(cls: type[Description]) -> str:
    field = cls.model_fields.get("kind")
    return str(field.default) if field else cls.__name__


Family = TypeVar("Family", bound=Kind)


def kinds(family: type[Family], module: Mapping[str, Any]) -> dict[str, type[Family]]:
    """Return the kinds of a family that a module defines, by name, in the module's order.

    Used at the end of the module: `SHORTCUTS = kinds(ShortcutKind, globals())`. Classes without a `kind` are skipped.

    Raises:
        TypeError: two classes have the same kind.
    """
    found = dict[str, type[Family]]()
    for cls in module.values():
        if not (isinstance(cls, type) and issubclass(cls, family) and _names_a_kind(cls)):
            continue
        if (other := found.setdefault(kind_of(cls), cls)) is not cls:
            raise TypeError(f"{other.__name__} and {cls.__name__} are both of kind {kind_of(cls)!r}")
    return found


def _names_a_kind(cls: type[Description]) -> bool:
    field = cls.model_fields.get("kind")
    return field is not None and isinstance(field.default, str)


_PLAIN = {
    "missing": "required, and not given",
    "model_type": "must be a mapping of fields, not {value}",
    "model_attributes_type": "must be a mapping of fields, not {value}",
    "int_type": "must be a whole number, not {value}",
    "int_from_float": "must be a whole number, not {value}",
    "float_type": "must be a number, not {value}",
    "finite_number": "must be a finite number, not {value}",
    "bool_type": "must be true or false, not {value}",
    "string_type": "must be text, not {value}",
    "tuple_type": "must be a list, not {value}",
    "dict_type": "must be a mapping, not {value}",
    "greater_than": "must be greater than {gt}, not {value}",
    "greater_than_equal": "must be at least {ge}, not {value}",
    "less_than": "must be less than {lt}, not {value}",
    "less_than_equal": "must be at most {le}, not {value}",
    "too_short": "needs at least {min_length} of them, not {actual_length}",
    "too_long": "takes at most {max_length} of them, not {actual_length}",
}


def explanation(error: ValidationError, cls: type[Description], source: str = "") -> str:
    """Return the message for pydantic's error about a description: one line per mistake, each after the source."""
    prefix = f"{source}: " if source else ""
    details = error.errors(include_url=False)
    # A list that is too short only because its wrong members do not count is not reported as too short.
    within = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
    wrong = [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in within]
    return "\n".join(dict.fromkeys(prefix + _explain(detail, cls) for detail in wrong))


def _explain(detail: ErrorDetails, cls: type[Description]) -> str:
    """Return one line for one pydantic error."""
    kind, context = detail["type"], detail.get("ctx") or {}
    path = ".".join(_as_written(detail["loc"], cls))
    value = repr(_listed(detail["input"]))
    value = value if len(value) <= 60 else value[:57] + "..."
    what = path.rsplit(".", 1)[-1] or "value"
    if kind == "literal_error":
        return str(unknown(what, detail["input"], _quoted(context["expected"]), path=path))
    if kind == "union_tag_invalid":
        return str(unknown(what, context["tag"], _quoted(context["expected_tags"]), path=f"{path}.kind"))
    if kind == "unknown_field":
        return f"{path}.{context['name']}: {context['hint']}".lstrip(".")
    if kind in _PLAIN:
        plain = {name: f"{bound:g}" if isinstance(bound, float) else bound for name, bound in context.items()}
        text = _PLAIN[kind].format(value=value, **plain)
    elif kind == "value_error":
        text = str(context["error"])
        if isinstance(context["error"], InputError) and not path:
            return text
    else:
        text = f"{detail['msg']}, not {value}" if kind not in ("string_pattern_mismatch",) else detail["msg"]
    return f"{path}: {text}" if path else text


def _as_written(location: tuple[int | str, ...], cls: type[Description]) -> Iterator[str]:
    """Return a path as users wrote it, without the kinds, types and validator names that pydantic adds."""
    here = {cls}
    for part in location:
        owners = [owner for owner in here if part in owner.model_fields]
        kinds = {kind_of(owner): owner for owner in here if "kind" in owner.model_fields}
        if owners:
            infos = [owner.model_fields[str(part)] for owner in owners]
            here = {found for info in infos for found in _within(info.annotation, info.metadata)}
        elif part in kinds:
            here = {kinds[str(part)]}
            continue
        elif isinstance(part, str) and ("[" in part or (not here and part in _TYPES)):
            continue
        yield str(part)


_TYPES = ("str", "int", "float", "bool", "none")


def _within(annotation: Any, metadata: Sequence[Any] = ()) -> set[type[Description]]:
    """Return the descriptions that an annotation contains, at any depth."""
    found = set[type[Description]]()
    for each in alternatives(annotation, metadata):
        described = isinstance(each, type) and issubclass(each, Description)
        found |= {each} if described else {inner for part in get_args(each) for inner in _within(part)}
    return found


def _listed(value: Any) -> Any:
    """Return a value as it was written: with lists instead of tuples."""
    if isinstance(value, tuple | list):
        return [_listed(part) for part in value]
    return {name: _listed(part) for name, part in value.items()} if isinstance(value, dict) else value


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text) or re.findall(r"-?\d+", text)
