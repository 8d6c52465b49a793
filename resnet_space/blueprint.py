"""From a description to its blueprint: every unit with its shapes, in canonical form. It is built, counted and hashed.

Two descriptions with equal blueprints are the same network. All equivalences are defined here and in `unit_plans`, and
nowhere else. For example: an unstrided bottleneck has no position of its stride, an identity shortcut that is projected
is the 1x1 convolution, and a net without a change of shape has no transition.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Protocol

from resnet_space import layers
from resnet_space.description import kind_of
from resnet_space.errors import InputError
from resnet_space.heads import HeadKind
from resnet_space.layers import Chain, Size, SqueezeLayer
from resnet_space.orders import Words, applied
from resnet_space.stems import StemKind
from resnet_space.unit_plans import UnitPlan, check_standardised, followed_channels, out_size, plan_unit, words_of
from resnet_space.units import ResidualUnit, Stage, Transition

SCHEMA = 2
"""Part of every key; increased when descriptions change their meaning, so that no old results are found."""

MAX_WEIGHTS = 2_000_000_000
"""The maximum number of weights in the branches: more would not fit in the memory of the machine that counts them."""


@dataclass(frozen=True)
class Ending:
    """The stem or the head: layers, and what their words mean."""

    chain: Chain
    last: str
    """The words after the last convolution of a stem, or after the pooling of a head."""
    words: Words
    first: str = ""
    """The words before a head's layers."""


@dataclass(frozen=True)
class Blueprint:
    """A network in canonical form."""

    input_shape: tuple[int, int, int]
    classes: int
    stem: Ending
    """After each convolution of the stem except the last come both normalisation and activation."""
    units: tuple[UnitPlan, ...]
    head: Ending

    @property
    def channels(self) -> int:
        """The channels before the head."""
        return self.units[-1].out_channels

    @property
    def depth(self) -> int:
        ends = layers.depth(self.stem.chain) + layers.depth(self.head.chain) + 1
        return ends + sum(unit.depth for unit in self.units)

    @property
    def depth_with_projections(self) -> int:
        """The depth with the 1x1 convolutions on shortcuts, and without the classifier. 1605.07146, section 2."""
        return self.depth - 1 + sum("project" in unit.carry for unit in self.units)

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
            "stem": [str(layer) for layer in self.stem.chain],
            "stem_last": self.stem.last,
            "units": [[count, _unit_json(unit)] for count, unit in runs],
        }
        # What is as in the units next to it is left out, so that a new field changes no old key.
        if self.stem.words != self.units[0].words:
            content["stem_words"] = _words_json(self.stem.words)
        head = {"chain": layers.chain_text(self.head.chain), "pooled": self.head.last}
        if self.head.words != self.units[-1].words:
            head["words"] = _canonical_json(_words_json(self.head.words))
        if any(head.values()):
            content["head"] = head
        return hashlib.sha256(_canonical_json(content).encode()).hexdigest()[:16]


