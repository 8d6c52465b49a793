"""The short forms in which a space is written: the name of a preset, an axis as a list, a condition as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from resnet_space.architecture import Architecture
from resnet_space.axes import Choices, Range, make_axis
from resnet_space.errors import InputError
from resnet_space.fields import Field
from resnet_space.presets import preset


@dataclass(frozen=True)
class SpaceSize:
    """The size of a space. The last three numbers are None above `space.MAX_COUNTED` assignments.

    Of the `active` assignments, `infeasible` fail, and `active - infeasible - distinct` are duplicates.
    """

    raw: int
    """The product of the axes' numbers of values."""
    active: int | None
    """The number of assignments to the active axes."""
    distinct: int | None
    """The number of feasible networks, by `Architecture.key`."""
    infeasible: int | None
    """The number of assignments that cannot be built, or that a constraint refuses."""


AxesForm = dict[str, list[Any] | Literal["all"] | Range]
WhenForm = dict[str, list[Any] | str | float | bool]
"""The input forms of axes and conditions, for the JSON Schema."""


def read_base(data: Any) -> Any:
    if isinstance(data, str):
        preset(data)
        return data
    return data if isinstance(data, Architecture) else Architecture.of(data)


def read_axes(data: Any, table: Mapping[str, Field]) -> Any:
    """The axes from their short forms, by path; all mistakes are reported together."""
    if not isinstance(data, Mapping):
        return data
    made, mistakes = {}, []
    for path, values in data.items():
        try:
            made[path] = make_axis(str(path), values, table)
        except InputError as error:
            mistakes.append(f"{path}: {error}")
    if mistakes:
        raise InputError("\naxes: ".join(mistakes))
    return made


def read_conditions(data: Any) -> Any:
    """A single value is a list of one value."""
    if not isinstance(data, Mapping):
        return data
    return {other: values if isinstance(values, list | tuple | Choices) else [values] for other, values in data.items()}
