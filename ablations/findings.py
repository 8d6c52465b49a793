"""What a comparison found, how sure that is, and what is not resolved: planned contrasts first, all others apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablations import effects, spending
from ablations.contrasts import Contrast
from ablations.effects import Difference, Values
from ablations.study import Ablation
from ablations.summary import ArmSummary

POINTS = 100
"""Errors are fractions; differences of them are told in points, hundredths."""


MANY = 100
"""Comparisons of a family beyond which none is resampled, and no number of seeds forecast: that takes minutes."""


@dataclass(frozen=True)
class Finding:
    """One comparison: arm - versus, a fraction, over the seeds that both have."""

    arm: str
    versus: str
    planned: bool
    margin: float | None
    """With one, the question is whether the arm is no worse than that; without, whether the two differ."""
    difference: Difference
    p: float | None
    """Of this comparison alone, with what earlier looks have spent; None below three pairs."""
    p_adjusted: float | None
    """Over its family, the planned contrasts or the others, as the study adjusts them."""
    resolved: bool
    equivalent: bool
    """Whether the difference is surely within what the study says does not matter."""
    needed: int | None
    """Seeds that would resolve a difference of the size and spread that were seen, with a chance of 80 %, whatever its
    place in the family; None if too many, or resolved."""
    bad: Mapping[str, int]
    """Trials that diverged or failed, by arm; empty if none."""

    @property
    def verdict(self) -> str:
        """In words."""
        return " ".join(_verdict(self))


def _verdict(found: Finding) -> list[str]:
    delta, n = found.difference.delta, found.difference.n
    words = [f"{number} of {arm} did not end well;" for arm, number in found.bad.items()]
    if delta is None:
        return [*words, "no pair of seeds yet" if not words else "no pair of seeds is left"]
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
    """Every planned contrast, then every other arm against the baseline, each with its family's adjustment.

    Where arms are matched, a planned contrast is one of the matched arms; the raw ones stand among the others.
    """
    by_name = {arm.arm: arm for arm in arms}
    planned = [study.resolved_contrast(contrast, by_name) for contrast in study.planned.compare]
    told = {(contrast.arm, contrast.versus) for contrast in planned}
    others = [
        contrast
        for name in by_name
        if (contrast := study.resolved_contrast(Contrast(arm=name), by_name, matched=False)).arm != contrast.versus
        and (contrast.arm, contrast.versus) not in told
    ]
    return [
        *_family(study, by_name, planned, planned=True),
        *_family(study, by_name, others, planned=False),
    ]


def _family(
    study: Ablation, arms: Mapping[str, ArmSummary], contrasts: Sequence[Contrast], *, planned: bool
) -> list[Finding]:
    values = {name: arm.measured[study.planned.measure] for name, arm in arms.items()}
    few = len(contrasts) <= MANY
    looked = [look(study, contrast, values, resampled=few) for contrast in contrasts]
    adjusted = study.planned.adjustment.adjusted([each.p for each in looked])
    return [
        _finding(study, arms, contrast, seen, p_adjusted, planned=planned, family=len(contrasts))
        for contrast, seen, p_adjusted in zip(contrasts, looked, adjusted, strict=True)
    ]


@dataclass(frozen=True)
class Look:
    """What a contrast looks like now. p-values are sequential: they hold however often was looked before."""

    difference: Difference
    p: float | None
    """That the arms do not differ, or with a margin, that the arm is worse by more."""
    p_differs_more: float | None
    """That they differ by more than what does not matter; None where the study does not say what that is."""


def look(study: Ablation, contrast: Contrast, values: Mapping[str, Values], *, resampled: bool = False) -> Look:
    """All pairs that there are, and the p-values behind the looks that they make: one with the first seeds, and one
    with each lot of seeds more that both arms were given."""
    assert contrast.versus is not None
    plan, looks = study.planned, len(study.looks)
    arm, versus = values[contrast.arm], values[contrast.versus]
    seeds = max(study.least_seeds, min(max(side, default=-1) + 1 for side in (arm, versus)))
    looked = study.looked(seeds)

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

    now = at(seeds, spending.interval_confidence(len(looked), looks), resampled=resampled)
    history = [now] if looks == 1 else [at(number) for number in looked]
    ps = [_p(contrast, difference) for difference in history]
    more = [effects.equivalent(each, plan.equivalent_within) for each in history] if plan.equivalent_within else []
    return Look(
        difference=now,
        p=spending.sequential_p(ps, looks),
        p_differs_more=spending.sequential_p(more, looks) if more else None,
    )


def _p(contrast: Contrast, difference: Difference) -> float | None:
    return difference.p if contrast.no_worse_by is None else effects.no_worse(difference, contrast.no_worse_by)


def _finding(
    study: Ablation,
    arms: Mapping[str, ArmSummary],
    contrast: Contrast,
    seen: Look,
    p_adjusted: float | None,
    *,
    planned: bool,
    family: int,
) -> Finding:
    assert contrast.versus is not None
    alpha, difference = study.planned.alpha, seen.difference
    resolved = p_adjusted is not None and p_adjusted <= alpha
    needed = None
    if family <= MANY and not resolved and difference.std and difference.delta and contrast.no_worse_by is None:
        # What is left at the last look for any place in the family.
        level = study.planned.adjustment.strictest(alpha, family) * spending.shares(len(study.looks))[-1]
        needed = effects.pairs_needed(difference.std, difference.delta, alpha=level)
        needed = needed and max(needed, difference.n + 1)
    return Finding(
        arm=contrast.arm,
        versus=contrast.versus,
        planned=planned,
        margin=contrast.no_worse_by,
        difference=difference,
        p=seen.p,
        p_adjusted=p_adjusted,
        resolved=resolved,
        equivalent=seen.p_differs_more is not None and seen.p_differs_more <= alpha,
        needed=needed,
        bad={name: arms[name].bad for name in (contrast.arm, contrast.versus) if arms[name].bad},
    )


def best(study: Ablation, arms: Sequence[ArmSummary]) -> str | None:
    """The arm of least mean, if it is better than each other by the study's test at its level; else None.

    An intersection-union test: all of the comparisons have to be resolved, so none needs an adjustment. Arms that did
    not end well, or have trials to come, are no best.
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
            seen = look(study, Contrast(arm=first.arm, versus=other.arm), values)
            if seen.p is None or seen.p > study.planned.alpha or (seen.difference.delta or 0.0) >= 0:
                return None
    return first.arm
