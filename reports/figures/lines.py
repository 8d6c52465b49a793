"""Line plots of arms: measures by epoch, and measures by residual unit."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports.figures import ends, style
from reports.figures.arms import Values, legend, levels, line, names_of, scaled, sheet
from reports.figures.palette import colour
from reports.page import DOUBLE
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


def curves(
    curves: Sequence[Curve], *, measure: str = "validation error, %", title: str = "", width: float = DOUBLE
) -> Figure:
    """Return a plot with one line per arm and its band over seeds; logarithmic if the means span over a decade.

    Names are at the ends of the lines, or in a legend if they are too long for the width in inches. Values that a
    logarithmic axis cannot show, and values that are not finite, leave a gap and a mark at the edge.
    """
    drawn = [curve for curve in curves if len(curve.epochs)]
    names = names_of(drawn)
    beside = ends.fit(names, width)
    with style.applied():
        figure = sheet(width, max(2.7, ends.height(names) + 0.5) if beside else 2.6, {} if beside else names, title)
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
            _band(axes, curve, low, high, np.isfinite(mean))
            gaps |= line(axes, curve.index, np.asarray(curve.epochs), mean)
        _steps(axes, np.concatenate([curve.epochs for curve in drawn]))
        texts = ends.write(axes, names) if beside else {}
        if not beside or gaps:
            legend(figure, {} if beside else names, marked=True, gaps=gaps)
        style.settle(figure)
        ends.arrange(axes, texts)
        return figure


def _band(axes: Axes, curve: Curve, low: Values, high: Values, shown: NDArray[np.bool_]) -> None:
    """Fill the band of an arm. A logarithmic axis has no place for 0: the band then ends at the edge of the axes."""
    bottom, top = axes.get_ylim()
    if axes.get_yscale() == "log":
        low, high = np.clip(low, bottom, top), np.clip(high, bottom, top)
    band: dict[str, Any] = {"where": shown & np.isfinite(low + high), "alpha": 0.14, "linewidth": 0}
    band |= {"color": colour(curve.index), "gid": f"arm-{curve.index}-band"}
    axes.fill_between(np.asarray(curve.epochs), low, high, **band)


def propagation(
    panels: Mapping[str, Mapping[str, Sequence[Trace]]], *, title: str = "", width: float = DOUBLE
) -> Figure:
    """Return measures along the depth of a network: x is the residual unit, from input to output.

    There is one row per measure and one column per time, such as the start and the end of the training: `panels` has
    traces by measure and time. All panels of a row have one scale. Values that a logarithmic axis cannot show, and
    values that are not finite, leave a gap and a mark at the edge.
    """
    rows = {heading: of_row for heading, by_time in panels.items() if (of_row := _with_values(by_time))}
    times = list(dict.fromkeys(time for by_time in rows.values() for time in by_time))
    names = names_of(trace for by_time in rows.values() for traces in by_time.values() for trace in traces)
    with style.applied():
        figure = sheet(width, 1.45 * max(len(rows), 1) + 0.35, names, title)
        if not rows:
            style.sentence(figure.add_subplot(), "no signals were measured")
            return style.settle(figure)
        cells = figure.subplots(len(rows), len(times), squeeze=False, sharex=True, sharey="row")
        gaps: set[str] = set()
        for of_row, (heading, by_time) in zip(cells, rows.items(), strict=True):
            of_row[0].set_ylabel(textwrap.fill(style.plain(heading, 2 * style.LONGEST), 24), parse_math=False)
            values = {time: [scaled(heading, trace.value) for trace in traces] for time, traces in by_time.items()}
            levels(of_row[0], [value for found in values.values() for value in found])
            for axes, time in zip(of_row, times, strict=True):
                for trace, value in zip(by_time.get(time, ()), values.get(time, ()), strict=True):
                    gaps |= line(axes, trace.index, np.asarray(trace.unit), value)
        for axes, time in zip(cells[0], times, strict=True):
            axes.set_title(style.plain(time), loc="left", parse_math=False)
        for axes in cells[-1]:
            axes.set_xlabel("residual unit")
        units = [trace.unit for by_time in rows.values() for traces in by_time.values() for trace in traces]
        _steps(cells[-1, 0], np.concatenate(units))
        legend(figure, names, marked=True, gaps=gaps)
        return style.settle(figure)


def _with_values(by_time: Mapping[str, Sequence[Trace]]) -> dict[str, list[Trace]]:
    """Return the traces that have values, by time."""
    found = {time: [trace for trace in traces if len(trace.unit)] for time, traces in by_time.items()}
    return {time: traces for time, traces in found.items() if traces}


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
