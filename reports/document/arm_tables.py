"""The tables of an ablation: its arms, its comparisons, equal complexity, effects of factors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean, stdev

from ablations.findings import Finding
from ablations.published import Published
from ablations.run import AblationRun
from ablations.study import MATCHED_SUFFIX
from ablations.summary import ArmSummary
from reports.document.answer import word
from reports.document.arm_figures import by_size, indices
from reports.document.arm_notes import footnotes, paper_notes
from reports.numbers import engineering, p_value, percent, published, published_number
from reports.page import Cell, Grid, Mark, texts
from search.measures.catalogue import Measure

ShowPublished = Callable[[Published | None], str]

ERROR, MEDIAN, VERDICT, PUBLISHED = "test error, %", "median, %", "verdict", "published, %"

COMPARED = (
    "arm",
    "against",
    "measure",
    "finding",
    "difference",
    "bootstrap",
    "effect size",
    "P(better)",
    "seeds",
    "p",
    "p, adjusted",
)

MEASURES_PER_LINE = 3
BEST = "better than every other arm."
OPEN = "can still change: trials are waiting."


def headings(run: AblationRun, measures: Sequence[Measure]) -> list[str]:
    """Return the headings of the table of arms, with some measures after the test error.

    Our median is shown if papers print medians of some arms: a median of theirs beside a mean of ours is no comparison.
    """
    return [
        "arm",
        ERROR,
        *([MEDIAN] if run.compared_with_medians else []),
        *(measure.heading for measure in measures),
        "n",
        difference_heading(run.study.measure),
        VERDICT,
        "outcome",
        PUBLISHED,
        "parameters",
        "MACs",
    ]


def difference_heading(measure: Measure) -> str:
    return f"difference, {measure.difference_unit}"


def arms(run: AblationRun) -> Grid:
    """Return the table of arms, one row per arm, for documents."""
    return _arms(run, run.study.shown_measures[1:], footnotes(run))


def brief(run: AblationRun, caption: str) -> list[Grid]:
    """Return the table of arms for a terminal of 100 columns, without what is the same for all arms or seldom read.

    Further measures are in tables of their own.
    """
    others = run.study.shown_measures[1:]
    numbers = {arm.n for arm in run.summaries}
    plain = all(arm.outcome in ("trained", "fail") for arm in run.summaries)
    # The median of two seeds is their mean. With medians there is no room for an outcome that the errors show.
    left_out = [
        "parameters",
        VERDICT,
        *(["n"] if len(numbers) == 1 else []),
        *([MEDIAN] if max(numbers, default=0) < 3 else ["outcome"] if plain else []),
    ]
    own = [measure for measure in others if measure == run.study.measure]
    table = _arms(run, own, caption=caption, show_published=published_number)
    made = [table.without(*left_out)]
    rest = [measure.heading for measure in others if measure != run.study.measure]
    for begun in range(0, len(rest), MEASURES_PER_LINE):
        shown = ["arm", *rest[begun : begun + MEASURES_PER_LINE]]
        rows = [[cells[heading] for heading in shown] for cells in (_arm(run, arm) for arm in run.summaries)]
        made.append(Grid("Further measures", shown, shown[1:], rows, list(indices(run).values())))
    return made


def _arms(
    run: AblationRun,
    measures: Sequence[Measure],
    notes: Sequence[str] = (),
    *,
    caption: str = "Arms",
    show_published: ShowPublished = published,
) -> Grid:
    shown = headings(run, measures)
    rows = [
        [cells[heading] for heading in shown] for cells in (_arm(run, arm, show_published) for arm in run.summaries)
    ]
    numeric = [heading for heading in shown if heading not in ("arm", VERDICT, "outcome")]
    made = Grid(caption, shown, numeric, rows, list(indices(run).values()), notes, _legend(run))
    return made.without_empty_columns()


def _arm(run: AblationRun, arm: ArmSummary, show_published: ShowPublished = published) -> dict[str, Cell]:
    """Return the cells of an arm by heading."""
    unfinished = {arm.arm for arm in run.summaries if arm.unfinished}
    found = run.finding_of(arm.arm)

    def marked(text: str, *arms: str) -> Mark:
        return "open" if text and unfinished.intersection(arms) else ""

    difference, median = points(found), percent(arm.median, None)
    values = {measure: measure_cell(arm, measure) for measure in run.study.shown_measures}
    return {
        "arm": Cell(arm.arm, arm.arm, mark="baseline" if arm.arm == run.study.control else ""),
        "parameters": Cell(engineering(arm.params), arm.params),
        "MACs": Cell(engineering(arm.macs), arm.macs),
        **{
            measure.heading: replace(
                cell,
                mark="best" if arm.arm == run.best and measure == run.study.measure else marked(cell.text, arm.arm),
            )
            for measure, cell in values.items()
        },
        MEDIAN: Cell(median, arm.median, mark=marked(median, arm.arm)),
        "n": Cell(f"{arm.n}", arm.n, mark=marked(f"{arm.n}", arm.arm)),
        difference_heading(run.study.measure): Cell(
            difference,
            found.difference.delta if found else None,
            mark=marked(difference, arm.arm, found.versus) if found else "",
        ),
        VERDICT: Cell(word(found), word(found), mark="resolved" if found.resolved else "") if found else Cell(""),
        "outcome": Cell(arm.outcome, arm.outcome),
        PUBLISHED: Cell(show_published(arm.published), arm.published.error if arm.published else None),
    }


def measure_cell(arm: ArmSummary, measure: Measure) -> Cell:
    """Return the mean of a measure over seeds. Arms of which some seeds never reach its error rank after all others.

    `31.0 ± 2.0 in 2 of 3` is over the two seeds that reached it.
    """
    if measure.name == "test_error":
        return Cell(percent(arm.mean, arm.std), arm.rank_error)
    values, never = arm.values(measure), len(arm.censored.get(measure.name, ()))
    mean = fmean(values) if values else None
    text = measure.text(mean, stdev(values) if len(values) > 1 else None) if values else ""
    if not never:
        return Cell(text, mean)
    return Cell(f"{text} in {len(values)} of {len(values) + never}" if values else "never", None)


def _legend(run: AblationRun) -> dict[Mark, str]:
    legend: dict[Mark, str] = {}
    if any(arm.unfinished for arm in run.summaries):
        legend["open"] = OPEN
    if run.best:
        legend["best"] = BEST
    return legend


def printed(run: AblationRun, caption: str) -> Grid:
    """Return the table of arms for a paper, one row per arm; diverged and failed trials are notes, not a column."""
    shown = [heading for heading in headings(run, run.study.shown_measures[1:]) if heading not in (VERDICT, "outcome")]
    if not any(arm.published for arm in run.summaries):
        shown.remove(PUBLISHED)
    rows = []
    for arm in run.summaries:
        cells = _arm(run, arm)
        note = f"{arm.outcome}; mean over those that trained" if arm.mixed else arm.outcome if arm.lost else ""
        cells[ERROR] = replace(cells[ERROR], note=note)
        rows.append([cells[heading] for heading in shown])
    return Grid(caption, shown, shown[1:], rows, notes=paper_notes(run), legend=_legend(run), label=run.study.name)


def points(found: Finding | None) -> str:
    """Return `+8.36 [+6.10, +10.62]` in the unit of the measure, followed by `*` if the comparison is resolved."""
    if found is None or found.difference.delta is None:
        return ""
    seen = found.difference
    return found.measure.interval(seen.delta or 0.0, seen.low, seen.high) + (" *" if found.resolved else "")


def comparisons(run: AblationRun, caption: str, found: Sequence[Finding]) -> Grid:
    """Return a table with one row per comparison, by size. Measures are named if they are not all the test error.

    Differences that the table of arms has are left out.
    """
    found = by_size(found)
    index, measures = indices(run), {each.measure for each in found}
    units = {measure.difference_unit for measure in measures}
    named, with_unit = {measure.name for measure in measures} != {"test_error"}, len(units) > 1
    rows = [
        _compared(each, named=named, with_unit=with_unit, repeated=run.finding_of(each.arm) is each) for each in found
    ]
    shown = [
        f"difference, {next(iter(units))}" if heading == "difference" and len(units) == 1 else heading
        for heading in COMPARED
    ]
    made = Grid(caption, shown, shown[4:], rows, [index[each.arm] for each in found])
    return made.without_empty_columns()


def _compared(found: Finding, *, named: bool, with_unit: bool, repeated: bool) -> list[Cell]:
    seen, measure = found.difference, found.measure
    unit = f" {measure.difference_unit}" * (with_unit and seen.delta is not None)
    return [
        Cell(found.arm, found.arm),
        Cell(found.versus, found.versus),
        Cell(measure.words * named, measure.words),
        Cell(_without_size(found) if repeated else found.verdict, found.verdict, "resolved" if found.resolved else ""),
        Cell("" if repeated else f"{points(found)}{unit}", seen.delta),
        Cell(measure.span(seen.boot_low, seen.boot_high), seen.boot_low),
        Cell("" if seen.size is None else f"{seen.size:+z.2f}", seen.size),
        Cell("" if found.p_better is None else f"{found.p_better:.2f}", found.p_better),
        Cell(f"{seen.n}", seen.n),
        Cell(p_value(found.p), found.p, note=seen.why_no_p if found.p is None else ""),
        Cell(p_value(found.p_adjusted), found.p_adjusted),
    ]


def _without_size(found: Finding) -> str:
    """Return the verdict without the size of the difference, which the table of arms has."""
    delta = found.difference.delta
    return found.verdict if delta is None else found.verdict.replace(f" by {found.measure.size(delta)}", "", 1)


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
    difference = difference_heading(run.study.measure)
    shown = ("arm", "MACs", difference, "MACs, matched", difference.replace(",", ", matched,", 1))
    return Grid("Raw and matched", shown, shown[1:], texts(rows)) if rows else None


def effects(run: AblationRun) -> Grid | None:
    """Return one row per effect of a factorial design; None if the study lists its arms."""
    rows = [
        (
            " x ".join(effect.factors),
            "" if effect.f is None else f"{effect.f:.2f}",
            p_value(effect.p),
            p_value(effect.p_adjusted),
            f"{effect.share:.0%}",
            "" if effect.effect is None else run.study.measure.interval(effect.effect, effect.low, effect.high),
            ", ".join(effect.aliases),
        )
        for effect in run.effects
    ]
    if not rows:
        return None
    difference = difference_heading(run.study.measure)
    shown = ("effect", "F", "p", "p, adjusted", "share of variance", difference, "confounded with")
    return Grid("Main effects and interactions", shown, shown[1:-1], texts(rows), notes=run.effect_notes)
