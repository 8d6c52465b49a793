"""The costs of published networks, as printed in the paper or counted here, to plot published results with ours."""

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

ERROR_METRICS = ("test_error", "top1")
"""The metrics that are comparable with our errors: the share of images whose top-1 prediction is wrong."""


@dataclass(frozen=True)
class Cost:
    """Parameters or MACs of a published network."""

    value: float
    counted: bool
    """Whether our counter counted them on the preset; else they are printed in the paper."""


def network(row: Published) -> Architecture | None:
    """Return the network of a row; None if it is not one of our presets.

    Raises:
        InputError: the preset does not allow one of the changes.
    """
    return _network(row.preset, row.changes)


@cache
def _network(preset: str, changes: tuple[str, ...]) -> Architecture | None:
    if preset not in PRESETS:
        return None
    return PRESETS[preset].net.assign(dict(map(split, changes)))


def cost(row: Published, name: CostName) -> Cost | None:
    """Return the cost of the network: printed in the paper, or else counted; None if neither is available.

    Papers count convolutions and the classifier. Our counter includes batch normalisation and pooling, one or two
    percent more.
    """
    printed = getattr(row, name)
    if printed is not None:
        return Cost(printed, counted=False)
    net = network(row)
    return None if net is None else Cost(getattr(known_complexity(net), name), counted=True)


def cost_and_error(row: Published, name: CostName) -> tuple[float, float] | None:
    """Return (cost, error) of a row; None if it has no such cost, no number, or another kind of error."""
    if row.error is None or row.metric not in ERROR_METRICS or (found := cost(row, name)) is None:
        return None
    return found.value, row.error