def _canonical_json(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _words_json(words: Words) -> dict[str, Any]:
    """The words as plain data, without the defaults of all fields but the normalisation."""
    default, found = Words(), {"normalisation": words.normalisation.written()}
    changed = {name: getattr(words, name) for name in ("activation", "standardised")}
    return found | {name: value for name, value in changed.items() if value != getattr(default, name)}


@lru_cache(maxsize=65536)
def _unit_json(unit: UnitPlan) -> str:
    """A unit as canonical JSON. Defaults are left out, so that a new field changes no old key."""
    shortcut = unit.shortcut.model_dump(exclude_defaults=True) | {"kind": kind_of(type(unit.shortcut))}
    last = unit.chain[-1]
    # Squeeze-and-excitation at the end was a field before it was a layer.
    squeezed = last.hidden if isinstance(last, SqueezeLayer) and last.activation == "relu" else None
    content = {
        "size": unit.size,
        "in_channels": unit.in_channels,
        "channels": unit.channels,
        "stride": unit.stride,
        "order": unit.order,
        "shortcut": shortcut,
        "carry": unit.carry,
        "shared_first": unit.shared_first,
        "entry": layers.chain_text(unit.entry),
        "chain": layers.chain_text(unit.chain[:-1] if squeezed else unit.chain),
        "squeeze": squeezed,
        "survival": unit.survival,
    }
    if unit.down:
        content["down"] = layers.chain_text(unit.down)
    return _canonical_json(content | _words_json(unit.words))


class Described(Protocol):
    """The fields of an `Architecture` that its blueprint is made from."""

    @property
    def input_shape(self) -> tuple[int, int, int]: ...

    @property
    def classes(self) -> int: ...

    @property
    def stem(self) -> StemKind: ...

    @property
    def stage_list(self) -> tuple[Stage, ...]: ...

    @property
    def unit(self) -> ResidualUnit: ...

    @property
    def transition(self) -> Transition: ...

    @property
    def head(self) -> HeadKind: ...


def make_blueprint(net: Described) -> Blueprint:
    """Return the blueprint of a description.

    Raises:
        InputError: a stride shrinks the map to nothing, a width is not divisible, the shapes of branch and shortcut
            differ, a part does not fit its channels or map, or there are too many weights.
    """
    stem = net.stem.chain(net.input_shape[0], net.input_shape[1:])
    size = out_size(stem, net.input_shape[1:], "stem")
    channels, units = layers.out_channels(stem, net.input_shape[0]), list[UnitPlan]()
    stages = net.stage_list
    described = [stage.unit.over(net.unit) if stage.unit else net.unit for stage in stages]
    total = sum(stage.units for stage in stages)
    for index, (stage, unit) in enumerate(zip(stages, described, strict=True)):
        where = f"stages.{index}"
        if min(size) < stage.stride:
            raise InputError(f"{where}.stride: {stage.stride} would shrink a map of {size[0]}x{size[1]} to nothing")
        for number in range(stage.units):
            plan = plan_unit(
                unit,
                net.transition,
                stage.channels,
                stages[0].channels,
                size,
                channels,
                1 if number else stage.stride,
                1 - (1 - unit.survival) * (len(units) + 1) / total,
                where,
                own=stage.unit.given if stage.unit else frozenset(),
                first=not units,
            )
            size, channels = plan.out_size, plan.out_channels
            units.append(plan)
            if number and unit.survival == 1 and channels == plan.in_channels and size == plan.size:
                # The remaining units of the stage are equal to this one.
                units += [plan] * (stage.units - 1 - number)
                break
    weights = sum(shape.weights for unit in units for shape in unit.convolutions)
    if weights > MAX_WEIGHTS:
        raise InputError(f"stages: {weights:.3g} weights in the branches; at most {MAX_WEIGHTS:.3g} are allowed")
    return _with_ends(net, stem, units, described[0], described[-1])


def _with_ends(
    net: Described, stem: Chain, units: Sequence[UnitPlan], first: ResidualUnit, last: ResidualUnit
) -> Blueprint:
    """Return the blueprint of these units, whose first and last are described so, with stem and head."""
    stem_words, head_words = _own_words(net.stem, first), _own_words(net.head, last)
    orders = [first.order, last.order]
    if _is_original_order(units, stem_words, head_words):
        units = [replace(unit, order="original", shared_first=False) for unit in units]
        orders = ["original", "original"]
    between, after = applied("original", stem_words).stem, applied(net.stem.order or orders[0], stem_words).stem
    stem = layers.simplified(stem, between, after, biased=stem_words.biased)
    used = words_of(stem, between, after)
    begin = Ending(stem, after, _canonical_words(stem_words, units[0].words, used))
    if stem_words.standardised:
        check_standardised(layers.convolutions(stem))
    _check_maps(begin, [(width, units[0].size) for width in followed_channels(stem, between, after)], "stem")
    chain, tail = net.head.chain(units[-1].out_channels), applied(orders[1], head_words).tail
    pooled = head_words.meaningful(net.head.pooled)
    both = applied("original", head_words).stem
    used = {*tail.split(), *words_of(chain, both, both), *pooled.split()}
    end = Ending(chain, pooled, _canonical_words(head_words, units[-1].words, used), tail)
    channels, size = units[-1].out_channels, units[-1].out_size
    maps = [(channels, size)] if "bn" in tail else []
    maps += [(width, size) for width in followed_channels(chain, both, both)]
    maps += [(layers.out_channels(chain, channels), (1, 1))] if "bn" in pooled else []
    _check_maps(end, maps, "head")
    return Blueprint(net.input_shape, net.classes, begin, tuple(units), end)


def _own_words(end: StemKind | HeadKind, unit: ResidualUnit) -> Words:
    """Return what the words mean in a stem or head next to this unit."""
    words = unit.words
    return replace(
        words, normalisation=end.normalisation or words.normalisation, activation=end.activation or words.activation
    )


def _canonical_words(words: Words, near: Words, used: set[str]) -> Words:
    """Return the words with those of the unit next to it where they are not used."""
    if "relu" not in used:
        words = replace(words, activation=near.activation)
    if "bn" not in used and words.biased == near.biased:
        words = replace(words, normalisation=near.normalisation)
    return words


def _check_maps(end: Ending, maps: Sequence[tuple[int, Size]], path: str) -> None:
    for channels, size in maps:
        try:
            end.words.normalisation.check_map(channels, size)
        except InputError as error:
            raise InputError(f"{path}.normalisation{error}") from None


def _is_original_order(units: Sequence[UnitPlan], stem: Words, head: Words) -> bool:
    """Whether the original order is equivalent.

    It is if in every unit the first ReLU comes before the fork: then it equals the ReLU after the previous unit.
    """
    activations = {stem.activation, head.activation, *(unit.words.activation for unit in units)}
    preactivated = all(unit.order == "relu_only_preactivation" and unit.shared_first for unit in units)
    return preactivated and len(activations) == 1
