"""Planned contrasts: which arms are compared, by what and how, written down before the first trial."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.numbers import Proportion

if TYPE_CHECKING:
    from ablations.effects import Adjustment


@dataclass(frozen=True)
class Measure:
    """A number that arms are compared by, as trials have it; smaller is better."""

    column: str
    heading: str


MEASURES: dict[str, Measure] = {
    "test_error": Measure("test_error", "test error"),
    "validation_error": Measure("validation_error", "validation error"),
}
"""By the name behind `measure`."""


class Contrast(Description):
    """One arm against another, by itself the baseline: whether they differ, or with `no_worse_by`, a fraction, whether
    the arm is no worse than that. May be written as the arm's bare name.
    """

    arm: str
    versus: str | None = None
    no_worse_by: Proportion | None = None


def _named(value: Any) -> Any:
    return {"arm": value} if isinstance(value, str) else value


class Planned(Description):
    """The comparisons of a study, which are one family: `alpha` is the chance that any of them misleads, or with
    `adjust: none` that a certain one does.

    `equivalent_within`, a fraction, is the difference that does not matter: what is surely smaller is equivalent.

    Raises:
        InputError: an unknown measure, test or adjustment, or the same contrast twice.
    """

    measure: str = "test_error"
    test: str = "paired_t"
    adjust: str = "holm"
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    equivalent_within: Proportion | None = None
    compare: tuple[Annotated[Contrast, BeforeValidator(_named, json_schema_input_type=str | Contrast)], ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Planned:
        from ablations.effects import ADJUSTMENTS, TESTS

        if self.measure not in MEASURES:
            raise unknown("measure", self.measure, MEASURES, path="measure")
        if self.test not in TESTS:
            raise unknown("test", self.test, TESTS, path="test")
        if self.adjust not in ADJUSTMENTS:
            raise unknown("adjustment", self.adjust, ADJUSTMENTS, path="adjust")
        if len(set(self.compare)) < len(self.compare):
            raise InputError("compare: a contrast is there twice")
        return self

    @property
    def adjustment(self) -> Adjustment:
        from ablations.effects import ADJUSTMENTS

        return ADJUSTMENTS[self.adjust]

    def hash(self, *, baseline: str, seeds: Any) -> str:
        """16 hex digits that stand for all of it: contrasts, measure, test, level, baseline and number of seeds."""
        content = {**self.to_dict(), "baseline": baseline, "seeds": seeds}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


MoreSeeds = Annotated[int, Field(ge=1, le=1000)]
"""Each is a trial of every arm: beyond, a number is a slip, and its trials fill the memory."""


class Seeds(Description):
    """From `min` seeds for every arm up to `max` for those whose comparison is open, `by` so many more at each look."""

    min: Annotated[int, Field(ge=3)] = 3
    max: MoreSeeds = 10
    by: MoreSeeds = 1

    @model_validator(mode="after")
    def _ordered(self) -> Seeds:
        if self.max < self.min:
            raise InputError(f"max: {self.max} is less than min, {self.min}")
        return self

    @property
    def looks(self) -> tuple[int, ...]:
        """Seeds that an arm has at each look, if it stays open; the last step may be a shorter one."""
        return (*range(self.min, self.max, self.by), self.max)


NumberOfSeeds = Annotated[
    # Tags in brackets: no part of the path that a message names.
    Annotated[MoreSeeds, Tag("[number]")] | Annotated[Seeds, Tag("[range]")],
    Discriminator(lambda value: "[range]" if isinstance(value, dict | Seeds) else "[number]"),
]
"""A number of seeds for every arm, or a range."""
