"""The analyses of a study: the planned test at each number of seeds, and p-values over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablations import alpha_spending
from ablations.comparisons import TESTS, Comparison, Detail
from ablations.contrasts import Contrast
from ablations.effects import Difference
from ablations.outcomes import Outcomes
from ablations.study import Ablation
from search.measures.catalogue import Measure


@dataclass(frozen=True)
class Analysis:
    """The analyses of a contrast so far. p-values are sequential: they are valid for any number of earlier analyses."""

    seeds: Sequence[int]
    """The number of seeds at each analysis so far; the last one has all seeds of the contrast."""
    ps: Sequence[float | None]
    """The p-value at each analysis."""
    p: float | None
    """For H0: the arms do not differ; with a margin, for H0: the arm is worse by at least the margin."""
    p_not_equivalent: float | None
    """For H0: the arms differ by at least `equivalent_within`; None if the study does not set it."""


class Analyses:
    """The results of all arms, by measure, compared by the study's test at each number of seeds."""

    def __init__(self, study: Ablation, outcomes: Mapping[Measure, Outcomes]) -> None:
        self.study, self._outcomes = study, outcomes
        self._shares = alpha_spending.shares(len(study.analyses))
        self._comparisons: dict[tuple[Measure, int, bool], Comparison] = {}

    def outcomes(self, contrast: Contrast) -> Outcomes:
        """Return the outcomes of all arms by the measure of a contrast."""
        return self._outcomes[self.study.measure_of(contrast)]

    def of(self, contrast: Contrast) -> Analysis:
        """Analyse a contrast with all seeds so far; p-values include all analyses made with fewer seeds.

        The first analysis uses the study's first seeds; each further one adds the seeds that both arms were given.
        """
        arm, versus = sides(contrast)
        outcomes = self.outcomes(contrast)
        seen = [max(outcomes.values[name], default=-1) + 1 for name in (arm, versus)]
        latest = max(self.study.least_seeds, min(seen))
        seeds = [*self.study.analyses_up_to(latest)[:-1], latest]
        at = [self.at(contrast, number) for number in seeds]
        margin = contrast.no_worse_by
        within = self.study.planned.equivalent_within if outcomes.measure.split else None
        ps = [each.p(arm, versus) if margin is None else each.no_worse(arm, versus, margin) for each in at]
        more = [each.equivalent(arm, versus, within) for each in at] if within else []
        return Analysis(
            seeds=seeds,
            ps=ps,
            p=alpha_spending.sequential_p(ps, len(self._shares)),
            p_not_equivalent=alpha_spending.sequential_p(more, len(self._shares)) if more else None,
        )

    def difference(
        self, contrast: Contrast, analysis: Analysis, level: float, *, resampled: bool = False
    ) -> Difference:
        """Return the difference at the analysis that first claimed it at this level, or else at the last analysis.

        The interval has the level of that analysis, so it excludes 0, or the margin, exactly if the claim was made. If
        an arm failed at some seeds only, the difference is over the seeds at which both trained.
        """
        arm, versus = sides(contrast)
        claimed = [p is not None and p <= level * share for p, share in zip(analysis.ps, self._shares, strict=False)]
        place = claimed.index(True) if True in claimed else len(claimed) - 1
        # A margin is a one-sided question: the upper end of the interval alone decides it.
        tails = 1 if contrast.no_worse_by is None else 2
        seeds = analysis.seeds[place]
        mixed = any(self.outcomes(contrast).mixed(name) for name in (arm, versus))
        confidence = alpha_spending.interval_confidence(place + 1, len(self._shares), 1 - tails * level)
        detail = Detail(planned=range(seeds), confidence=confidence, resampled=resampled)
        return self.at(contrast, seeds, trained=mixed).difference(arm, versus, detail)

    def at(self, contrast: Contrast, seeds: int, *, trained: bool = False) -> Comparison:
        """Return the comparison of all arms with their first seeds, by the measure of a contrast.

        With `trained`, without trials that failed.
        """
        outcomes = self.outcomes(contrast)
        key = outcomes.measure, seeds, trained
        if key not in self._comparisons:
            found = outcomes.first(seeds)
            compare = TESTS[self.study.planned.test].compare
            self._comparisons[key] = compare(found.trained if trained else found)
        return self._comparisons[key]


def sides(contrast: Contrast) -> tuple[str, str]:
    """Return the two arms of a contrast with its default filled in."""
    assert contrast.versus is not None
    return contrast.arm, contrast.versus
