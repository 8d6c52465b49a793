"""From a residual unit's description to its plan: the unit with its shapes, in canonical form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Literal

from resnet_space import layers
from resnet_space.description import kind_of
from resnet_space.errors import InputError
from resnet_space.layers import Blur, Chain, Convolution, Parallel, Size, convolutions
from resnet_space.orders import Order, OrderName, Words, applied, canonical
from resnet_space.shortcuts import Conv1x1Shortcut, IdentityShortcut, NoShortcut, ShortcutKind
from resnet_space.units import ResidualUnit, Transition

Carry = Literal["keep", "pad", "project", "pool_project", "blur_project", "nothing"]
PROJECTIONS = ("project", "pool_project", "blur_project")


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
    words: Words
    shortcut: ShortcutKind
    carry: Carry
    """How x reaches the sum: unchanged, strided and zero-padded, through a 1x1 convolution, or not at all."""
    shared_first: bool
    """Whether the order's `first` comes before the fork, so that the shortcut uses its output too."""
    entry: Chain
    """Layers before the fork, shared by shortcut and branch; they change the shape for shortcuts that concatenate."""
    chain: Chain
    survival: float
    """The survival probability of the branch in training."""
    down: Chain = ()
    """A convolution before the unit that changes the shape, after a normalisation."""

    @property
    def ordered(self) -> Order:
        """The positions of the normalisation, if any, and the activation, if any."""
        return applied(self.order, self.words)

    @property
    def started(self) -> tuple[int, Size]:
        """Channels and (H, W) after `down`."""
        return layers.out_channels(self.down, self.in_channels), layers.out_size(self.down, self.size)

    @property
    def forked(self) -> tuple[int, Size]:
        """Channels and (H, W) at the fork, after the entry."""
        channels, size = self.started
        return layers.out_channels(self.entry, channels), layers.out_size(self.entry, size)

    @cached_property
    def out_size(self) -> Size:
        return layers.out_size(self.chain, self.forked[1])

    @property
    def out_channels(self) -> int:
        return self.channels + (self.forked[0] if self.shortcut.join == "concatenation" else 0)

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """The convolutions before the fork and of the branch."""
        return tuple(convolutions((*self.down, *self.entry, *self.chain)))

    @property
    def depth(self) -> int:
        """The number of those on the longest path."""
        return layers.depth((*self.down, *self.entry, *self.chain))


@lru_cache(maxsize=65536)
def plan_unit(
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
    own: frozenset[str],
    first: bool,
) -> UnitPlan:
    """The plan of one unit; cached, since the networks of a space share most of their units.

    `own` are the fields of the unit that its stage at the path `where` sets.

    Raises:
        InputError: shapes do not fit each other, or a part of the unit does not fit its channels or map.
    """
    shortcut, words = unit.shortcut.canonical(), unit.words
    down: Chain = ()
    if transition == "separate" and shortcut.join == "sum" and (stride > 1 or in_channels != channels):
        down = (Convolution((stride, stride), in_channels, channels, stride, valid=True, biased=not words.biased),)
        stride = 1
    start = layers.out_channels(down, in_channels)
    entry = unit.shortcut.entry(start, stride)
    stride = 1 if entry else stride
    forked = layers.out_channels(entry, start)
    reshaped = stride > 1 or forked != channels
    if transition == "none" and reshaped and shortcut.carry == "transition":
        # Without a shortcut the branch must not be dropped.
        shortcut, survival = NoShortcut(), 1.0
    carry = _carry(transition, shortcut, stride, reshaped=reshaped, blur=unit.blur)
    if carry == "pad" and channels < forked:
        raise InputError(
            f"{where}.channels: transition A pads channels and cannot reduce them from {forked} to {channels}; "
            "use transition B"
        )
    if carry == "project" and isinstance(shortcut, IdentityShortcut):
        shortcut = Conv1x1Shortcut()
    prefix = {name: f"{where}." if name in own else "" for name in ResidualUnit.model_fields}
    try:
        chain = unit.branch.complete(forked, channels, stride, Fraction(channels, first_channels))
    except InputError as error:
        raise InputError(f"{prefix['branch']}{error}") from None
    chain = _blurred(chain) if unit.blur else chain
    order = canonical(unit.order, words)
    placed = applied(order, words)
    chain = layers.simplified(chain, placed.between, placed.last, biased=words.biased)
    shared_first = _shares_first(placed, shortcut, carry, reshaped=reshaped, first=first)
    plan = UnitPlan(
        size=size,
        in_channels=in_channels,
        channels=layers.out_channels(chain, forked),
        stride=stride,
        order=order,
        words=words,
        shortcut=shortcut,
        carry=carry,
        shared_first=shared_first,
        entry=entry,
        chain=chain,
        survival=survival,
        down=down,
    )
    _check_fit(plan, channels, where)
    _check_windows(plan, unit, prefix["branch"])
    _check_words(plan, prefix)
    return _with_canonical_words(plan)


