"""The document of an ablation on several data sets: all of them together, then each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ablations.across.run import RunAcross
from ablations.published import Published
from reports.document import across_figures, across_tables
from reports.document.ablation import RESULTS, run_setting
from reports.document.across_notes import answer, notes_of_differences, notes_of_ranks
from reports.document.answer import answer as answer_on_one
from reports.document.every_run import failed_trials, page
from reports.page import Block, Grid, Page, Picture, Section, Text


def document(run: RunAcross, published: Sequence[Published] = ()) -> Page:
    """Return the page of an ablation on several data sets, finished or not."""
    together = [made for section in TOGETHER if (made := section(run))]
    rest = [made for section in (failed_trials, run_setting) if (made := section(run, published))]
    return page(run, answer(run), [*together, *_on_each(run, published), *rest])


def differences(run: RunAcross) -> Section | None:
    """Return comparisons over data sets: figures, what they say together, and each difference by data set."""
    blocks: list[Block] = [*across_figures.forests(run)]
    if not blocks:
        return None
    for caption, planned in (("Planned comparisons", True), ("Exploratory comparisons", False)):
        if found := [each for each in run.findings if each.planned == planned]:
            blocks.append(across_tables.comparisons(run, f"{caption} over data sets", found))
    notes = notes_of_differences(run)
    table = across_tables.by_set(run, notes)
    question = run.study.question or run.study.name
    return Section(
        "Differences over data sets",
        [*blocks, table],
        brief=[
            Text([answer(run)]),
            across_tables.comparisons(run, question, run.findings),
            Text(notes),
        ],
        paper=[replace(table, caption=f"{question} {answer(run)}", label=f"{run.study.name}-across")],
    )


def ranks(run: RunAcross) -> Section | None:
    """Return the ranks of all arms over data sets, with the critical-difference diagram if it can say something."""
    notes = notes_of_ranks(run)
    table, picture = across_tables.ranks(run, notes), across_figures.ranks(run)
    if table is None:
        return Section("Ranks over data sets", [Text(notes)], brief=[Text(notes)]) if notes else None
    return Section(
        "Ranks over data sets", [*([picture] if picture else []), table], brief=[_narrow(table)], paper=[table]
    )


def _narrow(table: Grid) -> Grid:
    """Return the table for a terminal, which has no room for columns of many data sets."""
    most = across_tables.RANKED + MAX_BRIEF_SETS
    if len(table.headings) <= most:
        return table
    kept = across_tables.RANKED
    return replace(table, headings=table.headings[:kept], rows=[row[:kept] for row in table.rows])


MAX_BRIEF_SETS = 3
"""The maximum number of data sets that have columns of their own in a terminal."""
TOGETHER: tuple[Callable[[RunAcross], Section | None], ...] = (differences, ranks)
"""Sections over all data sets, in page order. To add a section, write its function and list it here."""


def _on_each(run: RunAcross, published: Sequence[Published]) -> Iterator[Section]:
    """Yield the sections of each data set, as in the document of an ablation on it alone."""
    for place, (label, part) in enumerate(run.parts.items(), 1):
        found = [made for section in RESULTS if (made := section(part, published))]
        words = answer_on_one(part)
        first = replace(
            found[0],
            blocks=[Text([words]), *found[0].blocks],
            brief=[Text([f"{label}: {words}"]), *found[0].brief[1:]],
        )
        yield from (relabelled(section, label, place) for section in [first, *found[1:]])


def relabelled(section: Section, label: str, place: int) -> Section:
    """Return a section whose heading, captions, files and LaTeX labels name the data set."""
    prefix = f"{place}-{re.sub('[^a-z0-9]+', '-', label.lower()).strip('-')}"

    def named(block: Block) -> Block:
        match block:
            case Grid():
                return _named_grid(block, label, prefix)
            case Picture():
                alt = f"{label}: {block.alt}" if block.alt else ""
                return replace(block, stem=f"{prefix}-{block.stem}", caption=f"{label}: {block.caption}", alt=alt)
        return block

    return Section(
        f"{section.heading} on {label}",
        [named(block) for block in section.blocks],
        brief=[named(block) for block in section.brief],
        paper=[_named_grid(grid, label, prefix) for grid in section.paper],
    )


def _named_grid(grid: Grid, label: str, prefix: str) -> Grid:
    return replace(grid, caption=f"{label}: {grid.caption}", label=f"{grid.label}-{prefix}" if grid.label else "")
