"""Where published results stand beside ours: what their networks cost, as the paper prints it or as we count it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from ablations.published import Published
from resnet_space import Architecture
from resnet_space.counts import known_complexity
from resnet_space.paths import split
from resnet_space.presets import PRESETS

CostName = Literal["params", "macs"]

COMPARED = ("test_error", "top1")
"""The metrics that are what we call an error: the share of images of which the first guess is wrong."""


@dataclass(frozen=True)
class Cost:
    """Parameters or MACs of a published network."""

    value: float
    counted: bool
    """By our counter on the preset; otherwise the figure is the paper's own, as printed."""


def network(row: Published) -> Architecture | None:
    """The network of a row, None where it is none of our presets.

    Raises:
        InputError: a change that the preset does not take.
    """
    return _network(row.preset, row.changes)


@cache
def _network(preset: str, changes: tuple[str, ...]) -> Architecture | None:
    if preset not in PRESETS:
        return None
    return PRESETS[preset].net.assign(dict(map(split, changes)))


def cost(row: Published, name: CostName) -> Cost | None:
    """What the network costs: the paper's own figure if it prints one, else counted; None where neither is to be had.

    Papers count convolutions and the classifier, ours counts batch normalisation and pooling too: a percent or two.
    """
    printed = getattr(row, name)
    if printed is not None:
        return Cost(printed, counted=False)
    net = network(row)
    return None if net is None else Cost(getattr(known_complexity(net), name), counted=True)


def placed(row: Published, name: CostName) -> tuple[float, float] | None:
    """(cost, error) of a row, None where it has no place: no such cost, no number, or an error of another kind."""
    if row.error is None or row.metric not in COMPARED or (found := cost(row, name)) is None:
        return None
    return found.value, row.error
