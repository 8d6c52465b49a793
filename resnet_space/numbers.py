"""Number types with ranges, used in the fields of descriptions."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""A positive integer with an upper limit far above any real use: larger ones would hang or fill the memory."""
Channels = Annotated[int, Field(ge=1, le=65_536)]
Side = Annotated[int, Field(ge=1, le=16_384)]
"""Pixels."""


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError(f"must be odd, to keep the map's size, not {kernel}; nearest: {kernel - 1} and {kernel + 1}")
    return kernel


OddKernel = Annotated[int, Field(ge=1, le=127), AfterValidator(_odd)]
"""The side of a square window."""
AtLeast2 = Annotated[int, Field(ge=2)]

Above0 = Annotated[float, Field(gt=0)]
AtLeast0 = Annotated[float, Field(ge=0)]
AtLeast1 = Annotated[float, Field(ge=1)]
Moderate = Annotated[float, Field(ge=-1e6, le=1e6)]
"""Well within the range of float32."""

Proportion = Annotated[float, Field(gt=0, le=1)]
"""0 < x <= 1."""
ProperProportion = Annotated[float, Field(gt=0, lt=1)]
"""0 < x < 1."""
Below1 = Annotated[float, Field(ge=0, lt=1)]
"""0 <= x < 1."""
