"""From a description to every unit with its shapes, in canonical form: the one thing that is built, counted, hashed.

Two descriptions with equal blueprints are the same network, so equivalences live here and nowhere else: a gate that is
not there has no bias, an unstrided bottleneck does not say where its stride stands, an identity that is projected
*is* the 1x1 convolution, and a net without a change of shape has no transition.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, Literal

from resnet_space.architecture import Architecture, Stage, Stem
from resnet_space.branches import Convolution
from resnet_space.errors import InputError
from resnet_space.orders import ORDERS, OrderName
from resnet_space.shortcuts import Conv1x1Shortcut, IdentityShortcut, ShortcutKind

SCHEMA = 1
"""Part of every key: raised when a change of meaning must not find old results."""

MAX_WEIGHTS = 2_000_000_000
"""More would not fit the memory of the machine that counts them."""

Carry = Literal["keep", "pad", "project", "nothing"]


@dataclass(frozen=True)
class UnitPlan:
    """One residual unit from (`in_channels`, H, W) to (`channels`, ceil(H/`stride`), ceil(W/`stride`))."""

    size: tuple[int, int]
    """(H, W) of the input's map."""
    in_channels: int
    channels: int
    stride: int
    order: OrderName
    shortcut: ShortcutKind
    carry: Carry
    """How x reaches the sum: as it is, strided and padded with zero channels, by a 1x1 convolution, or not at all."""
    shared_first: bool
    """The order's `first` stands before the fork, so that the shortcut sees it too."""
    chain: tuple[Convolution, ...]

    @property
    def out_size(self) -> tuple[int, int]:
        return ceil_div(self.size, self.stride)


@dataclass(frozen=True)
class Blueprint:
    """A network in canonical form."""

    input_shape: tuple[int, int, int]
    classes: int
    stem: Stem
    units: tuple[UnitPlan, ...]

    @property
    def stem_order(self) -> str:
        return ORDERS[self.units[0].order].stem

    @property
    def tail(self) -> str:
        return ORDERS[self.units[-1].order].tail

    @property
    def channels(self) -> int:
        return self.units[-1].channels

    @property
    def depth(self) -> int:
        return 1 + sum(len(unit.chain) for unit in self.units) + 1

    @cached_property
    def key(self) -> str:
        runs: list[list[Any]] = []
        for unit in self.units:
            if runs and runs[-1][1] == unit:
                runs[-1][0] += 1
            else:
                runs.append([1, unit])
        content = {
            "schema": SCHEMA,
            "input_shape": self.input_shape,
            "classes": self.classes,
            "stem": self.stem,
            "units": [[count, _text(unit)] for count, unit in runs],
        }
        return hashlib.sha256(_canonical_json(content).encode()).hexdigest()[:16]


def _canonical_json(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), default=lambda value: value.model_dump())


@lru_cache(maxsize=65536)
def _text(unit: UnitPlan) -> str:
    return _canonical_json(asdict(unit))


def draw(net: Architecture) -> Blueprint:
    """The blueprint of a description.

    Raises:
        InputError: a stride shrinks the map to nothing, widths do not come out even, or there are too many weights.
    """
    size = _shrunk(net.input_shape[1:], net.stem.stride, "stem.stride")
    size = _shrunk(size, 2, "stem.max_pool") if net.stem.max_pool else size
    channels, units = net.stem.channels, list[UnitPlan]()
    for index, stage in enumerate(net.stages):
        where = f"stages.{index}"
        _shrunk(size, stage.stride, f"{where}.stride")
        head = _unit(net, stage, size, channels, stage.stride, where, first=index == 0)
        size, channels = head.out_size, stage.channels
        units.append(head)
        if stage.units > 1:
            units += [_unit(net, stage, size, channels, 1, where, first=False)] * (stage.units - 1)
    weights = sum(shape.weights for unit in units for shape in unit.chain)
    if weights > MAX_WEIGHTS:
        raise InputError(f"stages: {weights:.3g} weights in the branches; at most {MAX_WEIGHTS:.3g} are built")
    return Blueprint(net.input_shape, net.classes, net.stem, tuple(_in_front(units)))


def _in_front(units: list[UnitPlan]) -> list[UnitPlan]:
    """A first ReLU that nothing goes around, in any unit, is the ReLU behind the unit before: the original order."""
    if all(unit.order == "relu_only_preactivation" and unit.shared_first for unit in units):
        return [replace(unit, order="original", shared_first=False) for unit in units]
    return units


def _unit(
    net: Architecture, stage: Stage, size: tuple[int, int], in_channels: int, stride: int, where: str, *, first: bool
) -> UnitPlan:
    unit = stage.unit.over(net.unit) if stage.unit else net.unit
    reshaped = stride > 1 or in_channels != stage.channels
    shortcut = unit.shortcut.canonical()
    carry = _carry(net, shortcut, reshaped)
    if carry == "pad" and stage.channels < in_channels:
        raise InputError(
            f"{where}.channels: transition A pads with channels, and cannot go from {in_channels} down to "
            f"{stage.channels}; use transition B"
        )
    if carry == "project" and isinstance(shortcut, IdentityShortcut):
        shortcut = Conv1x1Shortcut()
    try:
        scale = Fraction(stage.channels, net.stages[0].channels)
        chain = unit.branch.chain(in_channels, stage.channels, stride, scale)
    except InputError as error:
        raise InputError(f"{where}.{error}" if stage.unit and stage.unit.branch else str(error)) from None
    return UnitPlan(
        size=size,
        in_channels=in_channels,
        channels=stage.channels,
        stride=stride,
        order=unit.order,
        shortcut=shortcut,
        carry=carry,
        shared_first=bool(ORDERS[unit.order].first) and (reshaped or first) and carry != "nothing",
        chain=chain,
    )


def _carry(net: Architecture, shortcut: ShortcutKind, reshaped: bool) -> Carry:
    if shortcut.carry != "transition":
        return shortcut.carry
    if net.transition == "C":
        return "project"
    if not reshaped:
        return "keep"
    return "pad" if net.transition == "A" else "project"


def _shrunk(size: tuple[int, int], stride: int, path: str) -> tuple[int, int]:
    if min(size) < stride:
        raise InputError(f"{path}: {stride} would shrink a map of {size[0]}x{size[1]} to nothing")
    return ceil_div(size, stride)


def ceil_div(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """The map's size behind a padded convolution or pooling of this stride."""
    return -(-size[0] // stride), -(-size[1] // stride)
