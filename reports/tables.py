"""The table of arms, as cells for people: percent, mean ± std over seeds, and what the paper has."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.findings import POINTS, Finding
from ablations.run import AblationRun
from ablations.study import MATCHED_SUFFIX
from ablations.summary import ArmSummary
from reports.numerals import engineering, percent, published

HEADINGS = ("arm", "parameters", "MACs", "test error, %", "n", "difference, points", "outcome", "published, %")

NUMERIC = ("parameters", "MACs", "test error, %", "n", "difference, points", "published, %")

COMPARED = ("arm", "against", "finding", "difference, points", "bootstrap", "effect size", "pairs", "p", "p, adjusted")

BOTH_WAYS = ("arm", "MACs", "difference, points", "MACs, matched", "difference, matched, points")

TERMS = ("effect", "F", "p", "share of variance", "difference, points", "not to be told from")

MAY_CHANGE = "~"
"""Behind a number of an arm that has trials to come."""

METRICS = {"test_error": "test error", "top1": "top-1 error", "top5": "top-5 error"}
"""The published tables' measures, in words."""


def cells(run: AblationRun) -> list[tuple[str, ...]]:
    """One row of texts an arm, under `HEADINGS`."""
    still = {arm.arm for arm in run.summaries if arm.unfinished}

    def marked(text: str, *arms: str) -> str:
        return text + (MAY_CHANGE if text and still.intersection(arms) else "")

    return [
        (
            arm.arm,
            engineering(arm.params),
            engineering(arm.macs),
            marked(percent(arm.mean, arm.std), arm.arm),
            marked(f"{arm.n}", arm.arm),
            marked(points(found), arm.arm, found.versus) if (found := run.finding_of(arm.arm)) else "",
            arm.outcome,
            published(arm.published),
        )
        for arm in run.summaries
    ]


def points(found: Finding | None) -> str:
    """`+8.36 [+6.10, +10.62]`, in hundredths, behind it `*` if the planned question is resolved."""
    if found is None or found.difference.delta is None:
        return ""
    seen = found.difference
    return interval(found.difference.delta, seen.low, seen.high) + (" *" if found.resolved else "")


def compared(found: Finding) -> tuple[str, ...]:
    """One row of texts a comparison, under `COMPARED`."""
    seen = found.difference
    return (
        found.arm,
        found.versus,
        found.verdict,
        points(found),
        span(seen.boot_low, seen.boot_high),
        size(found),
        str(seen.n),
        p(found.p),
        p(found.p_adjusted),
    )


def span(low: float | None, high: float | None) -> str:
    """`[+6.10, +10.62]`, in hundredths; nothing where there is no interval."""
    return "" if low is None or high is None else f"[{_signed(low)}, {_signed(high)}]"


def both_ways(run: AblationRun) -> list[tuple[str, ...]]:
    """One row of texts an arm that was matched to equal complexity, raw and matched, under `BOTH_WAYS`."""
    by_name = {arm.arm: arm for arm in run.summaries}
    return [
        (
            name,
            engineering(arm.macs),
            points(run.finding_of(name)),
            engineering(by_name[f"{name}{MATCHED_SUFFIX}"].macs),
            points(run.finding_of(f"{name}{MATCHED_SUFFIX}")),
        )
        for name, arm in by_name.items()
        if f"{name}{MATCHED_SUFFIX}" in by_name
    ]


def size(found: Finding) -> str:
    """The standardised difference."""
    return "" if found.difference.size is None else f"{found.difference.size:+.2f}"


def p(value: float | None) -> str:
    """0.034, <0.001; nothing where there is none."""
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def terms(run: AblationRun) -> list[tuple[str, ...]]:
    """One row of texts an effect of a design's factors, under `TERMS`; none where arms are listed."""
    return [
        (
            " x ".join(term.factors),
            "" if term.f is None else f"{term.f:.2f}",
            p(term.p),
            f"{term.share:.0%}",
            "" if term.effect is None else interval(term.effect, term.low, term.high),
            ", ".join(aliases),
        )
        for term, aliases in run.terms
    ]


def interval(value: float, low: float | None, high: float | None) -> str:
    return f"{_signed(value)} {span(low, high)}".strip()


def _signed(fraction: float | None) -> str:
    return "" if fraction is None else f"{POINTS * fraction:+.2f}"


def provenance(summaries: Sequence[ArmSummary]) -> str:
    """What the published column is: nets, data sets, papers."""
    rows = [arm.published for arm in summaries if arm.published]
    sources = dict.fromkeys(f"{row.model} on {row.dataset}, {METRICS[row.metric]} ({row.paper})" for row in rows)
    return "; ".join(sources)
