"""`report.html`: a run as one self-contained page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch

from ablations.findings import Finding
from ablations.published import Published
from ablations.run import AblationRun
from reports import front, numerals, tables
from reports import published as known
from reports.answer import answer
from reports.arm_figures import indices
from reports.course import course
from reports.illustrations import Illustration, illustrations
from reports.notes import footnotes, ill
from reports.page import Cell, Facts, Grid, Page, Picture, Section, Text, render
from reports.runs import Run
from reports.setting import setting, state, unfinished
from search.exploring.run import SearchRun


def page(run: Run, illustrated: Iterable[Illustration] | None = None) -> str:
    """The report of a run, finished or not, as HTML; its figures are by themselves those without anything published."""
    study = run.study
    found = sections(run, illustrations(run) if illustrated is None else illustrated)
    warning = "Unfinished: numbers may still change." if unfinished(run) else ""
    return render(
        Page(
            title=study.name,
            question=study.question or study.name,
            answer=sentence(run),
            state=state(run),
            warning=warning,
            sections=[*found, *_ill(run), Section("Setting", [*_source(run), Facts(setting(run))])],
        )
    )


@singledispatch
def sentence(run: object) -> str:
    """The answer, by the kind of run."""
    raise TypeError(type(run).__name__)


sentence.register(AblationRun)(answer)


@sentence.register
def _(run: SearchRun) -> str:
    if not run.front:
        return "No network has a complete trial yet."
    best = min(run.front, key=lambda point: point.error)
    sure = sum(point.confirmed for point in run.front)
    return (
        f"{len(run.front)} networks are on the front, {sure} of them confirmed; "
        f"the least validation error is {numerals.percent(best.error, best.error_std)} %, at {front.cost(best)}."
    )


@singledispatch
def sections(run: object, illustrated: Iterable[Illustration]) -> Iterator[Section]:
    """What was found, by the kind of run."""
    raise TypeError(type(run).__name__)


@sections.register
def _(run: AblationRun, illustrated: Iterable[Illustration]) -> Iterator[Section]:
    yield Section("Arms", [_arms(run)])
    drawn = pictures(illustrated)
    differences = drawn.pop("Differences", [])
    compared = [
        grid
        for caption, planned in (("Planned comparisons", True), ("Exploratory comparisons", False))
        if (grid := _comparisons(run, caption, [found for found in run.findings if found.planned == planned]))
    ]
    if compared:
        yield Section("Differences", [*differences, *compared])
    if both := tables.both_ways(run):
        rows = [[Cell(text) for text in row] for row in both]
        yield Section("Equal complexity", [Grid("Raw and matched", tables.BOTH_WAYS, tables.BOTH_WAYS[1:], rows)])
    if terms := tables.terms(run):
        rows = [[Cell(text) for text in row] for row in terms]
        grid = Grid("Main effects and interactions", tables.TERMS, tables.TERMS[1:-1], rows, notes=run.variance_notes)
        yield Section("Effects of the factors", [grid])
    for heading, blocks in drawn.items():
        yield Section(heading, blocks)


@sections.register
def _(run: SearchRun, illustrated: Iterable[Illustration]) -> Iterator[Section]:
    rows = [[Cell(text) for text in row] for row in front.cells(run.front)]
    headings = [*front.HEADINGS[:-1], "confirmed"]
    yield Section(
        "The front",
        [
            Grid("Networks on the front", headings, front.NUMERIC, rows, notes=front.legend(run.front)),
            Text(list(course(run))),
        ],
    )
    for heading, blocks in pictures(illustrated).items():
        yield Section(heading, blocks)
    apart = front.differences([run.nets[point.key] for point in run.front])
    facts = [(point.key, told) for point, told in zip(run.front, apart, strict=True)]
    if facts:
        yield Section("What the networks are", [Text(["Fields in which they differ."]), Facts(facts)])


def pictures(illustrated: Iterable[Illustration]) -> dict[str, list[Picture | Grid]]:
    """The figures by the heading that they stand below, with what was published."""
    found: dict[str, list[Picture | Grid]] = {}
    for each in illustrated:
        blocks = found.setdefault(each.heading, [])
        blocks.append(Picture(each.figure, each.caption, each.alt or each.caption))
        if rows := known.with_a_place(each.published):
            blocks.append(_published(rows))
    return found


def _published(rows: Sequence[Published]) -> Grid:
    sorts = [
        {
            "error, %": row["error"],
            "parameters": row["params"],
            "MACs": row["macs"],
        }
        for row in known.records(rows)
    ]
    cells = [
        [Cell(text, by.get(heading, text)) for heading, text in zip(known.HEADINGS, texts, strict=True)]
        for texts, by in zip(known.cells(rows), sorts, strict=True)
    ]
    headings, cells = _filled(known.HEADINGS, cells)
    return Grid(known.LABEL.capitalize(), headings, known.NUMERIC, cells, notes=known.NOTES)


def _arms(run: AblationRun) -> Grid:
    """The table of arms; a number that may still change is muted, the best is bold where that is resolved."""
    rows = []
    for arm, texts in zip(run.summaries, tables.cells(run), strict=True):
        name, params, macs, error, n, points, outcome, published = texts
        found = run.finding_of(arm.arm)
        is_control = arm.arm == run.study.control
        rows.append(
            [
                Cell(name, name, strong=is_control, note="the baseline" if is_control else ""),
                Cell(params, arm.params),
                Cell(macs, arm.macs),
                Cell(error, arm.rank_error, strong=arm.arm == run.best, muted=bool(arm.unfinished)),
                Cell(n, arm.n),
                Cell(points, found.difference.delta if found else None),
                Cell(outcome, outcome),
                Cell(published, arm.published.error if arm.published else None),
            ]
        )
    headings, rows = _filled(tables.HEADINGS, rows)
    return Grid("Arms", headings, tables.NUMERIC, rows, list(indices(run).values()), footnotes(run))


def _comparisons(run: AblationRun, caption: str, found: list[Finding]) -> Grid | None:
    if not found:
        return None
    index = indices(run)
    sorts = [
        (
            each.arm,
            each.versus,
            each.verdict,
            each.difference.delta,
            each.difference.boot_low,
            each.difference.size,
            each.difference.n,
            each.p,
            each.p_adjusted,
        )
        for each in found
    ]
    rows = [
        [
            Cell(text, sort, strong=heading == "finding" and each.resolved, note=_why(each) if heading == "p" else "")
            for heading, text, sort in zip(tables.COMPARED, tables.compared(each), by, strict=True)
        ]
        for each, by in zip(found, sorts, strict=True)
    ]
    headings, rows = _filled(tables.COMPARED, rows)
    return Grid(caption, headings, tables.COMPARED[3:], rows, [index[each.arm] for each in found])


def _filled(headings: Sequence[str], rows: list[list[Cell]]) -> tuple[list[str], list[list[Cell]]]:
    """Without columns that are empty in every row."""
    kept = [at for at in range(len(headings)) if any(row[at].text for row in rows)]
    return [headings[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _why(found: Finding) -> str:
    """Why there is no p."""
    return found.difference.why_no_p if found.p is None else ""


def _ill(run: Run) -> Iterator[Section]:
    """What did not end well, by reason."""
    rows = [[Cell(status), Cell(reason), Cell(str(number), number)] for status, reason, number in ill(run)]
    if rows:
        grid = Grid("Trials by reason", ("status", "reason", "trials"), ("trials",), rows)
        yield Section("What did not end well", [grid])


def _source(run: Run) -> Iterator[Text]:
    lines = [f"After {run.study.source}." if run.study.source else "", run.study.notes]
    if any(lines):
        yield Text([line for line in lines if line])
