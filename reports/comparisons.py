"""Figures of an ablation: arms beside each other, each in its own colour. Data in, a `Figure` out.

Errors and everything else whose heading ends in `%` come as fractions and are drawn as percent. An artist that belongs
to an arm has the gid `arm-{index}-{part}`, where the index is the arm's place in the table: a page finds it by that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from reports import beside, figures, style
from reports.beside import Known
from reports.numbering import Place, number_points
from reports.style import GREY
from reports.themed import FULL, WIDE, colour, dashes, legend, levels, line, look, scaled, sheet
from resnet_space.errors import InputError

DOTTED = (0, (1, 1))
"""The line of what was not planned."""


@dataclass(frozen=True)
class Bar:
    """An arm's error minus the baseline's, with its interval; all fractions. `note` is why there is no number."""

    arm: str
    index: int
    delta: float | None
    low: float | None
    high: float | None
    resolved: bool
    planned: bool
    note: str = ""


@dataclass(frozen=True)
class Curve:
    """A measure on the way of training: mean and band over seeds, each of shape (epochs,).

    Raises:
        InputError: not as many values as epochs.
    """

    arm: str
    index: int
    epochs: Sequence[int]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]

    def __post_init__(self) -> None:
        _as_long(self.arm, epochs=self.epochs, mean=self.mean, low=self.low, high=self.high)


@dataclass(frozen=True)
class Trace:
    """A measure along the net, one value a residual unit, from the first on; each of shape (units,).

    Raises:
        InputError: not as many values as units.
    """

    arm: str
    index: int
    unit: Sequence[int]
    value: Sequence[float]

    def __post_init__(self) -> None:
        _as_long(self.arm, unit=self.unit, value=self.value)


@dataclass(frozen=True)
class Distribution:
    """The errors of the networks that were drawn from a space. One that never trained is `nan` or `inf`: it counts."""

    name: str
    index: int
    errors: Sequence[float]


def forest(bars: Sequence[Bar], *, baseline: str, margin: float | None = None, title: str = "") -> Figure:
    """One row an arm: its difference to the baseline in percentage points, filled where resolved, hollow where not.

    The band is ±`margin`, a fraction: differences that do not matter. Where an arm is ten times as wide as the narrow
    ones, the axis is logarithmic beyond a threshold, on both sides of zero; it says from where on.
    """
    with style.applied():
        figure = sheet(WIDE, 0.165 * max(len(bars), 3) + 0.95, {}, title)
        axes = figure.add_subplot()
        if not bars:
            style.sentence(axes, "no arm to compare with the baseline yet")
            return style.settle(figure)
        axes.set_xlabel(f"error minus that of {style.plain(baseline)}, percentage points", parse_math=False)
        axes.set_yticks(range(len(bars)), [style.plain(bar.arm) for bar in bars], parse_math=False)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.tick_params(axis="y", left=False)
        axes.grid(False, axis="y")
        rows = [(_points(bar.delta), _points(bar.low), _points(bar.high)) for bar in bars]
        _differences(axes, [[end for end in row if _finite(end)] for row in rows], _points(margin or 0))
        if margin:
            axes.axvspan(-100 * margin, 100 * margin, color=GREY, alpha=0.15, linewidth=0, zorder=0)
        axes.axvline(0, color="black", linewidth=0.6, zorder=1)
        for at, (bar, row, label) in enumerate(zip(bars, rows, axes.get_yticklabels(), strict=True)):
            label.set_gid(f"arm-{bar.index}-name")
            _row(axes, at, bar, *row)
        if keys := _keys([bar for bar, (delta, _, _) in zip(bars, rows, strict=True) if _finite(delta)], margin):
            figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
        return style.settle(figure)


def curves(curves: Sequence[Curve], *, measure: str = "validation error, %", title: str = "") -> Figure:
    """A line an arm with its band over seeds; logarithmic where the means span more than a decade.

    What a logarithm cannot show, and what is no finite number, leaves a gap and a mark at the edge.
    """
    drawn = [curve for curve in curves if len(curve.epochs)]
    with style.applied():
        figure = sheet(WIDE, 2.6, _names(drawn), title)
        axes = figure.add_subplot(xlabel="epoch")
        axes.set_ylabel(style.plain(measure), parse_math=False)
        if not drawn:
            style.sentence(axes, "no epoch has ended yet")
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
        legend(figure, _names(drawn), marked=True, gaps=gaps)
        return style.settle(figure)


def complexity(places: Sequence[Place], *, cost: str = "MACs", published: Sequence[Known] = ()) -> Figure:
    """Error against cost, ±1 standard deviation over seeds: filled points are on the front, the staircase.

    Points bear the arm's number, which is its place in the table counted from 1; the legend says which is which.
    `published` results that are near stand behind them.
    """
    drawn = [place for place in places if _finite(place.macs) and _finite(place.error)]
    names = {index: f"{index + 1}  {name}" for index, name in _names(drawn).items()}
    with style.applied():
        figure = sheet(WIDE, 2.6, names)
        axes = figure.add_subplot(ylabel="error, %" + (" (± std)" if any(place.std for place in drawn) else ""))
        axes.set_xlabel(style.plain(cost), parse_math=False)
        if not drawn:
            style.sentence(axes, "no arm has an error yet")
            return style.settle(figure)
        axes.margins(0.08, 0.12)
        for place in drawn:
            at, gid = (place.macs, 100 * place.error), f"arm-{place.index}"
            if place.std is not None and math.isfinite(place.std):
                made = axes.errorbar(*at, 100 * place.std, fmt="none", ecolor=colour(place.index), elinewidth=0.7)
                for part in made.lines[2]:
                    part.set_gid(f"{gid}-spread")
            fill = {"markerfacecolor": colour(place.index) if place.on_front else "white"}
            axes.plot(*at, linestyle="", gid=f"{gid}-point", zorder=4, **look(place.index) | fill)
        known = beside.near(published, [(place.macs, place.error) for place in drawn])
        behind = [(each.x, 100 * each.y) for each in known]
        beside.draw(axes, behind)
        measured = [(place.macs, 100 * place.error) for place in drawn]
        style.number(axes.xaxis, [x for x, _ in (*measured, *behind)])
        style.number(axes.yaxis, [y for _, y in (*measured, *behind)])
        _front(axes, [(place.macs, 100 * place.error) for place in drawn if place.on_front])
        legend(figure, names, marked=True, lined=False, others=[beside.key()] if known else [])
        style.settle(figure)
        number_points(axes, drawn)
        beside.name(axes, known, behind, measured)
        return figure


def propagation(panels: Mapping[str, Sequence[Trace]], *, title: str = "") -> Figure:
    """Measures along the net, a panel each, headed by its key: x is the residual unit, from the input to the output.

    What a logarithm cannot show, and what is no finite number, leaves a gap and a mark at the edge.
    """
    names = _names(trace for panel in panels.values() for trace in panel if len(trace.unit))
    with style.applied():
        rows = math.ceil(len(panels) / 2) or 1
        figure = sheet(FULL, 1.65 * rows + 0.2, names, title)
        if not panels:
            style.sentence(figure.add_subplot(), "nothing was measured along the net")
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


def distributions(found: Sequence[Distribution], *, bands: bool = True) -> Figure:
    """The share of networks with an error of at most x, by design space, as 2003.13678 compares them.

    F(x) = 1/n Σ 1[error ≤ x]. Bands are Dvoretzky, Kiefer and Wolfowitz's at 95 %, F ± √(ln(2/0.05) / 2n), which
    hold for all x at once. Networks without a finite error are in n: their curve ends below 1.
    """
    drawn = sorted((space for space in found if len(space.errors)), key=lambda space: space.index)
    known = [100 * error for space in drawn for error in space.errors if _finite(error)]
    names = {space.index: f"{style.plain(space.name)} (n = {len(space.errors)})" for space in drawn}
    with style.applied():
        figure = sheet(WIDE, 2.6, names if known else {})
        axes = figure.add_subplot(xlabel="error, %", ylabel="share of networks", ylim=(-0.02, 1.02))
        if not known:
            style.sentence(axes, "no network has an error yet")
            return style.settle(figure)
        style.number(axes.xaxis, known)
        style.number(axes.yaxis)
        axes.margins(x=0.04)
        axes.update_datalim([(end, 0.5) for end in known])
        axes.autoscale_view()
        left, right = axes.get_xlim()
        for space in drawn:
            errors = np.sort([100 * error for error in space.errors if math.isfinite(error)])
            counts = np.array([*range(len(errors) + 1), len(errors)])
            xs, share = np.array([left, *errors, right]), counts / len(space.errors)
            gid, tone = f"arm-{space.index}", colour(space.index)
            axes.step(xs, share, where="post", linestyle=dashes(space.index), color=tone, gid=f"{gid}-line")
            if bands:
                half = math.sqrt(math.log(2 / 0.05) / (2 * len(space.errors)))
                fill: dict[str, Any] = {"color": tone, "alpha": 0.12, "linewidth": 0, "gid": f"{gid}-band"}
                axes.fill_between(xs, np.clip(share - half, 0, 1), np.clip(share + half, 0, 1), step="post", **fill)
        axes.set_xlim(left, right)
        legend(figure, names, marked=False)
        return style.settle(figure)


def _differences(axes: Axes, rows: Sequence[Sequence[float]], most: float) -> None:
    """The axis of a forest, so wide that everything is on it: the arms' points and ends, and the margin."""
    points = [-most, most, *(point for row in rows for point in row)]
    # How far each arm reaches from zero; a quarter of them reaches no farther than `near`.
    reach = sorted(max(map(abs, row)) for row in rows if any(row))
    near = max(reach[len(reach) // 4], most) if reach else most
    far, (least, greatest) = max(map(abs, points)), (min(*points, 0), max(*points, 0))
    if far > style.DECADE * near:
        threshold = _round_up(near)
        axes.set_xscale("symlog", linthresh=threshold, linscale=1.2)
        axes.set_xlim(min(1.6 * least, -1.15 * threshold), max(1.6 * greatest, 1.15 * threshold))
        steps = [threshold * 10**power for power in range(math.ceil(math.log10(far / threshold)) + 1)]
        axes.xaxis.set_major_locator(FixedLocator([0, *steps, *(-step for step in steps)]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(f"{axes.get_xlabel()}\n(logarithmic beyond ±{threshold:g})", parse_math=False)
    else:
        room = 0.06 * (greatest - least) or 1
        axes.set_xlim(least - room, greatest + room)
        style.number(axes.xaxis)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _signed(at, "g")))


def _row(axes: Axes, at: int, bar: Bar, delta: float, low: float, high: float) -> None:
    """An arm of a forest, in points: point, interval, and the numbers at the right."""
    tone, gid, said = colour(bar.index), f"arm-{bar.index}", []
    if _finite(delta):
        said = [_signed(delta)]
        fill = {"marker": "o", "markerfacecolor": tone if bar.resolved else "white"}
        axes.plot([delta], [at], linestyle="", zorder=4, gid=f"{gid}-point", **look(bar.index, 4.2) | fill)
        if not math.isnan(low) and not math.isnan(high):
            said += [f"[{_signed(low)}, {_signed(high)}]"]
            left, right = axes.get_xlim()
            ends, planned = [max(low, left), min(high, right)], "-" if bar.planned else DOTTED
            axes.plot(ends, [at, at], color=tone, linestyle=planned, gid=f"{gid}-interval")
            for end, edge, arrow in ((low, left, "<"), (high, right, ">")):
                if math.isinf(end):
                    axes.plot([edge], [at], arrow, color=tone, markersize=3, clip_on=False, gid=f"{gid}-endless")
    text = "  ".join([*said, style.plain(bar.note or ("" if said else "no number"))])
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center_baseline", "fontsize": 6.5}
    axes.text(1.02, at, text.rstrip(), parse_math=False, gid=f"{gid}-note", **place)


def _keys(bars: Sequence[Bar], margin: float | None) -> list[Line2D | Patch]:
    """The legend of a forest: what is drawn in two ways there."""
    dot: dict[str, Any] = {"marker": "o", "markersize": 4.2, "linestyle": "", "color": "black"}
    keys: list[Line2D | Patch] = []
    if any(bar.resolved for bar in bars):
        keys.append(Line2D([], [], label="resolved", **dot))
    if any(not bar.resolved for bar in bars):
        keys.append(Line2D([], [], label="not resolved", markerfacecolor="white", **dot))
    if any(not bar.planned for bar in bars):
        keys.append(Line2D([], [], label="not planned", color="black", linestyle=DOTTED))
    if margin:
        keys.append(Patch(color=GREY, alpha=0.15, linewidth=0, label=f"±{100 * margin:g} points"))
    return keys


def _steps(axes: Axes, xs: NDArray[Any]) -> None:
    """The horizontal axis of epochs or units, which are counted from 1."""
    room = min(0.03 * float(xs.max() - xs.min()), 0.9) or 0.5
    axes.set_xlim(xs.min() - room, xs.max() + room)
    style.number(axes.xaxis, whole=True)


def _front(axes: Axes, points: Sequence[figures.XY]) -> None:
    """The staircase, from and to the edges of the axes."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    if stairs := figures.staircase(points):
        xs, ys = zip((stairs[0][0], high), *stairs, (right, stairs[-1][1]), strict=True)
        axes.plot(xs, ys, color=GREY, linewidth=0.9, zorder=1.5, label="_front")
    axes.set(xlim=(left, right), ylim=(low, high))


def _names(found: Iterable[Bar | Curve | Place | Trace]) -> dict[int, str]:
    """Arms by index, each once, in the table's order."""
    return dict(sorted({one.index: style.plain(one.arm) for one in found}.items()))


def _points(fraction: float | None) -> float:
    """In percentage points, no finer than any test set; none is `nan`, and what is beyond every error is infinite."""
    if fraction is None:
        return math.nan
    return math.copysign(math.inf, fraction) if abs(fraction) > 1e6 else round(100 * fraction, 12)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _signed(number: float, form: str = ".2f") -> str:
    """With its sign, which is as wide as a plus; zero has none."""
    if not math.isfinite(number):
        return "−∞" if number < 0 else "∞"
    said = f"{number:+{form}}"
    return f"{0:{form}}" if float(said) == 0 else said.replace("-", "−")


def _round_up(number: float) -> float:
    """To the next 1, 2 or 5 of its decade."""
    decade = 10.0 ** math.floor(math.log10(number))
    return next((float(f"{step * decade:.3g}") for step in (1, 2, 5) if step * decade >= number * 0.999), 10 * decade)


def _as_long(arm: str, **columns: Sequence[float]) -> None:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{length} of {name}" for name, length in lengths.items())
        raise InputError(f"{arm}: must have equally many values each, not {said}")
