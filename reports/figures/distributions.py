"""Cumulative distributions of errors by design space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from reports.figures import style
from reports.figures.arms import dashes, finite, legend, sheet
from reports.figures.palette import colour
from reports.page import DOUBLE


@dataclass(frozen=True)
class Distribution:
    """The errors of networks sampled from a space. A network without an error is `nan` or `inf`, and counts in n."""

    name: str
    index: int
    errors: Sequence[float]


def distributions(found: Sequence[Distribution], *, bands: bool = True, width: float = DOUBLE) -> Figure:
    """Return a figure of the share of networks with an error of at most x, by design space, as in 2003.13678.

    F(x) = 1/n Σ 1[error ≤ x]. Bands: 95 % bands of Dvoretzky, Kiefer and Wolfowitz, F ± √(ln(2/0.05) / 2n), which
    hold for all x simultaneously. n includes networks without a finite error, so their curve ends below 1.
    """
    drawn = sorted((space for space in found if len(space.errors)), key=lambda space: space.index)
    known = [100 * error for space in drawn for error in space.errors if finite(error)]
    names = {space.index: f"{style.plain(space.name)} (n = {len(space.errors)})" for space in drawn}
    with style.applied():
        figure = sheet(width, 2.6 if width < style.NARROW else 3.0, names if known else {})
        axes = figure.add_subplot(xlabel="error, %", ylabel="share of networks", ylim=(-0.02, 1.02))
        if not known:
            style.sentence(axes, "no network has a finished trial yet")
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
