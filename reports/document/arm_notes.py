"""Notes on an ablation: the meaning of columns, diverged and failed trials, and interim analyses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ablations import alpha_spending, effects
from ablations.run import AblationRun
from ablations.summary import ArmSummary
from reports.document.provenance import provenance
from reports.numbers import p_value
from search.trials.events import FINISHED

METRICS = {"test_error": "test error", "top1": "top-1 error", "top5": "top-5 error"}
"""The metrics of published tables, in words."""


def verdicts(run: AblationRun) -> Iterator[str]:
    """Return one line per planned comparison."""
    mark = run.study.planned.adjustment.mark
    for found in run.findings:
        if found.planned:
            p = "" if found.p_adjusted is None else f" (p = {found.p_adjusted:.2g}{mark})"
            yield f"{found.arm} against {found.versus}: {found.verdict}{p}"
    if run.study.planned.compare and not run.as_planned:
        yield "the planned comparisons were changed after the first trial: all comparisons are reported as exploratory."


def footnotes(run: AblationRun) -> list[str]:
    """Return the notes on the table of arms: its columns, lost trials, and agreement with published errors."""
    plan = run.study.planned
    lines = [
        *provenance(run),
        f"test error: mean ± standard deviation over n seeds; fail: mean above {run.study.fail_above:.0%}.",
        f"difference: {run.study.measure.heading} minus that of {_compared_with(run)}, over pairs of seeds, with its "
        f"interval; *: resolved, p <= {plan.alpha:g} {plan.adjustment.holds} ({plan.test.replace('_', ' ')}).",
        "MACs: fused multiply-adds for one image, as fvcore counts them; additions, gates and ReLUs are not counted.",
    ]
    lines += [lost(run, arm) for arm in run.summaries if arm.bad]
    if missing := sum(len(found.difference.missing) for found in run.findings):
        lines.append(f"{missing} pairs of seeds lack a result and are not included in any difference.")
    if run.study.adaptive:
        lines.append(spent(run))
    if sources := published_sources(run.summaries):
        lines.append(f"published: {sources}.")
    if found := run.agreement:
        span = "" if found.low is None else f" (95 % interval {found.low:.2f} to {found.high:.2f})"
        lines.append(
            f"rank agreement with the published errors: Kendall's tau-b {found.tau:.2f}{span} over {found.arms} arms "
            "(published failures tied as worst)."
        )
    return lines


def paper_notes(run: AblationRun) -> list[str]:
    """Return the notes below the table of arms in a paper."""
    lines = [
        *provenance(run),
        "Mean ± standard deviation over n seeds; differences over pairs of seeds, with 95 % intervals.",
    ]
    if any(found.resolved for found in run.findings):
        lines.append(f"*: resolved, p ≤ {run.study.planned.alpha:g} {run.study.planned.adjustment.holds}.")
    return lines


def _compared_with(run: AblationRun) -> str:
    others = any(found.planned and found.versus != run.study.control for found in run.findings)
    return run.study.control + (", or of the arm named in the planned comparison" if others else "")


def lost(run: AblationRun, arm: ArmSummary) -> str:
    """Return an arm's share of diverged and failed trials, with its exact interval, next to the baseline's."""
    ended = sum(number for status, number in arm.ended.items() if status in FINISHED)
    low, high = effects.rate(arm.bad, ended)
    (control,) = (other for other in run.summaries if other.arm == run.study.control)
    against = ""
    if control.key != arm.key and (of := sum(control.ended.get(status, 0) for status in FINISHED)):
        differ = p_value(effects.rates_differ(arm.bad, ended, control.bad, of))
        against = f"; baseline: {control.bad} of {of}, p = {differ}"
    return (
        f"{arm.arm}: {arm.bad} of {ended} trials diverged or failed, {arm.bad / ended:.0%} (95 % interval {low:.0%} to "
        f"{high:.0%}, exact){against}. They are not in any mean and rank as worst."
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
