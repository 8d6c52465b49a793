"""What a run's manifest keeps of its data: enough to see that they are the same, and to prepare an image by it."""

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
    """`Images.facts`, as a manifest has them.

    `mean` and `std` are a number a channel, in the units in which images are stored (0-255 for `dtype` uint8).
    `classes` are names, in the order of the labels.
    """

    fingerprint: Digest
    shape: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=3, max_length=3)]
    dtype: Literal["uint8", "float32"]
    classes: list[str]
    mean: list[Finite]
    std: list[Annotated[Finite, Field(gt=0)]]
    splits: dict[str, SplitFacts]


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """In words, where two `Images.facts` differ; the one as it is stored, the other as it is here."""
    for name in ("shape", "dtype"):
        if before[name] != now[name]:
            yield f"{name} ({_text(before[name])} there, {_text(now[name])} here)"
    if before["classes"] != now["classes"]:
        gone, new = (
            [name for name in one["classes"] if name not in other["classes"]]
            for one, other in ((before, now), (now, before))
        )
        numbers = [len(facts["classes"]) for facts in (before, now)]
        named = f"{_some(gone)} there alone, {_some(new)} here alone" if gone or new else "in another order"
        yield f"classes ({numbers[0]} there, {numbers[1]} here; {named})"
    for name in dict.fromkeys([*before["splits"], *now["splits"]]):
        there, here = (facts["splits"].get(name, {"images": 0, "sha256": ""}) for facts in (before, now))
        if there["images"] != here["images"]:
            yield f"{name} ({there['images']} images there, {here['images']} here)"
        elif there["sha256"] != here["sha256"]:
            yield f"{name} (as many images, {here['images']}, of other content)"


def _text(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return (f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown) or "none"