def _carry(transition: Transition, shortcut: ShortcutKind, stride: int, *, reshaped: bool, blur: bool) -> Carry:
    carry: Carry = "project"
    if shortcut.carry != "transition":
        carry = shortcut.carry
    elif transition != "C" and not reshaped:
        carry = "keep"
    elif transition == "A":
        carry = "pad"
    elif transition == "D" and stride > 1:
        carry = "pool_project"
    return "blur_project" if carry == "project" and blur and stride > 1 else carry


def _shares_first(order: Order, shortcut: ShortcutKind, carry: Carry, *, reshaped: bool, first: bool) -> bool:
    return bool(order.first) and shortcut.join == "sum" and (reshaped or first) and carry != "nothing"


def _blurred(chain: Chain) -> Chain:
    """Return the chain with blur pooling in place of every stride of a convolution. 1904.11486, figure 2."""
    made: list[layers.Layer] = []
    for layer in chain:
        if isinstance(layer, Parallel):
            made.append(Parallel(tuple(map(_blurred, layer.paths))))
        elif isinstance(layer, Convolution) and layer.stride > 1:
            made += [replace(layer, stride=1), Blur(layer.stride)]
        else:
            made.append(layer)
    return tuple(made)


def _check_fit(plan: UnitPlan, channels: int, where: str) -> None:
    """Check that the shapes of branch and shortcut agree, and that `survival` and the shortcut fit the branch."""
    kind = kind_of(type(plan.shortcut))
    if plan.channels != channels:
        raise InputError(
            f"{where}.channels: the branch has {plan.channels} output channels, and the stage has {channels}"
        )
    _, size = plan.forked
    end = out_size(plan.chain, size, f"{where}.unit.branch")
    shortcut_size = layers.window_out_size(size, (1, 1), (0, 0), plan.stride)
    if plan.carry != "nothing" and end != shortcut_size:
        raise InputError(
            f"{where}.unit.branch: ends in a map of {end[0]}x{end[1]}, and the shortcut in one of "
            f"{shortcut_size[0]}x{shortcut_size[1]}; write /s for the stage's stride, and pad"
        )
    if plan.carry == "blur_project" and min(size) < 2:
        raise InputError(f"unit.blur: needs a map of at least 2x2 to reflect, not {size[0]}x{size[1]}")
    if plan.survival < 1 and (plan.carry == "nothing" or plan.shortcut.join != "sum"):
        raise InputError(
            f"unit.survival: {kind} passes nothing on when the branch is dropped; use a shortcut that is added"
        )
    if plan.shortcut.begins == "zero_bn" and not _has_bn(plan):
        raise InputError(
            f"unit.shortcut.kind: {kind} sets the branch's last BN to 0, but not every path through the branch has one"
        )


