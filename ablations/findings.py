"""Results of comparisons: differences, p-values, verdicts; first the planned contrasts, then the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from ablations import alpha_spending, effects
from ablations.analyses import Analyses, Analysis, sides
from ablations.comparisons import Detail
from ablations.contrasts import Contrast
from ablations.effects import Difference
from ablations.outcomes import Outcomes
from ablations.study import Ablation
from search.measures.catalogue import Measure

POINTS = 100
"""Errors are fractions; their differences are reported in percentage points."""


MAX_DETAILED = 100
"""In families with more comparisons, there is no bootstrap and no number of needed seeds: these would take minutes."""


MIN_SEEDS_FOR_ALWAYS = 4
"""An arm that fails at one seed in five fails at all of fewer seeds too often, in a family of ten arms."""


@dataclass(frozen=True)
class Failures:
    """How often the trials of an arm diverged or failed to train."""

    seeds: int
    """The number of seeds with an outcome."""
    by_kind: Mapping[str, int]

    @property
    def number(self) -> int:
        return sum(self.by_kind.values())

    @property
    def mixed(self) -> bool:
        """Whether the arm failed at some seeds and trained at others."""
        return 0 < self.number < self.seeds

    @property
    def rate(self) -> float:
        return self.number / max(self.seeds, 1)

    def __str__(self) -> str:
        if self.number == self.seeds:
            few = f"{self.number} of {self.seeds} seeds, too few to show that it always does"
            return "fails at " + (few if self.seeds < MIN_SEEDS_FOR_ALWAYS else "every seed")
        return f"{self.number} of {self.seeds} seeds {' or '.join(self.by_kind)}"


@dataclass(frozen=True)
class Finding:
    """The result of one comparison: arm - versus, in the unit of the stored values of `measure`."""

    arm: str
    versus: str
    measure: Measure
    planned: bool
    margin: float | None
    """If given, the question is whether the arm is worse by less than this; else, whether the two differ."""
    difference: Difference
    """Over the seeds at which both trained if one of the two failed at some seeds; else over all of them."""
    p: float | None
    """The sequential p-value of this comparison alone, over all outcomes; None with too few seeds."""
    p_adjusted: float | None
    """The p-value adjusted over its family, which is the planned contrasts or the others."""
    resolved: bool
    """Whether `p_adjusted` is at most alpha. An arm that fails more often than the other is never better."""
    worse: bool
    """Whether the arm's mean over all outcomes is larger than that of `versus`."""
    equivalent: bool
    """Whether the difference is shown to be smaller than `equivalent_within` of the study, with the family's alpha."""
    needed: tuple[int, int | None] | None
    """The number of seeds that would resolve a difference with the observed mean, with a power of 80 %, for every rank
    in the family: for the ends of the 80 % interval of the observed spread, None above 1,000. None if the comparison is
    resolved, and below `MIN_SEEDS_FOR_NEEDED` seeds."""
    p_better: float | None
    """The probability that a trial of the arm is better than one of `versus`, over all outcomes; None without them."""
    failures: Mapping[str, Failures]
    """Failures of both arms, by arm."""
    censored: Mapping[str, int]
    """The number of trials that never reached the error of the measure, by arm; without arms of which all did."""

    @property
    def verdict(self) -> str:
        """The result in words."""
        return _verdict(self)

    @property
    def mixed(self) -> bool:
        """Whether one of the two arms failed at some seeds and trained at others."""
        return any(each.mixed for each in self.failures.values())

    @property
    def both_fail(self) -> bool:
        """Whether both arms failed at every seed, so that their test errors are of no interest.

        Their training errors are: 1512.03385 compares those of deep plain nets, however high they are.
        """
        return self.measure.split in ("test", "validation") and all(
            each.number == each.seeds > 0 for each in self.failures.values()
        )


MIN_SEEDS_FOR_NEEDED = 4
"""With fewer seeds, the observed spread says almost nothing about the number of seeds that are needed."""


def _verdict(found: Finding) -> str:
    return "; ".join([_claim(found), *_failing(found)])


def _claim(found: Finding) -> str:
    delta, n = found.difference.delta, found.difference.n
    if delta is None:
        return "no results to compare yet"
    if found.both_fail:
        return "both fail"
    if found.margin is not None:
        within = f"no worse than {POINTS * found.margin:g} points"
        return within if found.resolved else f"not shown to be {within} at n = {n}"
    if found.resolved:
        side = "worse" if found.worse else "better"
        bound = "at least " * any(found.censored.values())
        return side if found.mixed else f"{side} by {bound}{found.measure.size(delta)}"
    if found.equivalent:
        return f"equivalent at n = {n}"
    return f"not resolved at n = {n}{_more_seeds(found.needed)}"


def _more_seeds(needed: tuple[int, int | None] | None) -> str:
    if needed is None:
        return ""
    low, high = needed
    if high is None:
        return f"; {low} seeds or more would be needed"
    return f"; about {low} seeds would be needed" if low == high else f"; {low} to {high} seeds would be needed"


