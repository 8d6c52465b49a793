"""The report of two runs side by side, as Markdown and as a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ablations.findings import POINTS
from ablations.two_runs import MACS_TOLERANCE, TwoRuns
from reports import comparisons, figures, markdown, numerals, tables
from reports.comparisons import Distribution
from reports.page import Cell, Grid, Page, Picture, Section, render
from resnet_space.errors import unknown
from search.files.atomic import write_text
from search.store.membership import left_out

HEADINGS = ("network", "MACs", "first, %", "second, %", "difference, points", "pairs")
CHANGED = ("field", "first", "second")
CAPTION = (
    "Distribution of test errors at equal complexity: the share of networks with an error of at most so much, with "
    "95 % bands (Dvoretzky, Kiefer and Wolfowitz)."
)


def write(found: TwoRuns, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write `compare-NAME.FORMAT` into a run's report folder; the paths.

    Raises:
        InputError: a format that a comparison does not have.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS, path="--format")
    paths = []
    for name in formats:
        path = folder / f"compare-{found.second.name}.{name}"
        write_text(path, FORMATS[name](found, path))
        paths.append(path)
    return paths


def answer(found: TwoRuns) -> str:
    """What the comparison found, in a sentence or two."""
    lines = []
    if found.common and found.overall.delta is not None:
        seen = found.overall
        span = (
            ""
            if seen.low is None or seen.high is None
            else (f" (95 % interval {POINTS * seen.low:+.2f} to {POINTS * seen.high:+.2f})")
        )
        lines.append(
            f"Over the {len(found.common)} networks that both have, {found.second.name} differs from "
            f"{found.first.name} by {POINTS * (seen.delta or 0):+.2f} points{span}."
        )
    else:
        lines.append("The runs have no network in common.")
    same = found.at_equal_complexity
    if same.p is None:
        lines.append("Too few networks are of equal complexity to compare distributions.")
    else:
        verdict = "differ" if same.p <= 0.05 else "are not shown to differ"
        lines.append(
            f"At equal MACs (within {MACS_TOLERANCE:.0%}) the distributions of errors over {len(same.first)} networks "
            f"each {verdict}: D = {same.statistic:.2f}, p = {tables.p(same.p)} (Kolmogorov-Smirnov)."
        )
    return " ".join(lines)


def rows(found: TwoRuns) -> list[tuple[str, ...]]:
    """One row of texts a common network, under `HEADINGS`."""
    first, second = (side.networks.loc[found.common] for side in (found.first, found.second))
    columns = (first["macs"].tolist(), first["error"].tolist(), second["error"].tolist())
    made: list[tuple[str, ...]] = []
    for network, macs, before, now in zip(found.common, *columns, strict=True):
        seen = found.difference(network)
        points = "" if seen.delta is None else tables.interval(seen.delta, seen.low, seen.high)
        errors = (numerals.percent(before, None), numerals.percent(now, None))
        made.append((found.named(network), numerals.engineering(macs), *errors, points, str(seen.n)))
    return made


def changes(found: TwoRuns) -> list[tuple[str, str, str]]:
    """What the studies have otherwise, under `CHANGED`."""
    return [(path, str(before), str(now)) for path, before, now in found.changed]


def notes(found: TwoRuns) -> list[str]:
    """What of either run is in no number."""
    lines = [(side.name, left_out(side.others)) for side in (found.first, found.second)]
    return [f"{name}: {line}." for name, line in lines if line]


def _distributions(found: TwoRuns) -> list[Distribution]:
    same = found.at_equal_complexity
    sides = ((found.first.name, same.first), (found.second.name, same.second))
    return [Distribution(name, place, errors) for place, (name, errors) in enumerate(sides)]


def as_markdown(found: TwoRuns, path: Path) -> str:
    escape = markdown.escape
    figures.save(comparisons.distributions(_distributions(found)), path.parent, f"{path.stem}-errors")
    lines = [f"# {escape(found.second.name)} compared with {escape(found.first.name)}", "", escape(answer(found)), ""]
    lines += [each for line in notes(found) for each in (escape(line), "")]
    if found.common:
        cells = [tuple(map(escape, row)) for row in rows(found)]
        lines += ["## Networks in common", "", *markdown.table(HEADINGS, HEADINGS[1:], cells), ""]
    if changed := changes(found):
        cells = [tuple(map(escape, row)) for row in changed]
        lines += ["## What the studies have otherwise", "", *markdown.table(CHANGED, (), cells), ""]
    lines += ["## Errors at equal complexity", "", f"![{CAPTION}]({path.stem}-errors.svg)", "", f"*{CAPTION}*"]
    return "\n".join(lines) + "\n"


def as_page(found: TwoRuns, path: Path) -> str:
    sections = []
    if found.common:
        cells = [[Cell(text) for text in row] for row in rows(found)]
        sections.append(Section("Networks in common", [Grid("Test errors", HEADINGS, HEADINGS[1:], cells)]))
    if changed := changes(found):
        rows_of = [[Cell(text) for text in row] for row in changed]
        sections.append(Section("What the studies have otherwise", [Grid("Fields", CHANGED, (), rows_of)]))
    picture = Picture(comparisons.distributions(_distributions(found)), CAPTION, answer(found))
    sections.append(Section("Errors at equal complexity", [picture]))
    return render(
        Page(
            title=f"{found.second.name} compared with {found.first.name}",
            question=f"Does {found.second.name} do better than {found.first.name}?",
            answer=answer(found),
            state=" ".join(
                [f"{len(found.first.trials)} and {len(found.second.trials)} complete trials.", *notes(found)]
            ),
            sections=sections,
        )
    )


FORMATS: dict[str, Callable[[TwoRuns, Path], str]] = {"md": as_markdown, "html": as_page}
"""By the name behind `--format`."""
