"""Figures of a search: the front, the hypervolume on the way to it, which axes mattered. Data in, a `Figure` out."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from reports import beside, style
from reports.beside import Known
from reports.style import BLUE, GREEN, GREY, ORANGE, RED
from resnet_space.errors import InputError, unknown
from search.files import atomic
from search.fronts.objectives import OBJECTIVES

FORMATS: dict[str, dict[str, Any]] = {
    # Without dates and versions: the same figure is the same bytes.
    "svg": {"metadata": {"Date": None, "Creator": None}},
    "png": {"metadata": {"Software": None}},
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
}
"""What a figure can be saved as, and with which options."""
KINDS = {
    # (on the front, confirmed): name, colour, fill, size and line in points, order of drawing
    (False, False): ("dominated", GREY, "white", 2.6, 0.5, 2),
    (False, True): ("dominated, confirmed", GREY, GREY, 2.6, 0.5, 3),
    (True, False): ("front, provisional", BLUE, "white", 4.2, 0.9, 5),
    (True, True): ("front, confirmed", BLUE, BLUE, 4.2, 0.9, 6),
}
"""Colour says whether a network is on the front, filling whether fresh seeds have confirmed it."""
PLACES = [(x * far, y * far) for far in (12, 22, 36) for x, y in ((-1, -1), (1, 1), (-1, 0), (1, -1), (-1, 1), (1, 0))]
"""Where the knee's name may stand, in points from the knee; below and left of a front there is nothing else."""

XY = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """One network with a complete trial, in stored units: errors are fractions.

    `y_std` is the standard deviation over seeds, None for one seed. A pruned trial has no place here.

    Raises:
        InputError: a coordinate that is no finite number, or a negative spread.
    """

    key: str
    x: float
    y: float
    y_std: float | None = None
    confirmed: bool = False
    on_front: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        for name in ("x", "y", "y_std"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"mark {self.key}: {name} must be a finite number, not {value}")
        if (self.y_std or 0) < 0:
            raise InputError(f"mark {self.key}: y_std must be at least 0, not {self.y_std}")


def front(
    marks: Sequence[Mark],
    *,
    x: str,
    y: str,
    knee: str | None = None,
    reference: XY | None = None,
    title: str = "",
    published: Sequence[Known] = (),
) -> Figure:
    """Networks over two objectives: the dominated cloud, the front as a staircase, ±1 standard deviation over seeds.

    Both objectives are minimised; all up and right of the staircase is dominated. With more than two objectives a
    network of the front may lie there too, since another dominates it in these two. With a `reference` (x, y),
    in stored units, the hypervolume between it and the front is shaded. An axis over more than a decade is
    logarithmic: of costs because they grow in factors, of errors so that one net at 90 % leaves room for the others.
    `published` results that are near stand behind all that.

    Raises:
        InputError: `x` or `y` is no objective, `knee` is no mark's key, or the reference is not finite.
    """
    for path, name in (("x", x), ("y", y)):
        if name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES, path=path)
    if knee is not None and knee not in [mark.key for mark in marks]:
        raise unknown("mark", knee, [mark.key for mark in marks], path="knee")
    corner = None
    if reference is not None:
        far = _finite("reference", reference, 1)
        corner = (float(far[0]) * _times(x), float(far[1]) * _times(y))
    drawn = [_scaled(mark, _times(x), _times(y)) for mark in marks]
    with style.applied():
        figure = style.page(title)
        axes = figure.add_subplot(xlabel=OBJECTIVES[x].heading, ylabel=OBJECTIVES[y].heading)
        if not drawn:
            style.sentence(axes, "no complete trial yet")
            return style.settle(figure)
        if any(mark.y_std is not None for mark in drawn):
            axes.set_ylabel(f"{OBJECTIVES[y].heading} (± std)")
        axes.margins(0.05, 0.1)
        _cloud(axes, drawn)
        known = beside.near(published, [(mark.x, mark.y) for mark in marks])
        places = [(each.x * _times(x), each.y * _times(y)) for each in known]
        beside.draw(axes, places)
        if corner:
            axes.plot(*corner, "+", color="black", markersize=5, zorder=4, label="_reference")
            axes.annotate("reference", corner, (-2, 2), textcoords="offset points", ha="right", va="bottom")
        ends = [*places, corner] if corner else places
        style.number(axes.xaxis, [mark.x for mark in drawn] + [end[0] for end in ends])
        style.number(axes.yaxis, [mark.y for mark in drawn] + [end[1] for end in ends])
        _stairs(axes, [(mark.x, mark.y) for mark in drawn if mark.on_front], corner)
        style.legend(figure, axes)
        style.settle(figure)
        if knee is not None:
            _name(axes, next(mark for mark in drawn if mark.key == knee), drawn)
        beside.name(axes, known, places, [(mark.x, mark.y) for mark in drawn])
        return figure


