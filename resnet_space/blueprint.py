"""From a description to its blueprint: every unit with its shapes, in canonical form. It is built, counted and hashed.

Two descriptions with equal blueprints are the same network. All equivalences are defined here and nowhere else. For
example: an unstrided bottleneck has no position of its stride, an identity shortcut that is projected is the 1x1
convolution, and a net without a change of shape has no transition.
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
"""Part of every key; increased when descriptions change their meaning, so that no old results are found."""

MAX_WEIGHTS = 2_000_000_000
"""The maximum number of weights in the branches: more would not fit in the memory of the machine that counts them."""

Carry = Literal["keep", "pad", "project", "nothing"]


@dataclass(frozen=True)
class UnitPlan:
    """One residual unit, from a map (`in_channels`, *`size`) to a map (`out_channels`, *`out_size`)."""

    size: Size
    """(H, W) of the input."""
    in_channels: int
    channels: int
    """The channels of the branch's output."""
    stride: int
    order: OrderName
    normalisation: Normalisation
    shortcut: ShortcutKind
    carry: Carry
    """How x reaches the sum: unchanged, strided and zero-padded, through a 1x1 convolution, or not at all."""
    shared_first: bool
    """Whether the order's `first` comes before the fork, so that the shortcut uses its output too."""
    entry: Chain
    """Layers before the fork, shared by shortcut and branch; they change the shape for shortcuts that concatenate."""
    chain: Chain
    squeeze: int | None
    """The hidden width of squeeze-and-excitation; None without it."""
    survival: float
    """The survival probability of the branch in training."""

    @property
    def ordered(self) -> Order:
        """The positions of BN, if any, and ReLU."""
        return applied(self.order, self.normalisation)

    @property
    def forked(self) -> tuple[int, Size]:
        """Channels and (H, W) at the fork, after the entry."""
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
    """BN and ReLU after the stem's last convolution; after each other convolution of the stem come both."""
    units: tuple[UnitPlan, ...]

    @property
    def normalisation(self) -> Normalisation:
        """The normalisation of stem and head, which is that of the first unit."""
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
            "units": [[count, _unit_json(unit)] for count, unit in runs],
        }
        return hashlib.sha256(_canonical_json(content).encode()).hexdigest()[:16]


def _canonical_json(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=65536)
def _unit_json(unit: UnitPlan) -> str:
    """A unit as canonical JSON. Defaults of a shortcut are left out, so that a new field changes no old key."""
    shortcut = unit.shortcut.model_dump(exclude_defaults=True) | {"kind": kind_of(type(unit.shortcut))}
    chains = {name: layers.chain_text(getattr(unit, name)) for name in ("entry", "chain")}
    plain = {field.name: getattr(unit, field.name) for field in fields(unit)}
    return _canonical_json(plain | chains | {"shortcut": shortcut})


class Described(Protocol):
    """The fields of an `Architecture` that its blueprint is made from."""

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


def make_blueprint(net: Described) -> Blueprint:
    """Return the blueprint of a description.

    Raises:
        InputError: a stride shrinks the map to nothing, a width is not divisible, the shapes of branch and shortcut
            differ, or there are too many weights.
    """
    stem = net.stem.chain(net.input_shape[0], net.input_shape[1:])
    size = _out_size(stem, net.input_shape[1:], "stem")
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
                # The remaining units of the stage are equal to this one.
                units += [plan] * (stage.units - 1 - number)
                break
    weights = sum(shape.weights for unit in units for shape in convolutions((*unit.entry, *unit.chain)))
    if weights > MAX_WEIGHTS:
        raise InputError(f"stages: {weights:.3g} weights in the branches; at most {MAX_WEIGHTS:.3g} are allowed")
    units = _as_original_order(units)
    order = applied(net.stem.order or units[0].order, units[0].normalisation)
    return Blueprint(net.input_shape, net.classes, stem, order.stem, tuple(units))


def _as_original_order(units: list[UnitPlan]) -> list[UnitPlan]:
    """Return the units in the original order if that is equivalent.

    If in every unit the first ReLU comes before the fork, it equals the ReLU after the previous unit.
    """
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
    """The plan of one unit; cached, since the networks of a space share most of their units."""
    shortcut = unit.shortcut.canonical()
    entry = unit.shortcut.entry(in_channels, stride)
    stride = 1 if entry else stride
    forked = layers.out_channels(entry, in_channels)
    reshaped = stride > 1 or forked != channels
    carry = _carry(transition, shortcut, reshaped)
    if carry == "pad" and channels < forked:
        raise InputError(
            f"{where}.channels: transition A pads channels and cannot reduce them from {forked} to {channels}; "
            "use transition B"
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
        shared_first=_shares_first(applied(order, unit.normalisation), shortcut, carry, reshaped=reshaped, first=first),
        entry=entry,
        chain=chain,
        squeeze=max(1, channels // unit.branch.squeeze) if unit.branch.squeeze else None,
        survival=survival,
    )
    _check_fit(plan, channels, where)
    return plan


def _shares_first(order: Order, shortcut: ShortcutKind, carry: Carry, *, reshaped: bool, first: bool) -> bool:
    return bool(order.first) and shortcut.join == "sum" and (reshaped or first) and carry != "nothing"


def _carry(transition: Transition, shortcut: ShortcutKind, reshaped: bool) -> Carry:
    if shortcut.carry != "transition":
        return shortcut.carry
    if transition == "C":
        return "project"
    if not reshaped:
        return "keep"
    return "pad" if transition == "A" else "project"


def _check_fit(plan: UnitPlan, channels: int, where: str) -> None:
    """Check that the shapes of branch and shortcut agree, and that `survival` and the shortcut fit the branch."""
    kind = kind_of(type(plan.shortcut))
    if plan.channels != channels:
        raise InputError(
            f"{where}.channels: the branch has {plan.channels} output channels, and the stage has {channels}"
        )
    _, size = plan.forked
    end = _out_size(plan.chain, size, f"{where}.unit.branch")
    shortcut_size = layers.window_out_size(size, (1, 1), (0, 0), plan.stride)
    if plan.carry != "nothing" and end != shortcut_size:
        raise InputError(
            f"{where}.unit.branch: ends in a map of {end[0]}x{end[1]}, and the shortcut in one of "
            f"{shortcut_size[0]}x{shortcut_size[1]}; write /s for the stage's stride, and pad"
        )
    if plan.survival < 1 and (plan.carry == "nothing" or plan.shortcut.join != "sum"):
        raise InputError(
            f"unit.survival: {kind} passes nothing on when the branch is dropped; use a shortcut that is added"
        )
    if plan.shortcut.begins == "zero_bn" and not _has_bn(plan):
        raise InputError(
            f"unit.shortcut.kind: {kind} sets the branch's last BN to 0, but not every path through the branch has one"
        )


def _has_bn(plan: UnitPlan) -> bool:
    """Whether every path through the branch has a BN."""
    order = plan.ordered
    if "bn" in order.first and not plan.shared_first:
        return True
    if "bn" not in order.between + order.last:
        return False
    return layers.count_normalised(plan.chain, within="bn" not in order.last) > 0


def _out_size(chain: Chain, size: Size, path: str) -> Size:
    try:
        return layers.out_size(chain, size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
