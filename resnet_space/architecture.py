"""The description of a residual network: stem, stages of residual units, head; a frozen value without tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from resnet_space import paths
from resnet_space.blueprint import Blueprint, make_blueprint
from resnet_space.description import Description
from resnet_space.errors import InputError
from resnet_space.heads import AnyHead, LinearHead
from resnet_space.numbers import Channels, Side
from resnet_space.stage_widths import QuantizedLinear
from resnet_space.stems import AnyStem, Stem
from resnet_space.units import ResidualUnit, Stage, Transition, UnitOverride


def _form(stages: Any) -> str:
    """The form that stages are written in: a list, or numbers that a list is made from."""
    return "quantized_linear" if isinstance(stages, Mapping | QuantizedLinear) else LISTED


LISTED = "tuple[Stage, ...]"

Stages = Annotated[
    Annotated[tuple[Stage, ...], Field(min_length=1), Tag(LISTED)]
    | Annotated[QuantizedLinear, Tag("quantized_linear")],
    Discriminator(_form),
]


class Architecture(Description):
    """A residual network for images of shape `input_shape` = (channels, height, width) and `classes` classes.

    `stages` is a list of stages, or the few numbers of a design space: `{kind: quantized_linear, depth: 16, ...}`.

    `transition` selects how an identity-like shortcut changes shape (1512.03385, section 3.3): A takes every stride-th
    pixel and pads with zero channels, B uses a 1x1 convolution there, C uses a 1x1 convolution in every unit. D is B
    with average pooling in place of the stride (1812.01187, figure 2c). With `none` there is no shortcut where the
    shape changes (1801.04381, section 3.3). With `separate` a normalisation and a convolution whose kernel is its
    stride change the shape before the unit forks (2201.03545, section 2.6).

    Raises:
        InputError: (from `of`, `from_yaml`, `replace`, `preset`) a field is wrong, a stride shrinks the map to
            nothing, or a width or cardinality is not a whole number.
    """

    input_shape: tuple[Channels, Side, Side] = (3, 32, 32)
    classes: Channels = 10
    stem: AnyStem = Stem()
    stages: Stages
    unit: ResidualUnit = ResidualUnit()
    transition: Transition = "A"
    head: AnyHead = LinearHead()

    @field_validator("input_shape", mode="before")
    @classmethod
    def _has_three_numbers(cls, value: Any) -> Any:
        if isinstance(value, (tuple, list)) and len(value) != 3:
            raise ValueError(f"must be [channels, height, width], not {list(value)}")
        return value

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        _ = self.blueprint
        return self

    @cached_property
    def blueprint(self) -> Blueprint:
        """Every unit with its shapes, which is what `build` builds, `complexity` counts and `key` hashes."""
        return make_blueprint(self)

    @property
    def stage_list(self) -> tuple[Stage, ...]:
        """The stages, as a list."""
        return self.stages.stages() if isinstance(self.stages, QuantizedLinear) else self.stages

    @property
    def key(self) -> str:
        """The hash of the canonical form, 16 hex digits; equivalent descriptions have the same key."""
        return self.blueprint.key

    @property
    def depth(self) -> int:
        """The number of weighted layers as the papers count them: convolutions of stem and branches, and classifier."""
        return self.blueprint.depth

    def replace(self, **changes: Any) -> Architecture:
        """Return a copy of the net with some fields changed; `shortcut`, `order` and `branch` are fields of `unit`.

        >>> from resnet_space import preset
        >>> preset("resnet20").replace(order="full_preactivation").unit.order
        'full_preactivation'

        Raises:
            InputError: unknown field or wrong value.
        """
        return self.assign({f"unit.{name}" if name in UNIT_FIELDS else name: to for name, to in changes.items()})

    def assign(self, changes: Mapping[str, Any]) -> Architecture:
        """Return a copy of the net with values set by path: `{"unit.shortcut.gate_bias": -6}`.

        Paths are those of YAML and the command line. `*` is every index (`stages.*.units`). The path `width` multiplies
        all channels.

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
        """Return a copy of the net with all channels of stem, stages and branches multiplied by `factor`.

        Products are rounded, and are at least 1.

        Raises:
            InputError: the factor is not a positive number, or a width is no longer divisible as its branch needs.
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
            for stage in self.stage_list
        ]
        ends = {"stem": self.stem.widened(times), "head": self.head.widened(times)}
        return Architecture.of(self.model_dump() | ends | {"stages": stages, "unit": branch(self.unit)})


UNIT_FIELDS = tuple(ResidualUnit.model_fields)

DERIVED: dict[str, Callable[[Architecture, Any], Architecture]] = {"width": Architecture.widened}
"""Paths that are not the path of one field, with the function that sets them."""
