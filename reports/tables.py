"""The table of arms, as cells for people: percent, mean ± std over seeds, and what the paper has."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.published import Published
from ablations.summary import ArmSummary

HEADINGS = ("arm", "parameters", "MACs", "test error, %", "n", "outcome", "published, %")

NUMERIC = ("parameters", "MACs", "test error, %", "n", "published, %")

METRICS = {"test_error": "test error", "top1": "top-1 error"}
"""The published tables' measures, in words."""


def cells(summaries: Sequence[ArmSummary]) -> list[tuple[str, ...]]:
    """One row of texts an arm, under `HEADINGS`."""
    return [
        (
            arm.arm,
            engineering(arm.complexity.params),
            engineering(arm.complexity.macs),
            percent(arm.mean, arm.std),
            f"{arm.n}",
            arm.outcome,
            published(arm.published),
        )
        for arm in summaries
    ]


def percent(mean: float | None, std: float | None) -> str:
    """A fraction as percent: `1.39 ± 0.20`; the spread is left out where there is none to measure."""
    if mean is None:
        return "-"
    return f"{100 * mean:.2f}" + (f" ± {100 * std:.2f}" if std is not None else "")


def published(row: Published | None) -> str:
    """`6.61`, or `fail` where the paper says so, or nothing."""
    if row is None:
        return ""
    return "fail" if row.error is None else f"{100 * row.error:.2f}"


def engineering(number: float) -> str:
    """Three digits and a letter: 1.73M, 255M, 4.11G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def provenance(summaries: Sequence[ArmSummary]) -> str:
    """What the published column is: nets, data sets, papers."""
    rows = [arm.published for arm in summaries if arm.published]
    sources = dict.fromkeys(f"{row.model} on {row.dataset}, {METRICS[row.metric]} ({row.paper})" for row in rows)
    return "; ".join(sources)