def _check_windows(plan: UnitPlan, unit: ResidualUnit, prefix: str) -> None:
    """Check that the branch's windows fit its maps."""
    size = plan.forked[1]
    for layer in plan.chain:
        if isinstance(layer, Convolution) and max(layer.kernel) > 1:
            try:
                unit.branch.check_size(size)
            except InputError as error:
                raise InputError(f"{prefix}unit.branch.{error}") from None
        size = layer.out_size(size)


def _check_words(plan: UnitPlan, prefix: dict[str, str]) -> None:
    """Check that the normalisation fits the channels, and that standardised weights are more than one."""
    for channels, size in normalised_maps(plan):
        try:
            plan.words.normalisation.check_map(channels, size)
        except InputError as error:
            raise InputError(f"{prefix['normalisation']}unit.normalisation{error}") from None
    projections = (Convolution((1, 1), plan.forked[0], plan.channels),) if plan.carry in PROJECTIONS else ()
    if plan.words.standardised:
        check_standardised((*plan.convolutions, *projections), prefix["weight_standardisation"])


def check_standardised(shapes: Iterable[Convolution], prefix: str = "") -> None:
    """Check that every output channel has more than one weight.

    Raises:
        InputError: one has not.
    """
    for conv in shapes:
        if conv.weights == conv.channels:
            raise InputError(
                f"{prefix}unit.weight_standardisation: {conv} has one weight per output channel, which would always "
                "be 0; use more channels or a larger kernel"
            )


def normalised_maps(plan: UnitPlan) -> Iterator[tuple[int, Size]]:
    """Yield the channels and (H, W) of the maps that the unit normalises.

    In the branch, the size is that of its output, which is the smallest.
    """
    order, out = plan.ordered, plan.out_size
    if plan.down:
        yield plan.in_channels, plan.size
    if "bn" in order.first:
        yield plan.started if plan.shared_first or plan.entry else plan.forked
    widths = [*followed_channels(plan.entry, order.between, "" if order.first else order.between)]
    widths += followed_channels(plan.chain, order.between, order.last)
    widths += [plan.channels] if "bn" in order.projection and plan.carry in PROJECTIONS else []
    widths += [plan.out_channels] if "bn" in order.after else []
    yield from ((channels, out) for channels in widths)


def followed_channels(chain: Chain, between: str, last: str) -> Iterator[int]:
    """Yield the channels of the convolutions that `bn` follows."""
    for layer, after in layers.followed(chain, between, last):
        if isinstance(layer, Parallel):
            for path in layer.paths:
                yield from followed_channels(path, between, after)
        elif isinstance(layer, Convolution) and "bn" in after.split():
            yield layer.channels


def words_of(chain: Chain, between: str, last: str) -> set[str]:
    """Return the words that follow at least one convolution of a chain."""
    found = set[str]()
    for layer, after in layers.followed(chain, between, last):
        if isinstance(layer, Parallel):
            found |= set[str]().union(*(words_of(path, between, after) for path in layer.paths))
        elif isinstance(layer, Convolution):
            found |= {*after.split()}
    return found


def _with_canonical_words(plan: UnitPlan) -> UnitPlan:
    """Return the plan with ReLU as its activation if it has none anywhere: then all activations are the same."""
    order = plan.ordered
    used = {*order.first.split(), *order.after.split(), *words_of(plan.chain, order.between, order.last)}
    used |= words_of(plan.entry, order.between, "" if order.first else order.between)
    used |= {*order.projection.split()} if plan.carry in PROJECTIONS else set()
    if "relu" in used or plan.words.activation == "none":
        return plan
    return replace(plan, words=replace(plan.words, activation="relu"))


def _has_bn(plan: UnitPlan) -> bool:
    """Whether every path through the branch has a normalisation."""
    order = plan.ordered
    if "bn" in order.first and not plan.shared_first:
        return True
    return layers.count_normalised(plan.chain, order.between, order.last) > 0


def out_size(chain: Chain, size: Size, path: str) -> Size:
    """Return the (H, W) of a chain's output.

    Raises:
        InputError: as `layers.out_size`, with the path.
    """
    try:
        return layers.out_size(chain, size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
