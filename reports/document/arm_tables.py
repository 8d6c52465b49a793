"""The tables of an ablation: its arms, its comparisons, equal complexity, effects of factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ablations.findings import Finding
from ablations.run import AblationRun
from ablations.study import MATCHED_SUFFIX
from ablations.summary import ArmSummary
from reports.document.arm_figures import indices
from reports.document.arm_notes import footnotes, paper_notes
from reports.numbers import engineering, interval, p_value, percent, published, span
from reports.page import Cell, Grid, Mark, texts

ARMS = ("arm", "parameters", "MACs", "test error, %", "n", "difference, points", "outcome", "published, %")
PRINTED = tuple(heading for heading in ARMS if heading != "outcome")
"""The columns of `ARMS` in a paper; there, diverged and failed trials are notes."""
COMPARED = ("arm", "against", "finding", "difference, points", "bootstrap", "effect size", "seeds", "p", "p, adjusted")
BOTH_WAYS = ("arm", "MACs", "difference, points", "MACs, matched", "difference, matched, points")
EFFECTS = ("effect", "F", "p", "p, adjusted", "share of variance", "difference, points", "confounded with")

BEST = "better than every other arm."
OPEN = "can still change: trials are waiting."


def arms(run: AblationRun) -> Grid:
    """Return the table of arms, one row per arm, for documents."""
    rows = [_arm(run, arm) for arm in run.summaries]
    numeric = [heading for heading in ARMS if heading not in ("arm", "outcome")]
    made = Grid("Arms", ARMS, numeric, rows, list(indices(run).values()), footnotes(run), _legend(run))
    return made.without_empty_columns()


def brief(run: AblationRun, caption: str) -> Grid:
    """Return the table of arms for a terminal of 100 columns, without what is the same for all arms or seldom read."""
    same = ["n"] if len({arm.n for arm in run.summaries}) == 1 else []
    return replace(arms(run).without("parameters", *same), caption=caption, notes=())


def _arm(run: AblationRun, arm: ArmSummary) -> list[Cell]:
    unfinished = {arm.arm for arm in run.summaries if arm.unfinished}
    found = run.finding_of(arm.arm)

    def marked(text: str, *arms: str) -> Mark:
        return "open" if text and unfinished.intersection(arms) else ""

    error, difference = percent(arm.mean, arm.std), points(found)
    return [
        Cell(arm.arm, arm.arm, mark="baseline" if arm.arm == run.study.control else ""),
        Cell(engineering(arm.params), arm.params),
        Cell(engineering(arm.macs), arm.macs),
        Cell(error, arm.rank_error, mark="best" if arm.arm == run.best else marked(error, arm.arm)),
        Cell(f"{arm.n}", arm.n, mark=marked(f"{arm.n}", arm.arm)),
        Cell(
            difference,
            found.difference.delta if found else None,
            mark=marked(difference, arm.arm, found.versus) if found else "",
        ),
        Cell(arm.outcome, arm.outcome),
        Cell(published(arm.published), arm.published.error if arm.published else None),
    ]


def _legend(run: AblationRun) -> dict[Mark, str]:
    legend: dict[Mark, str] = {}
    if any(arm.unfinished for arm in run.summaries):
        legend["open"] = OPEN
    if run.best:
        legend["best"] = BEST
    return legend


def printed(run: AblationRun, caption: str) -> Grid:
    """Return the table of arms for a paper, one row per arm; diverged and failed trials are notes, not a column."""
    rows = []
    for arm in run.summaries:
        cells = dict(zip(ARMS, _arm(run, arm), strict=True))
        note = f"{arm.outcome}; mean over those that trained" if arm.mixed else arm.outcome if arm.lost else ""
        error = cells["test error, %"]
        cells["test error, %"] = Cell(error.text, error.sort, error.mark, note)
        rows.append([cells[heading] for heading in PRINTED])
    headings = PRINTED if any(arm.published for arm in run.summaries) else PRINTED[:-1]
    rows = [row[: len(headings)] for row in rows]
    return Grid(
        caption, headings, headings[1:], rows, notes=paper_notes(run), legend=_legend(run), label=run.study.name
    )


def points(found: Finding | None) -> str:
    """Return `+8.36 [+6.10, +10.62]` in percentage points, followed by `*` if the comparison is resolved."""
    if found is None or found.difference.delta is None:
        return ""
    seen = found.difference
    return interval(seen.delta or 0.0, seen.low, seen.high) + (" *" if found.resolved else "")


def comparisons(run: AblationRun, caption: str, found: Sequence[Finding]) -> Grid:
    """Return a table with one row per comparison."""
    index = indices(run)
    made = Grid(
        caption, COMPARED, COMPARED[3:], [_compared(each) for each in found], [index[each.arm] for each in found]
    )
    return made.without_empty_columns()


def _compared(found: Finding) -> list[Cell]:
    seen = found.difference
    return [
        Cell(found.arm, found.arm),
        Cell(found.versus, found.versus),
        Cell(found.verdict, found.verdict, mark="resolved" if found.resolved else ""),
        Cell(points(found), seen.delta),
        Cell(span(seen.boot_low, seen.boot_high), seen.boot_low),
        Cell("" if seen.size is None else f"{seen.size:+.2f}", seen.size),
        Cell(f"{seen.n}", seen.n),
        Cell(p_value(found.p), found.p, note=seen.why_no_p if found.p is None else ""),
        Cell(p_value(found.p_adjusted), found.p_adjusted),
    ]


def both_ways(run: AblationRun) -> Grid | None:
    """Return one row per arm that was matched to equal complexity: raw and matched. None if no arm was matched."""
    by_name = {arm.arm: arm for arm in run.summaries}
    rows = [
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
    return Grid("Raw and matched", BOTH_WAYS, BOTH_WAYS[1:], texts(rows)) if rows else None


def effects(run: AblationRun) -> Grid | None:
    """Return one row per effect of a factorial design; None if the study lists its arms."""
    rows = [
        (
            " x ".join(effect.factors),
            "" if effect.f is None else f"{effect.f:.2f}",
            p_value(effect.p),
            p_value(effect.p_adjusted),
            f"{effect.share:.0%}",
            "" if effect.effect is None else interval(effect.effect, effect.low, effect.high),
            ", ".join(effect.aliases),
        )
        for effect in run.effects
    ]
    if not rows:
        return None
    return Grid("Main effects and interactions", EFFECTS, EFFECTS[1:-1], texts(rows), notes=run.effect_notes)