def staircase(points: Sequence[XY]) -> list[XY]:
    """The corners of the line between what is dominated by `points` (both minimised) and what is not, left to right.

    >>> staircase([(4, 1), (1, 5), (2, 3), (3, 4)])
    [(1, 5), (2, 5), (2, 3), (4, 3), (4, 1)]
    """
    corners: list[XY] = []
    for x, y in sorted(points):
        if not corners:
            corners = [(x, y)]
        elif y < corners[-1][1]:
            corners += [(x, corners[-1][1]), (x, y)]
    return corners


def hypervolume(
    trace: ArrayLike,
    *,
    random: ArrayLike | None = None,
    ended: Mapping[str, Sequence[int]] | None = None,
    objectives: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """The hypervolume after each trial, shape (trials,), as steps.

    `random`, shape (trials,) or (runs, trials), is random search's on the same trials: its mean, and the band from
    its least to its greatest. `ended` are numbers of trials (from 1) that ended early, by status: ticks at the foot.
    `objectives` are what the volume is a product of, for its unit.

    Raises:
        InputError: an unknown objective, or values that are not finite.
    """
    for name in objectives:
        if name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES, path="objectives")
    levels = _finite("trace", trace, 1)
    with style.applied():
        figure = style.page(title)
        unit = " × ".join(_bare(name) for name in objectives)
        axes = figure.add_subplot(xlabel="trials", ylabel=textwrap.fill(f"hypervolume, {unit}".rstrip(", "), 32))
        if not levels.size:
            style.sentence(axes, "no complete trial yet")
            return style.settle(figure)
        if random is not None:
            runs = np.atleast_2d(_finite("random", random, 2))
            numbers = np.arange(1, runs.shape[1] + 1)
            if len(runs) > 1:
                axes.fill_between(numbers, runs.min(0), runs.max(0), step="post", color=GREY, alpha=0.25, linewidth=0)
            name = f"random search, mean of {len(runs)}" if len(runs) > 1 else "random search"
            axes.step(numbers, runs.mean(0), where="post", color=GREY, linestyle="--", label=name)
        one: dict[str, Any] = {"marker": "o", "markersize": 3} if levels.size == 1 else {}
        axes.step(np.arange(1, levels.size + 1), levels, where="post", color=BLUE, label="this search", **one)
        for row, (status, trials) in enumerate((ended or {}).items()):
            # At the foot of the axes, in their own height: there wherever the curve runs.
            foot: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "color": (ORANGE, RED, GREEN)[row % 3]}
            axes.plot(trials, [0.02 + 0.05 * row] * len(trials), "|", markersize=4, label=style.plain(status), **foot)
        axes.set_xlim(0, None if levels.size > 1 else 2)
        style.number(axes.xaxis, whole=True)
        style.number(axes.yaxis)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            style.legend(figure, axes)
        return style.settle(figure)


