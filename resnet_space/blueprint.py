"""From a description to every unit with its shapes, in canonical form: the one thing that is built, counted, hashed.

Two descriptions with equal blueprints are the same network, so equivalences live here and nowhere else: a gate that is
not there has no bias, an unstrided bottleneck does not say where its stride stands, an identity that is projected
*is* the 1x1 convolution, and a net without a change of shape has no transition.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, Literal, Protocol

from resnet_space import layers
from resnet_space.description import kind_of
from resnet_space.errors import InputError
from resnet_space.layers import Chain, Size, convolutions
from resnet_space.orders import Normalisation, Order, OrderName, applied, canonical
from resnet_space.shortcuts import Conv1x1Shortcut, IdentityShortcut, ShortcutKind
from resnet_space.stems import AnyStem
from resnet_space.units import ResidualUnit, Stage, Transition

SCHEMA = 2
"""Part of every key: raised when a change of meaning must not find old results."""

MAX_WEIGHTS = 2_000_000_000
"""More would not fit the memory of the machine that counts them."""

Carry = Literal["keep", "pad", "project", "nothing"]


@dataclass(frozen=True)
class UnitPlan:
    """One residual unit from (`in_channels`, H, W) to (`out_channels`, `out_size`)."""

    size: Size
    """(H, W) of the input's map."""
    in_channels: int
    channels: int
    """Of the branch's output."""
    stride: int
    order: OrderName
    normalisation: Normalisation
    shortcut: ShortcutKind
    carry: Carry
    """How x reaches the sum: as it is, strided and padded with zero channels, by a 1x1 convolution, or not at all."""
    shared_first: bool
    """The order's `first` stands before the fork, so that the shortcut sees it too."""
    entry: Chain
    """Layers before the fork, for shortcut and branch alike: what changes the shape where shortcuts concatenate."""
    chain: Chain
    squeeze: int | None
    """Hidden width of squeeze-and-excitation, None without."""
    survival: float
    """Of the branch, in training."""

    @property
    def ordered(self) -> Order:
        """Where BN, if any, and ReLU stand."""
        return applied(self.order, self.normalisation)

    @property
    def forked(self) -> tuple[int, Size]:
        """Channels and map at the fork, behind the entry."""
        return layers.out_channels(self.entry, self.in_channels), layers.out_size(self.entry, self.size)

    @cached_property
    def out_size(self) -> Size:
        return layers.out_size(self.chain, self.forked[1])

    @property
    def out_channels(self) -> int:
        return self.channels + (self.forked[0] if self.shortcut.join == "concatenation" else 0)


@dataclass(frozen=True)
class Blueprint:
    """A network in canonical form."""

    input_shape: tuple[int, int, int]
    classes: int
    stem: Chain
    stem_last: str
    """BN and ReLU behind the stem's last convolution; behind others in it stand both."""
    units: tuple[UnitPlan, ...]

    @property
    def normalisation(self) -> Normalisation:
        """Of stem and head: the first unit's."""
        return self.units[0].normalisation

    @property
    def tail(self) -> str:
        return self.units[-1].ordered.tail

    @property
    def channels(self) -> int:
        return self.units[-1].out_channels

    @property
    def depth(self) -> int:
        return layers.depth(self.stem) + sum(layers.depth((*unit.entry, *unit.chain)) for unit in self.units) + 1

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
            "stem": [str(layer) for layer in self.stem],
            "stem_last": self.stem_last,
            "units": [[count, _text(unit)] for count, unit in runs],
        }
        return hashlib.sha256(_canonical_json(content).encode()).hexdigest()[:16]


def _canonical_json(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=65536)
def _text(unit: UnitPlan) -> str:
    """All that a unit is. What a shortcut has at its default is left out, so that a new field moves no old key."""
    shortcut = unit.shortcut.model_dump(exclude_defaults=True) | {"kind": kind_of(type(unit.shortcut))}
    chains = {name: layers.spelt(getattr(unit, name)) for name in ("entry", "chain")}
    plain = {field.name: getattr(unit, field.name) for field in fields(unit)}
    return _canonical_json(plain | chains | {"shortcut": shortcut})


class Described(Protocol):
    """What a blueprint is drawn from: the fields of an `Architecture`."""

    @property
    def input_shape(self) -> tuple[int, int, int]: ...

    @property
    def classes(self) -> int: ...

    @property
    def stem(self) -> AnyStem: ...

    @property
    def stages(self) -> tuple[Stage, ...]: ...

    @property
    def unit(self) -> ResidualUnit: ...

    @property
    def transition(self) -> Transition: ...


