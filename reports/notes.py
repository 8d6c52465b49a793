"""What stands below a run's tables in every format: what columns mean, what was lost, what was spent."""

from __future__ import annotations

from collections.abc import Iterator

from ablations import alpha_spending, effects
from ablations.run import AblationRun
from ablations.summary import ArmSummary
from reports.origin import origin
from reports.runs import Run
from reports.tables import MAY_CHANGE, p, provenance
from search.trials.events import FINISHED


def ill(run: Run) -> list[tuple[str, str, int]]:
    """(status, reason, trials) of what did not end well; what was stopped or refused has ended as it should."""
    return [row for row in run.reasons if row[0] in ("failed", "diverged")]


def verdicts(run: AblationRun) -> Iterator[str]:
    """The planned contrasts, each in a line."""
    mark = run.study.planned.adjustment.mark
    for found in run.findings:
        if found.planned:
            p = "" if found.p_adjusted is None else f" (p = {found.p_adjusted:.2g}{mark})"
            yield f"{found.arm} against {found.versus}: {found.verdict}{p}"
    if run.study.planned.compare and not run.as_planned:
        yield "the planned comparisons were changed after the first trial: all are told as exploratory."


def footnotes(run: AblationRun) -> list[str]:
    """What the table's columns mean, and how far it agrees with the published one."""
    plan = run.study.planned
    lines = [
        *origin(run),
        f"test error: mean ± standard deviation over n seeds; fail: a mean above {run.study.fail_above:.0%}.",
        f"difference: {run.study.measure.heading} less that of {_compared_with(run)}, over pairs of seeds, with its "
        f"interval; *: resolved, p <= {plan.alpha:g} {plan.adjustment.holds} ({plan.test.replace('_', ' ')}).",
        "MACs: fused multiply-adds for one image, as fvcore counts them; additions, gates and ReLUs are not in them.",
    ]
    if any(arm.unfinished for arm in run.summaries):
        lines.append(f"{MAY_CHANGE}: may still change, since trials are to come.")
    lines += [lost(run, arm) for arm in run.summaries if arm.bad]
    if missing := sum(len(found.difference.missing) for found in run.findings):
        lines.append(f"{missing} pairs of seeds lack a result, and are in no difference.")
    if run.study.adaptive:
        lines.append(spent(run))
    if source := provenance(run.summaries):
        lines.append(f"published: {source}.")
    if found := run.agreement:
        span = "" if found.low is None else f" (95 % interval {found.low:.2f} to {found.high:.2f})"
        lines.append(
            f"rank agreement with the published errors: Kendall's tau-b {found.tau:.2f}{span} over {found.arms} arms "
            "(published failures tied as worst)."
        )
    return lines


def _compared_with(run: AblationRun) -> str:
    others = any(found.planned and found.versus != run.study.control for found in run.findings)
    return run.study.control + (", or of the arm that it was planned to be compared with" if others else "")


def lost(run: AblationRun, arm: ArmSummary) -> str:
    """How often an arm's trials diverged or failed, with the exact interval, and whether that is more than the
    baseline's."""
    ended = sum(number for status, number in arm.ended.items() if status in FINISHED)
    low, high = effects.rate(arm.bad, ended)
    (control,) = (other for other in run.summaries if other.arm == run.study.control)
    against = ""
    if control.key != arm.key and (of := sum(control.ended.get(status, 0) for status in FINISHED)):
        against = f"; against {control.bad} of {of}: p = {p(effects.rates_differ(arm.bad, ended, control.bad, of))}"
    return (
        f"{arm.arm}: {arm.bad} of {ended} trials diverged or failed, {arm.bad / ended:.0%} (95 % interval {low:.0%} to "
        f"{high:.0%}, exact){against}. They are in no mean, and rank as worst."
    )


def spent(run: AblationRun) -> str:
    """How far a study that adds seeds has gone."""
    study = run.study
    most = max((arm.planned for arm in run.summaries), default=study.least_seeds)
    done, looks = len(study.analyses_up_to(most)), len(study.analyses)
    extra = sum(max(0, arm.planned - study.least_seeds) for arm in {arm.key: arm for arm in run.summaries}.values())
    return (
        f"seeds: {study.least_seeds} for every arm, up to {most} for open ones, {extra} trials more; "
        f"{done} of {looks} looks, {alpha_spending.spent(done, looks):.0%} of alpha spent."
    )
