"""Stages from few numbers: RegNet's quantised linear widths."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from resnet_space.description import Kind
from resnet_space.numbers import Channels, Side
from resnet_space.units import Stage

QUANTUM = 8
"""Widths are multiples of this. 2003.13678, section 3.4."""


def _quantum(width: int) -> int:
    if width % QUANTUM:
        near = max(QUANTUM, round(width / QUANTUM) * QUANTUM)
        raise ValueError(f"must be a multiple of {QUANTUM}, not {width}; nearest: {near}")
    return width


class QuantizedLinear(Kind):
    """`depth` units with widths u_j = w0 + wa j, each quantised to w0 wm^s with a whole s, then to a multiple of 8.

    Units of equal width are a stage. A stage's width is then rounded to a multiple of `group_width`, if it is wider.
    Each stage has stride 2, the first one `stride`. Radosavovic et al. 2020, 2003.13678, equations 2 to 4.
    """

    kind: Literal["quantized_linear"] = "quantized_linear"
    depth: Annotated[int, Field(ge=1, le=1000)]
    w0: Annotated[Channels, AfterValidator(_quantum)]
    wa: Annotated[float, Field(ge=0, le=65_536)]
    wm: Annotated[float, Field(gt=1, le=64)]
    group_width: Channels = 1
    stride: Side = 2

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages."""
        widths = [self._quantised(self.w0 + self.wa * j) for j in range(self.depth)]
        return tuple(
            Stage(
                units=len([*run]),
                channels=_divisible(width, min(self.group_width, width)),
                stride=2 if index else self.stride,
            )
            for index, (width, run) in enumerate(groupby(widths))
        )

    def _quantised(self, width: float) -> int:
        steps = round(math.log(width / self.w0) / math.log(self.wm))
        return round(self.w0 * self.wm**steps / QUANTUM) * QUANTUM


def _divisible(width: int, by: int) -> int:
    """Return the nearest multiple of `by` that is not more than a tenth below the width."""
    near = max(by, int(width + by / 2) // by * by)
    return near + by if near < 0.9 * width else near
