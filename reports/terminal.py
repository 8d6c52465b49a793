"""The answer on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import singledispatch

from rich.table import Table

from ablations import effects, spending
from ablations.launch import AblationRun
from ablations.summary import ArmSummary, agreement
from reports import front
from reports.answer import answer as sentence
from reports.course import course
from reports.query import Answer
from reports.tables import HEADINGS, MAY_CHANGE, NUMERIC, cells, p, provenance
from search.found import SearchRun
from search.trial import FINISHED


@singledispatch
def answer(run: object) -> Iterator[Table | str]:
    """What a run found, as tables and lines; by the kind of run."""
    raise TypeError(type(run).__name__)


@answer.register
def _(run: AblationRun) -> Iterator[Table | str]:
    study = run.study
    bold = [arm.arm == study.control for arm in run.summaries]
    yield grid(study.question or study.name, HEADINGS, NUMERIC, cells(run), bold)
    yield sentence(run)
    yield from verdicts(run)
    yield from footnotes(run)
    yield from misfortunes(run)


@answer.register
def _(run: SearchRun) -> Iterator[Table | str]:
    yield grid(run.study.question or run.study.name, front.HEADINGS, front.NUMERIC, front.cells(run.front))
    yield from front.legend(run.front)
    yield from course(run)
    yield from misfortunes(run)


def misfortunes(run: AblationRun | SearchRun) -> Iterator[str]:
    """What failed or diverged, by reason, the most frequent first."""
    ended = sum(run.counts[status] for status in FINISHED if status != "infeasible")
    for status, reason, number in run.reasons:
        if status in ("failed", "diverged"):
            yield f"{number} of {ended} trials {status}: {reason}"


def front_table(found: Answer) -> Iterator[Table | str]:
    """What was asked of a front."""
    yield grid(found.title, front.HEADINGS, front.NUMERIC, front.cells(found.points))
    yield from front.legend(found.points)
    if found.hypervolume is not None:
        yield f"hypervolume: {found.hypervolume:.6g}"


def grid(
    title: str,
    headings: Sequence[str],
    numeric: Sequence[str],
    rows: Sequence[Sequence[str]],
    bold: Sequence[bool] = (),
) -> Table:
    """Rows of texts as a rich table, the columns of numbers to the right."""
    made = Table(title=title, title_justify="left", header_style="bold")
    for heading in headings:
        made.add_column(heading, justify="right" if heading in numeric else "left", no_wrap=heading in numeric)
    for index, row in enumerate(rows):
        made.add_row(*row, style="bold" if index < len(bold) and bold[index] else None)
    return made


def verdicts(run: AblationRun) -> Iterator[str]:
    """The planned contrasts, each in a line."""
    for found in run.findings:
        if found.planned:
            p = "" if found.p_adjusted is None else f" (p = {found.p_adjusted:.2g}, adjusted)"
            yield f"{found.arm} against {found.versus}: {found.verdict}{p}"
    if run.study.planned.compare and not run.as_planned:
        yield "the planned comparisons were changed after the first trial: all are told as exploratory."


def footnotes(run: AblationRun) -> list[str]:
    """What the table's columns mean, and how far it agrees with the published one."""
    plan = run.study.planned
    lines = [
        f"test error: mean ± standard deviation over n seeds; fail: a mean above {run.study.fail_above:.0%}.",
        f"difference: {run.study.measure.heading} less that of {_compared_with(run)}, over pairs of seeds, with its "
        f"interval; *: resolved, p <= {plan.alpha:g} by Holm over its family ({plan.test.replace('_', ' ')}).",
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
    if found := agreement(run.summaries):
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
    done = min(most - study.least_seeds + 1, study.looks)
    extra = sum(max(0, arm.planned - study.least_seeds) for arm in {arm.key: arm for arm in run.summaries}.values())
    return (
        f"seeds: {study.least_seeds} for every arm, up to {most} for open ones, {extra} trials more; "
        f"{done} of {study.looks} looks, {spending.spent(done, study.looks):.0%} of alpha spent."
    )
