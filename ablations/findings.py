"""Results of comparisons: differences, p-values, verdicts; first the planned contrasts, then the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablations import alpha_spending, effects
from ablations.contrasts import Contrast
from ablations.effects import Difference, Values
from ablations.study import Ablation
from ablations.summary import ArmSummary

POINTS = 100
"""Errors are fractions; their differences are reported in percentage points."""


MAX_DETAILED = 100
"""In families with more comparisons, there is no bootstrap and no number of needed seeds: these would take minutes."""


@dataclass(frozen=True)
class Finding:
    """The result of one comparison: arm - versus, a fraction, over the seeds that both have."""

    arm: str
    versus: str
    planned: bool
    margin: float | None
    """If given, the question is whether the arm is worse by less than this; else, whether the two differ."""
    difference: Difference
    p: float | None
    """The sequential p-value of this comparison alone; None below three pairs."""
    p_adjusted: float | None
    """The p-value adjusted over its family, which is the planned contrasts or the others."""
    resolved: bool
    """Whether `p_adjusted` is at most alpha."""
    equivalent: bool
    """Whether the difference is shown to be smaller than `equivalent_within` of the study."""
    needed: int | None
    """The number of seeds that would resolve a difference with the observed mean and spread, with a power of 80 %, for
    every rank in the family; None if too many, or if resolved."""
    bad: Mapping[str, int]
    """The number of trials that diverged or failed, by arm; empty if none did."""

    @property
    def verdict(self) -> str:
        """The result in words."""
        return " ".join(_verdict(self))


def _verdict(found: Finding) -> list[str]:
    delta, n = found.difference.delta, found.difference.n
    words = [f"{number} of {arm} diverged or failed;" for arm, number in found.bad.items()]
    if delta is None:
        return [*words, "no pair of seeds yet" if not words else "no pair of seeds remains"]
    size = f"{abs(POINTS * delta):.2f} points"
    if found.margin is not None:
        within = f"no worse than {POINTS * found.margin:g} points"
        return [*words, within if found.resolved else f"not shown to be {within} at n = {n}"]
    if found.resolved:
        return [*words, f"{'worse' if delta > 0 else 'better'} by {size}"]
    if found.equivalent:
        return [*words, f"equivalent at n = {n}"]
    more = f"; about {found.needed} seeds would be needed" if found.needed else ""
    return [*words, f"not resolved at n = {n}{more}"]


def findings(study: Ablation, arms: Sequence[ArmSummary]) -> list[Finding]:
    """Return the results of all planned contrasts, then of all other arms against the baseline.

    Each of the two families is adjusted separately. If arms are matched to equal complexity, planned contrasts compare
    the matched arms, and the unmatched arms are among the others.
    """
    by_name = {arm.arm: arm for arm in arms}
    planned = [study.resolved_contrast(contrast, by_name) for contrast in study.planned.compare]
    planned_pairs = {(contrast.arm, contrast.versus) for contrast in planned}
    others = [
        contrast
        for name in by_name
        if (contrast := study.resolved_contrast(Contrast(arm=name), by_name, matched=False)).arm != contrast.versus
        and (contrast.arm, contrast.versus) not in planned_pairs
    ]
    return [
        *_family(study, by_name, planned, planned=True),
        *_family(study, by_name, others, planned=False),
    ]


def _family(
    study: Ablation, arms: Mapping[str, ArmSummary], contrasts: Sequence[Contrast], *, planned: bool
) -> list[Finding]:
    values = {name: arm.measured[study.planned.measure] for name, arm in arms.items()}
    few = len(contrasts) <= MAX_DETAILED
    analyses = [analyse_contrast(study, contrast, values, resampled=few) for contrast in contrasts]
    adjusted = study.planned.adjustment.adjusted([each.p for each in analyses])
    return [
        _finding(study, arms, contrast, analysis, p_adjusted, planned=planned, family=len(contrasts))
        for contrast, analysis, p_adjusted in zip(contrasts, analyses, adjusted, strict=True)
    ]


@dataclass(frozen=True)
class Analysis:
    """The analysis of a contrast. p-values are sequential: they are valid for any number of earlier analyses."""

    difference: Difference
    p: float | None
    """For H0: the arms do not differ; with a margin, for H0: the arm is worse by at least the margin."""
    p_not_equivalent: float | None
    """For H0: the arms differ by at least `equivalent_within`; None if the study does not set it."""


def analyse_contrast(
    study: Ablation, contrast: Contrast, values: Mapping[str, Values], *, resampled: bool = False
) -> Analysis:
    """Analyse a contrast with all pairs of seeds so far; p-values include all analyses made with fewer seeds.

    The first analysis uses the study's first seeds; each further one adds the seeds that both arms were given.
    """
    assert contrast.versus is not None
    plan, analyses = study.planned, len(study.analyses)
    arm, versus = values[contrast.arm], values[contrast.versus]
    seeds = max(study.least_seeds, min(max(side, default=-1) + 1 for side in (arm, versus)))
    so_far = study.analyses_up_to(seeds)

    def at(seeds: int, confidence: float = 0.95, *, resampled: bool = False) -> Difference:
        sides = [{seed: error for seed, error in side.items() if seed < seeds} for side in (arm, versus)]
        return effects.difference(
            sides[0],
            sides[1],
            planned=range(seeds),
            test=plan.test,
            confidence=confidence,
            resampled=resampled,
        )

    now = at(seeds, alpha_spending.interval_confidence(len(so_far), analyses), resampled=resampled)
    history = [now] if analyses == 1 else [at(number) for number in so_far]
    ps = [_p(contrast, difference) for difference in history]
    more = [effects.equivalent(each, plan.equivalent_within) for each in history] if plan.equivalent_within else []
    return Analysis(
        difference=now,
        p=alpha_spending.sequential_p(ps, analyses),
        p_not_equivalent=alpha_spending.sequential_p(more, analyses) if more else None,
    )


def _p(contrast: Contrast, difference: Difference) -> float | None:
    return difference.p if contrast.no_worse_by is None else effects.no_worse(difference, contrast.no_worse_by)


def _finding(
    study: Ablation,
    arms: Mapping[str, ArmSummary],
    contrast: Contrast,
    analysis: Analysis,
    p_adjusted: float | None,
    *,
    planned: bool,
    family: int,
) -> Finding:
    assert contrast.versus is not None
    alpha, difference = study.planned.alpha, analysis.difference
    resolved = p_adjusted is not None and p_adjusted <= alpha
    needed = None
    if family <= MAX_DETAILED and not resolved and difference.std and difference.delta and contrast.no_worse_by is None:
        # The level of the final analysis for every rank in the family.
        level = study.planned.adjustment.strictest(alpha, family) * alpha_spending.shares(len(study.analyses))[-1]
        needed = effects.pairs_needed(difference.std, difference.delta, alpha=level)
        needed = needed and max(needed, difference.n + 1)
    return Finding(
        arm=contrast.arm,
        versus=contrast.versus,
        planned=planned,
        margin=contrast.no_worse_by,
        difference=difference,
        p=analysis.p,
        p_adjusted=p_adjusted,
        resolved=resolved,
        equivalent=analysis.p_not_equivalent is not None and analysis.p_not_equivalent <= alpha,
        needed=needed,
        bad={name: arms[name].bad for name in (contrast.arm, contrast.versus) if arms[name].bad},
    )


def best(study: Ablation, arms: Sequence[ArmSummary]) -> str | None:
    """Return the arm with the lowest mean if it is better than every other arm by the study's test, else None.

    This is an intersection-union test: all comparisons must be resolved, so no adjustment is needed. An arm with trials
    that diverged, failed or are waiting is never the best.
    """
    values = {arm.arm: arm.measured[study.planned.measure] for arm in arms}
    known = [arm for arm in arms if arm.mean is not None]
    if len(known) < 2:
        return None
    first = min(known, key=lambda arm: arm.mean or 0.0)
    if first.bad or first.unfinished:
        return None
    for other in known:
        if other.key != first.key:
            found = analyse_contrast(study, Contrast(arm=first.arm, versus=other.arm), values)
            if found.p is None or found.p > study.planned.alpha or (found.difference.delta or 0.0) >= 0:
                return None
    return first.arm
