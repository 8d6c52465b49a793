"""Results of comparisons over data sets: each comparison within every data set, and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ablations import effects
from ablations.across.heterogeneity import Heterogeneity, heterogeneity, prediction
from ablations.effects import Difference
from ablations.findings import POINTS, Finding
from ablations.outcomes import Outcomes
from ablations.study import Ablation
from search.measures.catalogue import Measure


@dataclass(frozen=True)
class FindingAcross:
    """The result of one comparison over data sets: the mean of its differences, of which each data set gives one.

    A data set's difference is that of its finding. If one of the arms failed at some seeds of it, it is the difference
    of the means over all outcomes, as in the p-value of the finding: left out, failures would make an arm look better.
    """

    arm: str
    versus: str
    measure: Measure
    planned: bool
    margin: float | None
    """As in `Finding`."""
    by_set: Mapping[str, Finding]
    """The finding within each data set that has the comparison, by label."""
    lacking: Mapping[str, str]
    """The reason why a data set gives no difference, by label."""
    difference: Difference
    """arm - versus over data sets; a pair is a data set, and its p-value is that of a paired t test."""
    heterogeneity: Heterogeneity | None
    """None below two data sets, and if there are some in `without_error`."""
    without_error: tuple[str, ...]
    """The data sets whose difference has no interval, an interval of zero width, or failures at some seeds."""
    p: float | None
    p_adjusted: float | None
    """The p-value adjusted over its family, which is the planned contrasts or the others."""
    resolved: bool
    """Whether `p_adjusted` is at most alpha. An arm that fails more often than the other is never better."""
    equivalent: bool
    """Whether the mean difference is shown to be smaller than `equivalent_within` of the study, with alpha of its
    family, and no trial failed."""

    @property
    def worse(self) -> bool:
        """Whether the arm's error is larger on average."""
        return (self.difference.delta or 0.0) > 0

    @property
    def mixed(self) -> bool:
        """Always False: failures at some seeds are in the difference."""
        return False

    @property
    def both_fail(self) -> bool:
        """Whether both arms diverged at every seed of every data set."""
        return self.difference.delta is None and set(self.lacking.values()) == {BOTH_DIVERGE}

    @property
    def prediction(self) -> tuple[float, float] | None:
        """The interval of the difference on a further data set; see `heterogeneity.prediction`."""
        return prediction(self.difference)

    @property
    def verdict(self) -> str:
        """The result in words."""
        return "; ".join([_claim(self), *(f"{why} on {label}" for label, why in self.lacking.items())])


BOTH_DIVERGE, NO_RESULTS = "both diverge", "no results"
"""Why a data set gives no difference."""


def _claim(found: FindingAcross) -> str:
    delta, over = found.difference.delta, f"over {found.difference.n} data sets"
    if delta is None or found.difference.n < 2:
        return "needs differences on 2 data sets or more"
    if found.margin is not None:
        within = f"no worse than {POINTS * found.margin:g} points"
        return within if found.resolved else f"not shown to be {within} {over}"
    if found.resolved:
        bound = "at least " * any(own.censored for own in found.by_set.values())
        return f"{'worse' if delta > 0 else 'better'} by {bound}{found.measure.size(delta)} on average"
    return f"{'equivalent' if found.equivalent else 'not resolved'} {over}"


def findings_across(
    study: Ablation,
    by_set: Mapping[str, Sequence[Finding]],
    outcomes: Mapping[str, Mapping[Measure, Outcomes]],
) -> list[FindingAcross]:
    """Return each comparison over all data sets: planned ones first, each of the two families adjusted separately.

    Args:
        by_set: all findings within each data set, by its label.
        outcomes: the outcomes of all arms on each data set, by the measures of comparisons.
    """
    found: dict[tuple[bool, str, str, Measure], dict[str, Finding]] = {}
    for label, on_one in by_set.items():
        for each in on_one:
            found.setdefault((each.planned, each.arm, each.versus, each.measure), {})[label] = each
    return [
        finding
        for planned in (True, False)
        for finding in _family(study, [own for pair, own in found.items() if pair[0] == planned], outcomes)
    ]


