"""What a residual network is: stem, stages of residual units, head; as a frozen value without tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from resnet_space import paths
from resnet_space.blueprint import Blueprint, draw
from resnet_space.description import Description
from resnet_space.errors import InputError
from resnet_space.numbers import Channels, Side
from resnet_space.stems import AnyStem, Stem
from resnet_space.units import ResidualUnit, Stage, Transition, UnitOverride


class Architecture(Description):
    """A residual network for images of shape `input_shape` = (channels, height, width) and `classes` classes.

    `transition` is what an identity-like shortcut does where the shape changes (1512.03385, section 3.3): A takes every
    stride-th pixel and pads with zero channels, B projects there by a 1x1 convolution, C projects in every unit.

    Raises:
        InputError: (from `of`, `from_yaml`, `replace`, `preset`) a field is wrong, a stride shrinks the map to
            nothing, or a width or cardinality does not come out even.
    """

    input_shape: tuple[Channels, Side, Side] = (3, 32, 32)
    classes: Channels = 10
    stem: AnyStem = Stem()
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    unit: ResidualUnit = ResidualUnit()
    transition: Transition = "A"

    @field_validator("input_shape", mode="before")
    @classmethod
    def _of_three(cls, value: Any) -> Any:
        if isinstance(value, (tuple, list)) and len(value) != 3:
            raise ValueError(f"must be [channels, height, width], not {list(value)}")
        return value

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        _ = self.blueprint
        return self

    @cached_property
    def blueprint(self) -> Blueprint:
        """Every unit with its shapes: what is built, counted and hashed."""
        return draw(self)

    @property
    def key(self) -> str:
        """Content hash of the canonical form, 16 hex digits: equal for equivalent descriptions."""
        return self.blueprint.key

    @property
    def depth(self) -> int:
        """Weighted layers as the papers count them: convolutions of stem and branches, and the classifier."""
        return self.blueprint.depth

    def replace(self, **changes: Any) -> Architecture:
        """The same net but for some fields; `shortcut`, `order` and `branch` reach into the unit.

        >>> from resnet_space import preset
        >>> preset("resnet20").replace(order="full_preactivation").unit.order
        'full_preactivation'

        Raises:
            InputError: unknown field or wrong value.
        """
        return self.assign({f"unit.{name}" if name in UNIT_FIELDS else name: to for name, to in changes.items()})

    def assign(self, changes: Mapping[str, Any]) -> Architecture:
        """The net with values set by path, as in YAML and on the command line: `{"unit.shortcut.gate_bias": -6}`.

        `*` stands for every index (`stages.*.units`). `width` is a path too: it multiplies all channels.

        Raises:
            InputError: unknown path or wrong value.
        """
        derived = {path: value for path, value in changes.items() if path in DERIVED}
        plain = {path: value for path, value in changes.items() if path not in DERIVED}
        net = Architecture.of(paths.assign(self.model_dump(), plain)) if plain else self
        for path, value in derived.items():
            net = DERIVED[path](net, value)
        return net

    def widened(self, factor: float) -> Architecture:
        """The net with the channels of stem, stages and branches multiplied by `factor`, rounded, at least 1.

        Raises:
            InputError: the factor is not a positive number, or widths no longer come out even.
        """
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < math.inf:
            raise InputError(f"width: must be a positive number, a factor on all channels, not {factor!r}")
        exact = Fraction(factor).limit_denominator(4096)

        def times(channels: int) -> int:
            return max(1, round(channels * exact))

        def branch(owner: ResidualUnit | UnitOverride) -> dict[str, Any]:
            wider = owner.branch.widened(exact).model_dump() if owner.branch else None
            return owner.model_dump() | {"branch": wider}

        stages = [
            stage.model_dump() | {"channels": times(stage.channels), "unit": branch(stage.unit) if stage.unit else None}
            for stage in self.stages
        ]
        stem = self.stem.widened(times)
        return Architecture.of(self.model_dump() | {"stem": stem, "stages": stages, "unit": branch(self.unit)})


UNIT_FIELDS = tuple(ResidualUnit.model_fields)

DERIVED: dict[str, Callable[[Architecture, Any], Architecture]] = {"width": Architecture.widened}
"""Paths that stand for no single field."""
