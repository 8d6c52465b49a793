"""Line plots of arms: measures by epoch, and measures by residual unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports.figures import style
from reports.figures.arms import FULL, WIDE, colour, legend, levels, line, names_of, scaled, sheet
from resnet_space.errors import InputError


@dataclass(frozen=True)
class Curve:
    """A measure during training: mean and band over seeds, each of shape (epochs,).

    Raises:
        InputError: the number of values differs from the number of epochs.
    """

    arm: str
    index: int
    epochs: Sequence[int]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]

    def __post_init__(self) -> None:
        _check_lengths(self.arm, epochs=self.epochs, mean=self.mean, low=self.low, high=self.high)


@dataclass(frozen=True)
class Trace:
    """A measure along the depth of a network: one value per residual unit, each of shape (units,).

    Raises:
        InputError: the number of values differs from the number of units.
    """

    arm: str
    index: int
    unit: Sequence[int]
    value: Sequence[float]

    def __post_init__(self) -> None:
        _check_lengths(self.arm, unit=self.unit, value=self.value)


def curves(curves: Sequence[Curve], *, measure: str = "validation error, %", title: str = "") -> Figure:
    """Return a plot with one line per arm and its band over seeds; logarithmic if the means span over a decade.

    Values that a logarithmic axis cannot show, and values that are not finite, leave a gap and a mark at the edge.
    """
    drawn = [curve for curve in curves if len(curve.epochs)]
    with style.applied():
        figure = sheet(WIDE, 2.6, names_of(drawn), title)
        axes = figure.add_subplot(xlabel="epoch")
        axes.set_ylabel(style.plain(measure), parse_math=False)
        if not drawn:
            style.sentence(axes, "no epoch has finished yet")
            return style.settle(figure)
        means, lows, highs = (
            [scaled(measure, getattr(curve, name)) for curve in drawn] for name in ("mean", "low", "high")
        )
        levels(axes, means, [*lows, *highs])
        gaps: set[str] = set()
        for curve, mean, low, high in zip(drawn, means, lows, highs, strict=True):
            band: dict[str, Any] = {"where": np.isfinite(mean + low + high), "alpha": 0.14, "linewidth": 0}
            band |= {"color": colour(curve.index), "gid": f"arm-{curve.index}-band"}
            axes.fill_between(np.asarray(curve.epochs), low, high, **band)
            gaps |= line(axes, curve.index, np.asarray(curve.epochs), mean, marked=True)
        _steps(axes, np.concatenate([curve.epochs for curve in drawn]))
        legend(figure, names_of(drawn), marked=True, gaps=gaps)
        return style.settle(figure)


def propagation(panels: Mapping[str, Sequence[Trace]], *, title: str = "") -> Figure:
    """Return measures along the depth of a network, one panel per key: x is the residual unit, from input to output.

    Values that a logarithmic axis cannot show, and values that are not finite, leave a gap and a mark at the edge.
    """
    names = names_of(trace for panel in panels.values() for trace in panel if len(trace.unit))
    with style.applied():
        rows = math.ceil(len(panels) / 2) or 1
        figure = sheet(FULL, 1.65 * rows + 0.2, names, title)
        if not panels:
            style.sentence(figure.add_subplot(), "no signals were measured")
            return style.settle(figure)
        cells = figure.subplots(rows, min(2, len(panels)), squeeze=False).ravel()
        for axes in cells[len(panels) :]:
            axes.remove()
        gaps: set[str] = set()
        for axes, (heading, found) in zip(cells, panels.items(), strict=False):
            axes.set_title(style.plain(heading, 2 * style.LONGEST), loc="left", parse_math=False)
            drawn = [trace for trace in found if len(trace.unit)]
            if not drawn:
                style.sentence(axes, "not measured")
                continue
            values = [scaled(heading, trace.value) for trace in drawn]
            levels(axes, values)
            for trace, value in zip(drawn, values, strict=True):
                gaps |= line(axes, trace.index, np.asarray(trace.unit), value, marked=False)
            axes.set_xlabel("residual unit")
            _steps(axes, np.concatenate([trace.unit for trace in drawn]))
        if names:
            legend(figure, names, marked=False, gaps=gaps)
        return style.settle(figure)


def _steps(axes: Axes, xs: NDArray[Any]) -> None:
    """Set the horizontal axis for epochs or units, which are counted from 1."""
    room = min(0.03 * float(xs.max() - xs.min()), 0.9) or 0.5
    axes.set_xlim(xs.min() - room, xs.max() + room)
    style.number(axes.xaxis, whole=True)


def _check_lengths(arm: str, **columns: Sequence[float]) -> None:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{length} of {name}" for name, length in lengths.items())
        raise InputError(f"{arm}: must have the same number of values in each; got {found}")
