"""The answer on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import singledispatch

from rich.table import Table

from ablations.run import AblationRun
from reports import front
from reports.answer import answer as sentence
from reports.course import course
from reports.notes import footnotes, ill, verdicts
from reports.query import Answer
from reports.tables import HEADINGS, NUMERIC, cells
from resnet_space.errors import printable
from search.exploring.run import SearchRun
from search.trials.events import FINISHED


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
    for status, reason, number in ill(run):
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
    made = Table(title=printable(title), title_justify="left", header_style="bold")
    for heading in headings:
        made.add_column(heading, justify="right" if heading in numeric else "left", no_wrap=heading in numeric)
    for index, row in enumerate(rows):
        made.add_row(*row, style="bold" if index < len(bold) and bold[index] else None)
    return made
