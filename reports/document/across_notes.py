"""The answer of an ablation on several data sets, and notes on what its numbers mean."""

from __future__ import annotations

from ablations.across.heterogeneity import MIN_PREDICTED
from ablations.across.ranks import MIN_ARMS, Ranks, datasets_needed
from ablations.across.run import RunAcross
from ablations.effects import MIN_PAIRS
from reports.document.answer import EXPLORATORY, ONE_ARM, WAITING, by_measure, groups
from reports.document.arm_notes import levels
from reports.document.provenance import provenance
from reports.names import quoted
from reports.numbers import p_value

MAX_NAMED = 4
"""A sentence names at most this many arms."""


def answer(run: RunAcross) -> str:
    """Return the results over all data sets: of the comparisons, then of all arms by their ranks."""
    planned = [found for found in run.findings if found.planned]
    compared = planned or run.findings
    if not compared:
        return ONE_ARM
    waiting = any(arm.unfinished for part in run.parts.values() for arm in part.summaries)
    results = by_measure(compared, groups(compared, planned=bool(planned)))
    sentences = [f"Over {len(run.parts)} data sets, {results[:1].lower()}{results[1:]}"]
    if not planned:
        sentences.append(EXPLORATORY)
    if run.ranks and run.ranks.can_test:
        sentences.append(_ranked(run.ranks))
    return " ".join([*sentences, *([WAITING] if waiting else [])])


def _ranked(ranks: Ranks) -> str:
    first = min(ranks.average)
    named = [quoted(arm) for arm, rank in zip(ranks.arms, ranks.average, strict=True) if rank == first]
    verdict = "differ" if ranks.resolved else "are not shown to differ"
    best = f"; the best average rank is {first:.2f} ({', '.join(named)})" if ranks.resolved else ""
    return f"By their ranks, the {len(ranks.arms)} arms {verdict} (Friedman, p = {p_value(ranks.p)}){best}."


def notes_of_differences(run: RunAcross) -> list[str]:
    """Return the notes on comparisons over data sets: their definition, and what so few data sets cannot show."""
    plan, number = run.study.planned, len(run.parts)
    lines = [
        "mean difference: over data sets, each of which counts the same, with its interval (Hartung-Knapp-Sidik-"
        f"Jonkman, equal weights); *: resolved, p <= {plan.alpha:g} {plan.adjustment.holds} (t test over data sets). "
        f"{levels(run)}",
    ]
    if any(own.mixed for found in run.findings for own in found.by_set.values()):
        lines.append(
            "where an arm failed at some seeds of a data set, the mean difference includes these, and a trial that "
            "diverged has the error of a guess; differences by data set are over the others."
        )
    if number < MIN_PAIRS:
        lines.append(
            f"{number} data sets give an interval with one degree of freedom, and no p-value: a difference can be "
            f"resolved over {MIN_PAIRS} data sets or more."
        )
    if number >= MIN_PREDICTED:
        lines.append("next data set: 95 % prediction interval of the difference measured on a further data set.")
    if any(found.heterogeneity for found in run.findings):
        lines.append(
            "heterogeneity: τ, the standard deviation of true differences between data sets (Paule-Mandel; τ² is their "
            "variance); I², the share of the variance that is between data sets; Q, Cochran's test of τ = 0."
        )
    if run.study.adaptive:
        lines.append("seeds were added on each data set for itself, by its own interim analyses.")
    if shared := run.shared_test_images:
        lines.append(f"{' and '.join(shared)} have the same test images: they are not independent data sets.")
    return [*lines, *provenance_across(run)]


def provenance_across(run: RunAcross) -> list[str]:
    """Return the notes on the origin of trials that every data set has; the others are with the data set."""
    found = [provenance(part) for part in run.parts.values()]
    return [line for line in found[0] if all(line in other for other in found)]


def notes_of_ranks(run: RunAcross) -> list[str]:
    """Return the notes on ranks: tests, critical difference, and what cannot be said with so few data sets."""
    found = run.ranks
    left_out = sorted({arm.arm for part in run.parts.values() for arm in part.summaries} - run.ranked.keys())
    lines = []
    if left_out:
        shown = ", ".join(left_out[:MAX_NAMED]) + (" and others" if len(left_out) > MAX_NAMED else "")
        lines.append(f"not ranked, since they have no result on some data set: {shown}.")
    if found is None:
        return [*lines, f"no ranks: {MIN_ARMS} arms with results on all data sets are needed."] if lines else []
    k, n = len(found.arms), len(found.by_set)
    lines.insert(
        0,
        "rank: 1 is the lowest mean test error on a data set, equal ones share their mean rank; failures at some seeds "
        "count as errors of 100 %. Average ranks depend on which arms are compared.",
    )
    if found.can_test:
        f = f", F = {found.f:.2f} (Iman-Davenport)" if found.f < float("inf") else ""
        lines.append(
            f"Friedman's test: χ² = {found.chi2:.2f}{f}, p = {p_value(found.p)} by permutation, over {n} data sets."
        )
    else:
        lines.append(
            f"Friedman's test cannot show anything with {k} arms on {n} data sets: even with the same order on each of "
            f"them, p is {found.smallest_p}, above {found.alpha:g}."
        )
    width = f"the critical difference of average ranks (Nemenyi, {found.alpha:g}) is {found.critical_difference:.2f}"
    if found.can_separate:
        lines.append(f"{width}: arms that differ by less cannot be distinguished.")
    else:
        lines.append(
            f"{width}, and average ranks of {k} arms differ by at most {k - 1}: with {n} data sets no two arms can be "
            f"distinguished, whatever their results; at least {datasets_needed(k, found.alpha)} data sets are needed."
        )
    return lines