def _family(
    study: Ablation,
    compared: Sequence[Mapping[str, Finding]],
    outcomes: Mapping[str, Mapping[Measure, Outcomes]],
) -> list[FindingAcross]:
    plan = study.planned
    deltas = [_deltas(found, outcomes) for found in compared]
    margins = [next(iter(found.values())).margin for found in compared]
    ps = [
        over_sets(own).p if margin is None else effects.no_worse(over_sets(own), margin)
        for own, margin in zip(deltas, margins, strict=True)
    ]
    within = plan.equivalent_within
    apart = [
        effects.equivalent(over_sets(own), within) if within and next(iter(found.values())).measure.split else None
        for found, own in zip(compared, deltas, strict=True)
    ]
    adjusted = plan.adjustment.adjusted
    columns = (compared, deltas, margins, ps, adjusted(ps), plan.adjustment.levels(ps, plan.alpha), adjusted(apart))
    made = []
    for found, own, margin, p, p_adjusted, level, p_apart in zip(*columns, strict=True):
        example = next(iter(found.values()))
        seen = over_sets(own, confidence=1 - level * (1 if margin is None else 2))
        rates = [fmean(each.failures[name].rate for each in found.values()) for name in (example.arm, example.versus)]
        errors = {label: error for label in own if (error := standard_error(found[label]))}
        claimed = p_adjusted is not None and p_adjusted <= plan.alpha
        made.append(
            FindingAcross(
                arm=example.arm,
                versus=example.versus,
                measure=example.measure,
                planned=example.planned,
                margin=margin,
                by_set=found,
                lacking={
                    label: BOTH_DIVERGE
                    if label in found and _both_diverge(found[label], outcomes[label])
                    else NO_RESULTS
                    for label in outcomes
                    if label not in own
                },
                difference=seen,
                heterogeneity=heterogeneity([*own.values()], [*errors.values()])
                if 1 < len(errors) == len(own)
                else None,
                without_error=tuple(label for label in own if label not in errors),
                p=p,
                p_adjusted=p_adjusted,
                resolved=claimed and ((seen.delta or 0.0) > 0 or rates[0] <= rates[1]),
                equivalent=p_apart is not None and p_apart <= plan.alpha and not any(rates),
            )
        )
    return made


def _deltas(found: Mapping[str, Finding], outcomes: Mapping[str, Mapping[Measure, Outcomes]]) -> dict[str, float]:
    """Return the difference on each data set that has one."""
    deltas = {}
    for label, each in found.items():
        if each.difference.delta is None or _both_diverge(each, outcomes[label]):
            continue
        deltas[label] = each.difference.delta
        if each.mixed:
            by_arm = outcomes[label][each.measure].values
            arm, versus = (by_arm[name].values() for name in (each.arm, each.versus))
            deltas[label] = fmean(arm) - fmean(versus)
    return deltas


def _both_diverge(found: Finding, outcomes: Mapping[Measure, Outcomes]) -> bool:
    """Whether both arms diverged at every seed that has an outcome, so that their difference is one of guesses."""
    own = outcomes[found.measure]
    return all(own.values[arm] and own.always_diverges(arm) for arm in (found.arm, found.versus))


def over_sets(deltas: Mapping[str, float], confidence: float = 0.95) -> Difference:
    """Return the difference over data sets: each is one pair of (its difference, no difference)."""
    pairs = dict(enumerate(deltas.values()))
    return effects.difference(
        pairs, dict.fromkeys(pairs, 0.0), planned=pairs, test="paired_t", confidence=confidence, resampled=False
    )


def standard_error(found: Finding) -> float | None:
    """Return (high - low) / (2 z) of a finding's interval, with z the normal quantile of its confidence.

    None without an interval, and if an arm failed at some seeds, which the interval leaves out. For an interval of
    Student's t with f degrees of freedom, this is about √(f / (f - 2)) times the standard error of the mean. With few
    seeds, which hardly show the standard error, Q would otherwise be larger than χ² without any heterogeneity.
    """
    from scipy import stats

    seen = found.difference
    if seen.low is None or seen.high is None or found.mixed:
        return None
    return (seen.high - seen.low) / (2 * float(stats.norm.isf((1 - seen.confidence) / 2)))
