"""Notes on an ablation: the meaning of columns, diverged and failed trials, and interim analyses."""

from __future__ import annotations

from collections.abc import Sequence

from ablations import alpha_spending
from ablations.across.run import RunAcross
from ablations.comparisons import TESTS
from ablations.rates import rate, rates_differ
from ablations.run import AblationRun
from ablations.summary import ArmSummary
from reports.document.provenance import provenance
from reports.names import against, quoted
from reports.numbers import p_value

COSTS = "MACs: fused multiply-adds for one image, as fvcore counts them; additions, gates and ReLUs are not counted."
MAX_BRIEF_NOTES = 5
"""The maximum number of notes on arms in the terminal, which has one on images too; documents have all."""
METRICS = {"test_error": "test error", "top1": "top-1 error", "top5": "top-5 error"}
"""The metrics of published tables, in words."""


def changed(run: AblationRun) -> list[str]:
    """Return a note if the planned comparisons are not those from before the first trial."""
    if not run.study.planned.compare or run.as_planned:
        return []
    return ["the planned comparisons were changed after the first trial: all comparisons are reported as exploratory."]


def footnotes(run: AblationRun) -> list[str]:
    """Return the notes on the table of arms: columns, failures, lost trials, agreement with published errors."""
    lines = [*provenance(run), trained_note(run), *measure_notes(run), difference_note(run), COSTS]
    lines += [failure_rate(run, arm) for arm in run.summaries if arm.mixed or arm.ended.get("diverged")]
    lines += missing(run)
    if run.study.adaptive:
        lines.append(spent(run))
    if sources := published_sources(run.summaries):
        lines.append(f"published: {sources}.")
    return [*lines, *agreement_note(run)]


def brief_notes(run: AblationRun) -> list[str]:
    """Return the most important of the footnotes for the terminal, at most `MAX_BRIEF_NOTES`."""
    failing = [
        f"{quoted(arm.arm)} {arm.failures} of {arm.outcomes}"
        for arm in run.summaries
        if 0 < arm.failures < arm.outcomes
    ]
    lines = [
        *provenance(run),
        difference_note(run),
        *([f"diverged or failed to train: {'; '.join(failing)}."] if failing else []),
        *missing(run),
        *([spent(run)] if run.study.adaptive else []),
        *agreement_note(run),
        trained_note(run),
        COSTS,
    ]
    return lines[:MAX_BRIEF_NOTES]


def trained_note(run: AblationRun) -> str:
    numbers = {arm.n for arm in run.summaries}
    seeds = f"{numbers.pop()} seeds" if len(numbers) == 1 else "n seeds"
    return (
        f"test error: mean ± standard deviation over {seeds}; of an arm that failed at some seeds only (diverged, or "
        f"above {run.study.fail_above:.0%}), over the others."
    )


def by_other_measures(run: AblationRun) -> list[str]:
    """Return the results of planned comparisons by another measure than the study's, which the table of arms lacks."""
    return [
        f"{against(found.arm, found.versus)}, {found.measure.words}: {found.verdict}."
        for found in run.findings
        if found.planned and found.measure != run.study.measure
    ]


def measure_notes(run: AblationRun) -> list[str]:
    """Return notes on the median and the further measures: what they are, and how many trials have no value."""
    lines = []
    if run.compared_with_medians:
        lines.append("median: of the test errors over all seeds, with 100 % for those that diverged.")
    for measure in run.study.shown_measures[1:]:
        if measure.note:
            lines.append(f"{measure.words}: {measure.note}")
        unknown = sum(
            arm.ended.get("complete", 0) - len(arm.measured[measure.name]) - len(arm.censored.get(measure.name, ()))
            for arm in {arm.key: arm for arm in run.summaries}.values()
        )
        if unknown:
            lines.append(
                f"{measure.words}: unknown for {unknown} complete trial{'s' * (unknown != 1)}; an earlier version did "
                "not store it, or the data have too few classes."
            )
    return lines


def difference_note(run: AblationRun) -> str:
    plan = run.study.planned
    return (
        f"difference: {run.study.measure.words} minus that of {_compared_with(run)}, with its interval; "
        f"*: resolved, p <= {plan.alpha:g} {plan.adjustment.holds} ({TESTS[plan.test].label}). {levels(run)}"
    )


