"""What is recorded beside a trial's numbers, to see why they are what they are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from resnet_space.description import Description


class Diagnostics(Description):
    """`propagation`: epochs behind which signals are measured, 0 the beginning, negative from the end (-1 the last).

    May be written as the bare name, for the beginning and the end.
    """

    propagation: Annotated[tuple[int, ...], Field(max_length=20)] = ()

    def probes(self, epochs: int) -> tuple[int, ...]:
        """The epochs of a training of so many, in order; those beyond its end are left out."""
        wanted = {epoch if epoch >= 0 else epochs + 1 + epoch for epoch in self.propagation}
        return tuple(sorted(epoch for epoch in wanted if 0 <= epoch <= epochs))


def _named(value: Any) -> Any:
    return {"propagation": (0, -1)} if value == "propagation" else value


NamedDiagnostics = Annotated[
    Diagnostics, BeforeValidator(_named, json_schema_input_type=Literal["propagation"] | Diagnostics)
]