def _failing(found: Finding) -> list[str]:
    """What is said about failures: how often, and how large the difference is where both trained."""
    words = [
        f"{each}" if arm == found.arm else f"{arm}: {each}"
        for arm, each in found.failures.items()
        if each.number and not found.both_fail
    ]
    delta = found.difference.delta
    if found.mixed and delta is not None and all(each.number < each.seeds for each in found.failures.values()):
        words.append(f"where both train, {found.measure.signed(delta)} {found.measure.difference_unit}")
    words += [
        f"{arm}: {number} of {found.failures[arm].seeds} seeds never get there"
        for arm, number in found.censored.items()
    ]
    return words


def findings(study: Ablation, outcomes: Mapping[Measure, Outcomes], arms: Container[str]) -> list[Finding]:
    """Return the results of all planned contrasts, then of all other arms against the baseline.

    `outcomes` are those by the measures of the contrasts. Each of the two families is adjusted separately, over all
    its measures. If arms are matched to equal complexity, planned contrasts compare the matched arms, and the unmatched
    arms are among the others.
    """
    analyses = Analyses(study, outcomes)
    planned = [study.resolved_contrast(contrast, arms) for contrast in study.planned.compare]
    known = {(*sides(contrast), study.measure_of(contrast)) for contrast in planned}
    others = [
        contrast
        for name in outcomes[study.measure].values
        if (contrast := study.resolved_contrast(Contrast(arm=name), arms, matched=False)).arm != contrast.versus
        and (*sides(contrast), study.measure) not in known
    ]
    return [*_family(analyses, planned, planned=True), *_family(analyses, others, planned=False)]


def _family(analyses: Analyses, contrasts: Sequence[Contrast], *, planned: bool) -> list[Finding]:
    plan = analyses.study.planned
    found = [analyses.of(contrast) for contrast in contrasts]
    ps = [each.p for each in found]
    columns = (
        contrasts,
        found,
        plan.adjustment.adjusted(ps),
        plan.adjustment.levels(ps, plan.alpha),
        plan.adjustment.adjusted([each.p_not_equivalent for each in found]),
    )
    return [
        _finding(analyses, contrast, analysis, p, level, p_not_equivalent, planned=planned, family=len(contrasts))
        for contrast, analysis, p, level, p_not_equivalent in zip(*columns, strict=True)
    ]


def _finding(
    analyses: Analyses,
    contrast: Contrast,
    analysis: Analysis,
    p_adjusted: float | None,
    level: float,
    p_not_equivalent: float | None,
    *,
    planned: bool,
    family: int,
) -> Finding:
    study, outcomes = analyses.study, analyses.outcomes(contrast)
    arm, versus = sides(contrast)
    alpha, detailed = study.planned.alpha, family <= MAX_DETAILED
    difference = analyses.difference(contrast, analysis, level, resampled=detailed)
    overall = analyses.at(contrast, analysis.seeds[-1]).difference(arm, versus, Detail(interval=False))
    worse = (overall.delta or 0.0) > 0
    fails_more = outcomes.rate(arm) > outcomes.rate(versus)
    resolved = p_adjusted is not None and p_adjusted <= alpha and (worse or not fails_more)
    fail = any(outcomes.failures[name] for name in (arm, versus))
    return Finding(
        arm=arm,
        versus=versus,
        measure=outcomes.measure,
        planned=planned,
        margin=contrast.no_worse_by,
        difference=difference,
        p=analysis.p,
        p_adjusted=p_adjusted,
        resolved=resolved,
        worse=worse,
        equivalent=p_not_equivalent is not None and p_not_equivalent <= alpha and not fail,
        needed=_needed(study, overall, family) if detailed and not resolved and contrast.no_worse_by is None else None,
        p_better=effects.probability_smaller(outcomes.values[arm], outcomes.values[versus]),
        failures={
            name: Failures(len(outcomes.values[name]), Counter(outcomes.failures[name].values()))
            for name in (arm, versus)
        },
        censored={name: len(found) for name in (arm, versus) if (found := outcomes.censored.get(name))},
    )


def _needed(study: Ablation, difference: Difference, family: int) -> tuple[int, int | None] | None:
    if difference.n < MIN_SEEDS_FOR_NEEDED or not difference.std or not difference.delta:
        return None
    # The level of the final analysis for every rank in the family.
    level = study.planned.adjustment.strictest(study.planned.alpha, family)
    level *= alpha_spending.shares(len(study.analyses))[-1]
    low, high = (
        effects.pairs_needed(std, difference.delta, alpha=level)
        for std in effects.std_interval(difference.std, difference.n - 1)
    )
    if low is None:
        return None
    return max(low, difference.n + 1), high and max(high, difference.n + 1)


def best(study: Ablation, outcomes: Outcomes, arms: Sequence[str]) -> str | None:
    """Return the arm with the lowest mean if it is better than every other arm by the study's test, else None.

    `outcomes` are those by the measure of the study.

    This is an intersection-union test: all comparisons must be resolved, so no adjustment is needed. `arms` are those
    that can be the best: without missing trials. An arm with trials that diverged or failed is never the best.
    """
    analyses = Analyses(study, {study.measure: outcomes})
    means = {name: sum(values.values()) / len(values) for name, values in outcomes.values.items() if values}
    if len(means) < 2:
        return None
    first = min(means, key=means.__getitem__)
    if outcomes.failures[first] or outcomes.censored.get(first) or first not in arms:
        return None
    for other in means:
        if outcomes.values[other] is not outcomes.values[first]:
            found = analyses.of(Contrast(arm=first, versus=other))
            if found.p is None or found.p > study.planned.alpha:
                return None
    return first