def draw(net: Described) -> Blueprint:
    """The blueprint of a description.

    Raises:
        InputError: a stride shrinks the map to nothing, widths do not come out even, shapes do not meet, or there are
            too many weights.
    """
    stem = net.stem.chain(net.input_shape[0], net.input_shape[1:])
    size = _behind(stem, net.input_shape[1:], "stem")
    channels, units = layers.out_channels(stem, net.input_shape[0]), list[UnitPlan]()
    total = sum(stage.units for stage in net.stages)
    for index, stage in enumerate(net.stages):
        where = f"stages.{index}"
        if min(size) < stage.stride:
            raise InputError(f"{where}.stride: {stage.stride} would shrink a map of {size[0]}x{size[1]} to nothing")
        unit = stage.unit.over(net.unit) if stage.unit else net.unit
        for number in range(stage.units):
            stride = 1 if number else stage.stride
            survival = 1 - (1 - unit.survival) * (len(units) + 1) / total
            plan = _unit(
                unit,
                net.transition,
                stage.channels,
                net.stages[0].channels,
                size,
                channels,
                stride,
                survival,
                where,
                own=bool(stage.unit and stage.unit.branch),
                first=not units,
            )
            size, channels = plan.out_size, plan.out_channels
            units.append(plan)
            if number and unit.survival == 1 and channels == plan.in_channels and size == plan.size:
                # All that follow in the stage are like this one.
                units += [plan] * (stage.units - 1 - number)
                break
    weights = sum(shape.weights for unit in units for shape in convolutions((*unit.entry, *unit.chain)))
    if weights > MAX_WEIGHTS:
        raise InputError(f"stages: {weights:.3g} weights in the branches; at most {MAX_WEIGHTS:.3g} are built")
    units = _in_front(units)
    order = applied(net.stem.order or units[0].order, units[0].normalisation)
    return Blueprint(net.input_shape, net.classes, stem, order.stem, tuple(units))


def _in_front(units: list[UnitPlan]) -> list[UnitPlan]:
    """A first ReLU that nothing goes around, in any unit, is the ReLU behind the unit before: the original order."""
    if all(unit.order == "relu_only_preactivation" and unit.shared_first for unit in units):
        return [replace(unit, order="original", shared_first=False) for unit in units]
    return units


@lru_cache(maxsize=65536)
def _unit(
    unit: ResidualUnit,
    transition: Transition,
    channels: int,
    first_channels: int,
    size: Size,
    in_channels: int,
    stride: int,
    survival: float,
    where: str,
    *,
    own: bool,
    first: bool,
) -> UnitPlan:
    """One unit's plan; networks of a space have most of theirs in common."""
    shortcut = unit.shortcut.canonical()
    entry = unit.shortcut.entry(in_channels, stride)
    stride = 1 if entry else stride
    forked = layers.out_channels(entry, in_channels)
    reshaped = stride > 1 or forked != channels
    carry = _carry(transition, shortcut, reshaped)
    if carry == "pad" and channels < forked:
        raise InputError(
            f"{where}.channels: transition A pads with channels, and cannot go from {forked} down to "
            f"{channels}; use transition B"
        )
    if carry == "project" and isinstance(shortcut, IdentityShortcut):
        shortcut = Conv1x1Shortcut()
    try:
        scale = Fraction(channels, first_channels)
        chain = unit.branch.chain(forked, channels, stride, scale)
    except InputError as error:
        raise InputError(f"{where}.{error}" if own else str(error)) from None
    order = canonical(unit.order, unit.normalisation)
    plan = UnitPlan(
        size=size,
        in_channels=in_channels,
        channels=layers.out_channels(chain, forked),
        stride=stride,
        order=order,
        normalisation=unit.normalisation,
        shortcut=shortcut,
        carry=carry,
        shared_first=_shares(applied(order, unit.normalisation), shortcut, carry, reshaped=reshaped, first=first),
        entry=entry,
        chain=chain,
        squeeze=max(1, channels // unit.branch.squeeze) if unit.branch.squeeze else None,
        survival=survival,
    )
    _meet(plan, channels, where)
    return plan


def _shares(order: Order, shortcut: ShortcutKind, carry: Carry, *, reshaped: bool, first: bool) -> bool:
    return bool(order.first) and shortcut.join == "sum" and (reshaped or first) and carry != "nothing"


def _carry(transition: Transition, shortcut: ShortcutKind, reshaped: bool) -> Carry:
    if shortcut.carry != "transition":
        return shortcut.carry
    if transition == "C":
        return "project"
    if not reshaped:
        return "keep"
    return "pad" if transition == "A" else "project"


def _meet(plan: UnitPlan, channels: int, where: str) -> None:
    """Branch and shortcut must fit each other, and what begins or drops the branch must have what it needs."""
    kind = kind_of(type(plan.shortcut))
    if plan.channels != channels:
        raise InputError(
            f"{where}.channels: the branch puts out {plan.channels} channels, and the stage has {channels}"
        )
    _, size = plan.forked
    end = _behind(plan.chain, size, f"{where}.unit.branch")
    beside = layers.slid(size, (1, 1), (0, 0), plan.stride)
    if plan.carry != "nothing" and end != beside:
        raise InputError(
            f"{where}.unit.branch: ends in a map of {end[0]}x{end[1]}, and the shortcut in one of "
            f"{beside[0]}x{beside[1]}; write /s where the stage's stride is, and pad"
        )
    if plan.survival < 1 and (plan.carry == "nothing" or plan.shortcut.join != "sum"):
        raise InputError(
            f"unit.survival: without the branch nothing is left of {kind}; take a shortcut that is added to"
        )
    if plan.shortcut.begins == "zero_bn" and not _has_bn(plan):
        raise InputError(f"unit.shortcut.kind: {kind} begins with the branch's last BN at 0, and there is none in it")


def _has_bn(plan: UnitPlan) -> bool:
    """Whether every way through the branch goes through BN."""
    order = plan.ordered
    if "bn" in order.first and not plan.shared_first:
        return True
    if "bn" not in order.between + order.last:
        return False
    return layers.normalised(plan.chain, within="bn" not in order.last) > 0


def _behind(chain: Chain, size: Size, path: str) -> Size:
    try:
        return layers.out_size(chain, size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
