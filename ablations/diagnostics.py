"""Diagnostics: additional measurements of a trial, which help to explain its results."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from resnet_space.description import Description


class Diagnostics(Description):
    """`propagation`: the epochs after which signal propagation is measured.

    0 is before training; negative epochs count from the end, -1 is the last. The short form `diagnostics: propagation`
    means before training and at the end, [0, -1].
    """

    propagation: Annotated[tuple[int, ...], Field(max_length=20)] = ()

    def probes(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs of measurements in a training of `epochs` epochs, sorted, without those after its end."""
        wanted = {epoch if epoch >= 0 else epochs + 1 + epoch for epoch in self.propagation}
        return tuple(sorted(epoch for epoch in wanted if 0 <= epoch <= epochs))


def _named(value: Any) -> Any:
    return {"propagation": (0, -1)} if value == "propagation" else value


NamedDiagnostics = Annotated[
    Diagnostics, BeforeValidator(_named, json_schema_input_type=Literal["propagation"] | Diagnostics)
]
