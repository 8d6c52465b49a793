"""The tables of an ablation on several data sets: comparisons over data sets, and ranks."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.across.findings import FindingAcross
from ablations.across.run import RunAcross
from ablations.effects import MIN_PAIRS, Difference
from reports.document.arm_figures import indices
from reports.document.arm_tables import points
from reports.numbers import p_value, percent
from reports.page import Cell, Grid

COMPARED = (
    "arm",
    "against",
    "measure",
    "finding",
    "mean difference",
    "next data set",
    "τ",
    "I²",
    "Q (p)",
    "data sets",
    "p",
    "p, adjusted",
)
TEXT = ("arm", "against", "measure", "finding")
"""Columns that are not numbers."""
IN_UNITS = ("mean difference", "next data set", "τ")
"""Columns in the unit of the measure."""
RANKED = 2
"""The number of columns of the table of ranks before those of data sets."""


def comparisons(run: RunAcross, caption: str, found: Sequence[FindingAcross]) -> Grid:
    """Return a table with one row per comparison over data sets."""
    units, names = {each.measure.difference_unit for each in found}, {each.measure.name for each in found}
    unit = f", {units.pop()}" if len(units) == 1 else ""
    headings = [f"{heading}{unit}" if heading in IN_UNITS else heading for heading in COMPARED]
    rows = [_compared(each, named=names != {"test_error"}, with_unit=not unit) for each in found]
    numeric = [heading for heading in headings if heading not in TEXT]
    return Grid(caption, headings, numeric, rows, _arms(run, found)).without_empty_columns()


def _arms(run: RunAcross, found: Sequence[FindingAcross]) -> list[int | None]:
    index = indices(next(iter(run.parts.values())))
    return [index.get(each.arm) for each in found]


def _compared(found: FindingAcross, *, named: bool, with_unit: bool) -> list[Cell]:
    seen, ahead, varies, measure = found.difference, found.prediction, found.heterogeneity, found.measure
    low, high = ahead or (None, None)
    return [
        Cell(found.arm, found.arm),
        Cell(found.versus, found.versus),
        Cell(measure.words * named, measure.words),
        Cell(found.verdict, found.verdict, mark="resolved" if found.resolved else ""),
        Cell(f"{together(found)}{f' {measure.difference_unit}' * with_unit}".rstrip(), seen.delta),
        Cell(measure.span(low, high), low),
        *(
            [Cell("", note=_why_no_heterogeneity(found)), Cell(""), Cell("")]
            if varies is None
            else [
                Cell(measure.size(varies.tau).split()[0], varies.tau),
                Cell(f"{varies.i2:.0%}", varies.i2),
                Cell(f"{varies.q:.2f} ({p_value(varies.p)})", varies.q),
            ]
        ),
        Cell(f"{seen.n}", seen.n),
        Cell(p_value(found.p), found.p, note=_why_no_p(seen) if found.p is None else ""),
        Cell(p_value(found.p_adjusted), found.p_adjusted),
    ]


def _why_no_p(over_sets: Difference) -> str:
    if over_sets.n < MIN_PAIRS:
        return f"{over_sets.n} data set{'s' * (over_sets.n != 1)}; a test over data sets needs {MIN_PAIRS}"
    return over_sets.why_no_p


def _why_no_heterogeneity(found: FindingAcross) -> str:
    if not found.without_error:
        return ""
    return f"no heterogeneity: no standard error on {', '.join(found.without_error)}"


def together(found: FindingAcross) -> str:
    """Return the mean difference over data sets with its interval, followed by `*` if it is resolved."""
    seen = found.difference
    if seen.delta is None:
        return ""
    return found.measure.interval(seen.delta, seen.low, seen.high) + (" *" if found.resolved else "")


def by_set(run: RunAcross, notes: Sequence[str] = ()) -> Grid:
    """Return one row per comparison with its difference on each data set, and their mean."""
    headings = ("arm", "against", "measure", *run.parts, "mean")
    named = {found.measure.name for found in run.findings} != {"test_error"}
    rows = [
        [
            Cell(found.arm, found.arm),
            Cell(found.versus, found.versus),
            Cell(found.measure.heading * named, found.measure.words),
            *(_difference_on(found, label) for label in run.parts),
            Cell(together(found), found.difference.delta, mark="resolved" if found.resolved else ""),
        ]
        for found in run.findings
    ]
    arms = _arms(run, run.findings)
    caption = "Differences by data set" + ("" if named else ", points")
    return Grid(caption, headings, headings[3:], rows, arms, notes).without_empty_columns()


def _difference_on(found: FindingAcross, label: str) -> Cell:
    own = found.by_set.get(label)
    return Cell(points(own), own.difference.delta if own else None, mark="resolved" if own and own.resolved else "")


def ranks(run: RunAcross, notes: Sequence[str] = ()) -> Grid | None:
    """Return one row per ranked arm, best first: its average rank, and its error and rank on each data set."""
    found = run.ranks
    if found is None:
        return None
    index, average = indices(next(iter(run.parts.values()))), found.average
    order = sorted(range(len(found.arms)), key=average.__getitem__)
    rows = []
    for place in order:
        arm = found.arms[place]
        on_each = [(run.rank_errors[arm][label], found.by_set[label][place]) for label in run.parts]
        rows.append(
            [
                Cell(arm, arm, mark="baseline" if arm == run.study.control else ""),
                Cell(f"{average[place]:.2f}", average[place]),
                *(Cell(f"{percent(error, None)} ({rank:g})", rank) for error, rank in on_each),
            ]
        )
    headings = ("arm", "average rank", *(f"{label}, % (rank)" for label in run.parts))
    arms = [index[found.arms[place]] for place in order]
    return Grid("Average ranks", headings, headings[1:], rows, arms, notes, label=f"{run.study.name}-ranks")
