"""Reports into a run's folder, by format; a new format is a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ablations.published import Published
from ablations.run import AblationRun
from reports import arms, front, html, latex, markdown
from reports.illustrations import Illustration, illustrations
from reports.published import FILES, with_a_place
from reports.runs import Run
from resnet_space.errors import unknown
from search.exploring.run import SearchRun
from search.files.atomic import write_bytes

Document = Callable[[Any, Sequence[Illustration]], str]
"""From a run and its figures."""
Table = Callable[[Any, Sequence[Published]], str | bytes]
"""From a run, and published results to stand beside it."""


def _by_kind(of_ablation: Table, of_search: Table) -> Table:
    renders: dict[type, Table] = {AblationRun: of_ablation, SearchRun: of_search}
    return lambda run, published: renders[type(run)](run, published)


def _alone(render: Callable[[Any], str | bytes]) -> Table:
    """A table of what was measured alone; what was published is a file of its own."""
    return lambda run, _: render(run)


DOCUMENTS: dict[str, Document] = {"md": markdown.render, "html": html.page}
TABLES: dict[str, Table] = {
    "tex": _by_kind(latex.of_ablation, latex.of_search),
    "csv": _by_kind(_alone(arms.as_csv), _alone(front.of_run)),
    "parquet": _by_kind(_alone(arms.as_parquet), _alone(front.as_parquet)),
}


def write(run: Run, formats: Sequence[str], published: Sequence[Published] = ()) -> list[Path]:
    """Write `report/report.FORMAT` in each format; the paths. With `published` results, which stand in its figures and
    tables, also `report/published.FORMAT` where a format holds one table.

    Raises:
        InputError: an unknown format.
    """
    for name in formats:
        if name not in DOCUMENTS and name not in TABLES:
            raise unknown("format", name, [*DOCUMENTS, *TABLES], path="--format")
    files: dict[str, str | bytes] = {}
    # Each figure is drawn once for all documents.
    illustrated = list(illustrations(run, published)) if DOCUMENTS.keys() & formats else []
    for name in formats:
        document = DOCUMENTS.get(name)
        files[f"report.{name}"] = document(run, illustrated) if document else TABLES[name](run, published)
        if name in FILES and (rows := with_a_place(published)):
            files[f"published.{name}"] = FILES[name](rows)
    for name, made in files.items():
        write_bytes(run.folder.report / name, made.encode() if isinstance(made, str) else made)
    return [run.folder.report / name for name in files]
