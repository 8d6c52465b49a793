"""Reports as files, by format, and on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.kinds import Run
from ablations.published import Published
from ablations.run import AblationRun
from ablations.two_runs import TwoRuns
from reports import arms, front, html, latex, markdown, terminal
from reports.document import document
from reports.figures import saving
from reports.page import Page
from reports.published import FILES, with_a_place
from resnet_space.errors import unknown
from search.exploring.run import SearchRun
from search.files.atomic import write_bytes

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Format:
    """How a page becomes a file."""

    render: Callable[[Page], str]
    pictures_beside: bool = False
    """Whether its pictures are files beside it."""


FORMATS: dict[str, Format] = {
    "md": Format(markdown.render, pictures_beside=True),
    "html": Format(html.render),
    "tex": Format(latex.render),
}
"""Documents, by the name after `--format`. A new format is a row."""

OF_TWO_RUNS = ("md", "html")
"""The formats in which two runs are compared: a comparison has no table for a paper."""

EXPORTS: dict[str, dict[type, Callable[[Any], str | bytes]]] = {
    "csv": {AblationRun: arms.as_csv, SearchRun: front.of_run},
    "parquet": {AblationRun: arms.as_parquet, SearchRun: front.as_parquet},
}
"""Tables for other programs, by the name after `--format` and the kind of run."""


def write(run: Run, formats: Sequence[str], published: Sequence[Published] = ()) -> list[Path]:
    """Write `report/report.FORMAT` in each format; the paths.

    `published` results stand in the figures and tables of documents. Beside an export they are a file of their own,
    `report/published.FORMAT`.

    Raises:
        InputError: an unknown format.
    """
    _check(formats, [*FORMATS, *EXPORTS])
    files: dict[str, str | bytes] = {}
    # An export needs no page, and so no figure and no importance of axes.
    page = document(run, published=published) if FORMATS.keys() & formats else None
    for name in formats:
        if page and name in FORMATS:
            files[f"report.{name}"] = FORMATS[name].render(page)
        else:
            files[f"report.{name}"] = EXPORTS[name][type(run)](run)
            if rows := with_a_place(published):
                files[f"published.{name}"] = FILES[name](rows)
    if page:
        _save_pictures(page, formats, run.folder.report)
    return _written(files, run.folder.report)


def write_comparison(both: TwoRuns, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write `compare-NAME.FORMAT` into a run's report folder, by the second run's name; the paths.

    Raises:
        InputError: a format that a comparison does not have.
    """
    _check(formats, OF_TWO_RUNS)
    page = document(both)
    _save_pictures(page, formats, folder)
    return _written({f"compare-{both.second.name}.{name}": FORMATS[name].render(page) for name in formats}, folder)


def answer(run: Run) -> Iterator[Table | str]:
    """What a run found, as tables and lines for a terminal."""
    return terminal.render(document(run))


def _check(formats: Sequence[str], known: Sequence[str]) -> None:
    for name in formats:
        if name not in known:
            raise unknown("format", name, known, path="--format")


def _save_pictures(page: Page, formats: Sequence[str], folder: Path) -> None:
    if any(FORMATS[name].pictures_beside for name in formats if name in FORMATS):
        for picture in page.pictures:
            saving.save(picture.figure, folder, picture.stem)


def _written(files: Mapping[str, str | bytes], folder: Path) -> list[Path]:
    for name, made in files.items():
        write_bytes(folder / name, made.encode() if isinstance(made, str) else made)
    return [folder / name for name in files]
