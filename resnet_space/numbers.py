"""The ranges of numbers that descriptions take, each under one name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""A whole number with a bound far from any use, which refuses what would hang or fill the memory."""
Channels = Annotated[int, Field(ge=1, le=65_536)]
Side = Annotated[int, Field(ge=1, le=16_384)]
"""Pixels."""
AtLeast2 = Annotated[int, Field(ge=2)]

Above0 = Annotated[float, Field(gt=0)]
AtLeast0 = Annotated[float, Field(ge=0)]
AtLeast1 = Annotated[float, Field(ge=1)]
Moderate = Annotated[float, Field(ge=-1e6, le=1e6)]
"""Far from what float32 cannot represent."""

Proportion = Annotated[float, Field(gt=0, le=1)]
"""0 < x <= 1."""
ProperProportion = Annotated[float, Field(gt=0, lt=1)]
"""0 < x < 1: neither nothing nor all."""
Below1 = Annotated[float, Field(ge=0, lt=1)]
"""0 <= x < 1."""
