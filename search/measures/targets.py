"""Measures with a parameter: what a trial needs until its error is small enough."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Tag

from resnet_space.catalogues import NameOf
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.numbers import ProperProportion
from search.measures.catalogue import MEASURES, Measure

TARGETS: dict[str, tuple[str, str, float]] = {
    "epochs_to": ("epoch", "epochs", 1.0),
    "seconds_to": ("elapsed", "s", 0.0),
}
"""What is counted until the error is reached, by kind: (column of epochs, unit, step); `elapsed` sums up seconds."""

WATCHED = {"validation": "validation_error", "train": "train_error"}
"""The error that is watched, by split. Not the test split's: it is measured once, at the end."""


class Target(Description):
    """A measure of speed: `{kind: epochs_to, error: 0.05}`, the first epoch with at most this error of the split.

    A trial that never gets there is censored: it needs more than all of its epochs, and ranks worst.
    """

    kind: Annotated[str, NameOf(TARGETS)]
    error: ProperProportion
    split: Annotated[str, NameOf(WATCHED)] = "validation"

    @property
    def measure(self) -> Measure:
        (column, unit, step), watched = TARGETS[self.kind], WATCHED[self.split]
        return Measure(
            name=f"{self.kind}_{self.error:g}" + ("" if self.split == "validation" else f"_{self.split}"),
            words=f"time to {100 * self.error:g} % {MEASURES[watched].words}",
            unit=unit,
            source="epochs",
            column=column,
            decimals=1,
            step=step,
            until=(watched, self.error),
            note="at the end of the first such epoch. Seeds that never get there are in no mean; they rank worst, "
            "and a difference from them is at least what is shown.",
        )


def _named(value: Any) -> Any:
    if isinstance(value, dict | Target):
        return value
    if value in TARGETS:
        raise InputError(f"{value} needs the error to reach: {{kind: {value}, error: 0.05}}")
    if not isinstance(value, str) or value not in MEASURES:
        raise unknown("measure", value, [*MEASURES, *TARGETS])
    return value


AnyMeasure = Annotated[
    # Tags in brackets are left out of the path in messages.
    Annotated[Annotated[str, NameOf(MEASURES)], Tag("[name]")] | Annotated[Target, Tag("[target]")],
    Discriminator(lambda value: "[target]" if isinstance(value, dict | Target) else "[name]"),
    BeforeValidator(_named),
]
"""A measure as a study writes it: a name, or a mapping with a target."""


def measure_of(given: str | Target) -> Measure:
    """Return the measure that a study means."""
    return given.measure if isinstance(given, Target) else MEASURES[given]
