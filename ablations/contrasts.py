"""Planned contrasts: which arms are compared, by which measure and test, fixed before the first trial."""

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
    from ablations.adjustments import Adjustment


@dataclass(frozen=True)
class Measure:
    """A number of each trial that arms are compared by; smaller is better."""

    column: str
    heading: str
    split: str
    """The split whose images it is a share of."""


MEASURES: dict[str, Measure] = {
    "test_error": Measure("test_error", "test error", "test"),
    "validation_error": Measure("validation_error", "validation error", "validation"),
}
"""The measures by their names in a study."""


class Contrast(Description):
    """A comparison of one arm with another. Default for `versus`: the baseline. Short form: the arm's name.

    The question is whether the two differ; with `no_worse_by`, a fraction, whether the arm is worse by less than that:
    `{arm: no gate, versus: gate, no_worse_by: 0.005}`.
    """

    arm: str
    versus: str | None = None
    no_worse_by: Proportion | None = None


def _named(value: Any) -> Any:
    return {"arm": value} if isinstance(value, str) else value


class Planned(Description):
    """The planned comparisons of a study, which form one family.

    `alpha` is the probability of a false claim in the family; with `adjust: none`, in each single comparison.
    `equivalent_within`, a fraction, is the largest difference that does not matter: arms are equivalent if their
    difference is shown to be smaller.

    Raises:
        InputError: an unknown measure, test or adjustment, or a contrast given twice.
    """

    measure: str = "test_error"
    test: str = "moderated"
    adjust: str = "holm"
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    equivalent_within: Proportion | None = None
    compare: tuple[Annotated[Contrast, BeforeValidator(_named, json_schema_input_type=str | Contrast)], ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Planned:
        from ablations.adjustments import ADJUSTMENTS
        from ablations.comparisons import TESTS

        if self.measure not in MEASURES:
            raise unknown("measure", self.measure, MEASURES, path="measure")
        if self.test not in TESTS:
            raise unknown("test", self.test, TESTS, path="test")
        if self.adjust not in ADJUSTMENTS:
            raise unknown("adjustment", self.adjust, ADJUSTMENTS, path="adjust")
        if len(set(self.compare)) < len(self.compare):
            raise InputError("compare: a contrast is given twice")
        return self

    @property
    def adjustment(self) -> Adjustment:
        from ablations.adjustments import ADJUSTMENTS

        return ADJUSTMENTS[self.adjust]

    @property
    def least_seeds(self) -> int:
        """The smallest number of seeds with which the test has a result."""
        from ablations.comparisons import TESTS

        return TESTS[self.test].least_seeds

    @property
    def joint(self) -> bool:
        """Whether the test's result for two arms depends on the results of the other arms."""
        from ablations.comparisons import TESTS

        return TESTS[self.test].joint

    def hash(self, *, baseline: str, seeds: Any) -> str:
        """Return the hash, 16 hex digits, of contrasts, measure, test, alpha, baseline and number of seeds."""
        content = {**self.to_dict(), "baseline": baseline, "seeds": seeds}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


MoreSeeds = Annotated[int, Field(ge=1, le=1000)]
"""A number of seeds, each one trial per arm. A larger number is a mistake, and its trials would fill the memory."""


class Seeds(Description):
    """A number of seeds that depends on the results, such as `{min: 3, max: 10, by: 2}`.

    Every arm has `min` seeds. After each interim analysis, arms of open comparisons get `by` more seeds, up to `max`.
    """

    min: Annotated[int, Field(ge=2)] = 3
    max: MoreSeeds = 10
    by: MoreSeeds = 1

    @model_validator(mode="after")
    def _ordered(self) -> Seeds:
        if self.max < self.min:
            raise InputError(f"max: {self.max} is less than min, {self.min}")
        return self

    @property
    def analyses(self) -> tuple[int, ...]:
        """The number of seeds at each analysis of a comparison that stays open; the last step can be smaller."""
        return (*range(self.min, self.max, self.by), self.max)


NumberOfSeeds = Annotated[
    # Tags in brackets are left out of the path in messages.
    Annotated[MoreSeeds, Tag("[number]")] | Annotated[Seeds, Tag("[range]")],
    Discriminator(lambda value: "[range]" if isinstance(value, dict | Seeds) else "[number]"),
]
"""A number of seeds for every arm, or a range."""