def importance(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Which axes mattered: for each objective its axes as bars, the greatest first, ±1 standard deviation.

    `table` is what `search.exploring.importance.importance` returns: axis, objective, importance, std, r2, reason.
    An objective without importances has their reason in their place.
    """
    groups = list(table.groupby("objective", sort=False))
    with style.applied():
        if not groups:
            figure = style.page(title)
            style.sentence(figure.add_subplot(), "no objective to explain")
            return style.settle(figure)
        known = [bool(group["importance"].notna().any()) for _, group in groups]
        rows = [len(group) if some else 2 for some, (_, group) in zip(known, groups, strict=True)]
        figure = style.page(title, height=sum(0.14 * count + 0.3 for count in rows) + (0.6 if title else 0.4))
        panels = figure.subplots(len(groups), squeeze=False, height_ratios=[count + 0.6 for count in rows])[:, 0]
        for axes, (objective, group) in zip(panels, groups, strict=True):
            _bars(axes, str(objective), group)
        for axes in panels[known][-1:]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("importance, share of all axes")
        return style.settle(figure)


def save(figure: Figure, folder: Path, stem: str, formats: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write `FOLDER/STEM.FORMAT` in each format, whole or not at all; the paths. The same figure is the same bytes.

    Raises:
        InputError: an unknown format, or a stem that is no file name.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS, path="formats")
    if not stem or stem != Path(stem).name:
        raise InputError(f"stem: {stem!r} is not the name of a file; leave out folders")
    paths = [folder / f"{stem}.{name}" for name in formats]
    with style.applied():
        for path, name in zip(paths, formats, strict=True):
            atomic.replace(path, lambda file, name=name: figure.savefig(file, format=name, **FORMATS[name]))  # type: ignore[misc]
    return paths


def _scaled(mark: Mark, across: float, up: float) -> Mark:
    """The mark in the units of the axes."""
    return replace(mark, x=mark.x * across, y=mark.y * up, y_std=None if mark.y_std is None else mark.y_std * up)


def _cloud(axes: Axes, marks: Sequence[Mark]) -> None:
    """The marks, kind by kind, with their spreads."""
    for kind, (name, color, fill, size, line, order) in KINDS.items():
        found = [mark for mark in marks if (mark.on_front, mark.confirmed) == kind]
        if found:
            axes.errorbar(
                [mark.x for mark in found],
                [mark.y for mark in found],
                yerr=[math.nan if mark.y_std is None else mark.y_std for mark in found],
                fmt="o",
                color=color,
                markerfacecolor=fill,
                markersize=size,
                markeredgewidth=line,
                elinewidth=line,
                zorder=order,
                label=name,
            )


def _stairs(axes: Axes, points: Sequence[XY], corner: XY | None) -> None:
    """The staircase, from and to the edges of the axes, and the hypervolume before the corner."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    if stairs := staircase(points):
        xs, ys = zip((stairs[0][0], high), *stairs, (right, stairs[-1][1]), strict=True)
        axes.plot(xs, ys, color=BLUE, linewidth=0.9, zorder=1.5, label="_staircase")
    if corner and (stairs := staircase([point for point in points if point[0] < corner[0] and point[1] < corner[1]])):
        xs, ys = zip(*stairs, (corner[0], stairs[-1][1]), strict=True)
        axes.fill_between(xs, ys, corner[1], color=BLUE, alpha=0.08, linewidth=0, zorder=0, label="_hypervolume")
    axes.set(xlim=(left, right), ylim=(low, high))


def _name(axes: Axes, knee: Mark, marks: Sequence[Mark]) -> None:
    """A ring round the knee, and its name where it stands on the fewest marks and off no edge."""
    at, text = (knee.x, knee.y), f"knee: {style.plain(knee.label or knee.key)}"
    axes.plot(*at, "o", markersize=8, color=RED, fillstyle="none", markeredgewidth=0.9, zorder=7, label="_knee")
    room, dots = axes.get_window_extent(), axes.transData.transform([(mark.x, mark.y) for mark in marks])
    lines = [line.get_path().transformed(axes.transData) for line in axes.lines if line.get_label() == "_staircase"]
    choices = []
    for place in PLACES:
        note = axes.annotate(
            text,
            at,
            place,
            textcoords="offset points",
            ha="right" if place[0] < 0 else "left",
            va={-1: "top", 0: "center", 1: "bottom"}[int(np.sign(place[1]))],
            color=RED,
            parse_math=False,
            zorder=8,
            arrowprops={"arrowstyle": "-", "color": RED, "linewidth": 0.6, "shrinkB": 4, "shrinkA": 0},
        )
        box = note.get_window_extent().padded(1)
        off = max(room.x0 - box.x0, box.x1 - room.x1, room.y0 - box.y0, box.y1 - room.y1, 0)
        crossed = sum(line.intersects_bbox(box, filled=False) for line in lines)
        choices.append((off, box.count_contains(dots) + crossed, note))
    best = min(choices, key=lambda choice: choice[:2])
    for _, _, note in choices:
        if note is not best[2]:
            note.remove()


def _bars(axes: Axes, objective: str, group: pd.DataFrame) -> None:
    """One objective's panel."""
    r2 = float(group["r2"].iloc[0])
    explained = "" if math.isnan(r2) else f", R² {r2:.2f}"
    axes.set_title(style.plain(_bare(objective)) + explained, loc="left", parse_math=False)
    axes.set_xlim(0, 1)
    axes.grid(False, axis="y")
    axes.tick_params(left=False, labelbottom=False)
    known = group.dropna(subset=["importance"]).sort_values("importance", kind="stable")
    if known.empty:
        axes.set_axis_off()
        style.sentence(axes, str(group["reason"].iloc[0]), width=36)
        return
    rows = range(len(known))
    axes.barh(rows, known["importance"], height=0.7, color=BLUE)
    axes.errorbar(known["importance"], rows, xerr=known["std"], fmt="none", ecolor="black", elinewidth=0.7, capsize=1.5)
    axes.set_yticks(rows, [style.plain(str(name)) for name in known["axis"]], parse_math=False)


def _times(objective: str) -> float:
    """What stored values are multiplied by to be in the heading's unit."""
    return 100 if OBJECTIVES[objective].percent else 1


def _bare(objective: str) -> str:
    """Its heading without the unit."""
    return OBJECTIVES[objective].heading.split(",")[0] if objective in OBJECTIVES else objective


def _finite(name: str, values: ArrayLike, most: int) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=float)
    if array.ndim > most or not np.isfinite(array).all():
        raise InputError(f"{name}: must be finite numbers in at most {most} dimensions, not of shape {array.shape}")
    return np.atleast_1d(array)
