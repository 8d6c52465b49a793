"""Planned contrasts: which arms are compared, by which measure and test, fixed before the first trial."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.numbers import Proportion
from search.measures.catalogue import MEASURES, Measure
from search.measures.targets import AnyMeasure, measure_of

if TYPE_CHECKING:
    from ablations.adjustments import Adjustment


class Contrast(Description):
    """A comparison of one arm with another. Default for `versus`: the baseline. Short form: the arm's name.

    The question is whether the two differ; with `no_worse_by`, a fraction, whether the arm is worse by less than that:
    `{arm: no gate, versus: gate, no_worse_by: 0.005}`. Default for `measure`: that of the plan.
    """

    arm: str
    versus: str | None = None
    measure: AnyMeasure | None = None
    no_worse_by: Proportion | None = None


def _named(value: Any) -> Any:
    return {"arm": value} if isinstance(value, str) else value


class Planned(Description):
    """The planned comparisons of a study, which form one family.

    `alpha` is the probability of a false claim in the family; with `adjust: none`, in each single comparison.
    `equivalent_within`, a fraction, is the largest difference that does not matter: arms are equivalent if their
    difference is shown to be smaller. It applies to measures that are shares of images.

    Raises:
        InputError: an unknown measure, test or adjustment, or a contrast given twice.
    """

    measure: AnyMeasure = "test_error"
    test: str = "moderated"
    adjust: str = "holm"
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    equivalent_within: Proportion | None = None
    compare: tuple[Annotated[Contrast, BeforeValidator(_named, json_schema_input_type=str | Contrast)], ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Planned:
        from ablations.adjustments import ADJUSTMENTS
        from ablations.comparisons import TESTS

        if self.test not in TESTS:
            raise unknown("test", self.test, TESTS, path="test")
        if self.adjust not in ADJUSTMENTS:
            raise unknown("adjustment", self.adjust, ADJUSTMENTS, path="adjust")
        # The plan's measure can be written out.
        given = [each.model_copy(update={"measure": each.measure or self.measure}) for each in self.compare]
        if len(set(given)) < len(given):
            raise InputError("compare: a contrast is given twice")
        for contrast in self.compare:
            measure = measure_of(contrast.measure or self.measure)
            if contrast.no_worse_by is not None and not measure.split:
                raise InputError(
                    f"compare: {contrast.arm!r}: no_worse_by is a share of images, and {measure.name} is none; "
                    f"allowed with: {', '.join(name for name, row in MEASURES.items() if row.split)}"
                )
        return self

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that are compared, each once: first that of all contrasts without their own."""
        given = [self.measure, *(contrast.measure for contrast in self.compare if contrast.measure is not None)]
        return tuple(dict.fromkeys(map(measure_of, given)))

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
        for contrast in content["compare"]:
            # Contrasts had no measure of their own at first: a plan without one keeps its hash.
            if contrast["measure"] is None:
                del contrast["measure"]
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
