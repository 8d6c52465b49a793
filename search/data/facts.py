"""Facts of a run's data for its manifest: enough to detect other data, and to prepare an image for a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


@dataclass(frozen=True)
class SplitFacts:
    images: Annotated[int, Field(ge=0)]
    sha256: Digest
    """The first 16 hex digits, over images and labels."""


@dataclass(frozen=True)
class DataFacts:
    """`Images.facts`, as stored in a manifest.

    `mean` and `std` have one number per channel, in the units of the stored images (0-255 for `dtype` uint8).
    `classes` are names, in the order of the labels.
    """

    fingerprint: Digest
    shape: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=3, max_length=3)]
    dtype: Literal["uint8", "float32"]
    classes: list[str]
    mean: list[Finite]
    std: list[Annotated[Finite, Field(gt=0)]]
    splits: dict[str, SplitFacts]


def data_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield descriptions of the differences between two `Images.facts`, the stored ones and the current ones."""
    for name in ("shape", "dtype"):
        if before[name] != now[name]:
            yield f"{name} ({_text(before[name])} stored, {_text(now[name])} now)"
    if before["classes"] != now["classes"]:
        gone, new = (
            [name for name in one["classes"] if name not in other["classes"]]
            for one, other in ((before, now), (now, before))
        )
        numbers = [len(facts["classes"]) for facts in (before, now)]
        named = f"only stored: {_some(gone)}, only now: {_some(new)}" if gone or new else "in another order"
        yield f"classes ({numbers[0]} stored, {numbers[1]} now; {named})"
    for name in dict.fromkeys([*before["splits"], *now["splits"]]):
        stored, current = (facts["splits"].get(name, {"images": 0, "sha256": ""}) for facts in (before, now))
        if stored["images"] != current["images"]:
            yield f"{name} ({stored['images']} images stored, {current['images']} now)"
        elif stored["sha256"] != current["sha256"]:
            yield f"{name} ({current['images']} images as before, with other content)"


def _text(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return (f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown) or "none"