def levels(run: AblationRun | RunAcross) -> str:
    """Return the confidence level of the intervals: each has that of its own test, so that it agrees with the star."""
    found = [each.difference.confidence for each in run.findings if each.difference.low is not None]
    if not found:
        return "No interval yet."
    low, high = (f"{100 * level:.4g} %" for level in (min(found), max(found)))
    together = f", {100 * (1 - run.study.planned.alpha):.4g} % together" if low != high else ""
    return f"Intervals: {low if low == high else f'{low} to {high} each{together}'}."


def missing(run: AblationRun) -> list[str]:
    """Return the note on trials without a result of their arm: faults of the machine, which are missing data."""
    lost = {arm.key: arm for arm in run.summaries if arm.lost}
    if not lost:
        return []
    number = sum(arm.lost for arm in lost.values())
    return [
        f"{number} trial{'s' * (number != 1)} failed by a fault of the machine or the program, not of the arm, and "
        f"{'is' if number == 1 else 'are'} missing data: {', '.join(quoted(arm.arm) for arm in lost.values())} "
        "(`run --retry-failed` repeats them)."
    ]


def agreement_note(run: AblationRun) -> list[str]:
    found = run.agreement
    if found is None:
        return []
    span = "" if found.low is None else f" (95 % interval {found.low:.2f} to {found.high:.2f})"
    return [
        f"in the published order: {found.concordant} of {found.pairs} pairs of arms that differ here and in the paper; "
        f"Kendall's tau over its maximum {found.tau:.2f}{span}, {found.arms} arms."
    ]


def paper_notes(run: AblationRun) -> list[str]:
    """Return the notes below the table of arms in a paper."""
    lines = [
        *provenance(run),
        "Mean ± standard deviation over n seeds. Differences with intervals of the "
        f"{TESTS[run.study.planned.test].label}. {levels(run)}",
    ]
    if any(found.resolved for found in run.findings):
        lines.append(f"*: resolved, p ≤ {run.study.planned.alpha:g} {run.study.planned.adjustment.holds}.")
    return lines


def _compared_with(run: AblationRun) -> str:
    others = any(found.planned and found.versus != run.study.control for found in run.findings)
    return quoted(run.study.control) + (", or of the arm named in the planned comparison" if others else "")


def failure_rate(run: AblationRun, arm: ArmSummary) -> str:
    """Return an arm's share of trials that diverged or failed to train, with its exact interval, and the baseline's."""
    low, high = rate(arm.failures, arm.outcomes)
    (control,) = (other for other in run.summaries if other.arm == run.study.control)
    baseline = ""
    if control.key != arm.key and control.outcomes:
        differ = p_value(rates_differ(arm.failures, arm.outcomes, control.failures, control.outcomes))
        baseline = f"; baseline: {control.failures} of {control.outcomes}, p = {differ}"
    return (
        f"{quoted(arm.arm)}: {arm.failures} of {arm.outcomes} trials diverged or failed to train, "
        f"{arm.failures / arm.outcomes:.0%} (95 % interval {low:.0%} to {high:.0%}, exact){baseline}."
    )


def spent(run: AblationRun) -> str:
    """Return the progress of a study that adds seeds: seeds, interim analyses, and alpha spent."""
    study = run.study
    most = max((arm.planned for arm in run.summaries), default=study.least_seeds)
    done, planned = len(study.analyses_up_to(most)), len(study.analyses)
    extra = sum(max(0, arm.planned - study.least_seeds) for arm in {arm.key: arm for arm in run.summaries}.values())
    return (
        f"seeds: {study.least_seeds} per arm, up to {most} for arms not resolved, {extra} additional trials; "
        f"{done} of {planned} interim analyses, {alpha_spending.spent(done, planned):.0%} of alpha spent."
    )


def published_sources(summaries: Sequence[ArmSummary]) -> str:
    """Return the sources of the published column: networks, data sets, metrics, papers."""
    rows = [arm.published for arm in summaries if arm.published]
    sources = dict.fromkeys(f"{row.model} on {row.dataset}, {METRICS[row.metric]} ({row.paper})" for row in rows)
    return "; ".join(sources)
