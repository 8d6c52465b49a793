"""Reports into a run's folder, by format; a new format is a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ablations.kinds import Run
from ablations.launch import AblationRun
from ablations.published import Published
from reports import arms, front, html, latex, markdown
from reports.published import FILES, with_a_place
from resnet_space.errors import unknown
from search.atomic import write_bytes
from search.found import SearchRun

Render = Callable[[Any, Sequence[Published]], str | bytes]
"""From a run, and published results to stand beside it."""


def _by_kind(of_ablation: Render, of_search: Render) -> Render:
    renders: dict[type, Render] = {AblationRun: of_ablation, SearchRun: of_search}
    return lambda run, published: renders[type(run)](run, published)


def _alone(render: Callable[[Any], str | bytes]) -> Render:
    """A table of what was measured alone; what was published is a file of its own."""
    return lambda run, _: render(run)


FORMATS: dict[str, Render] = {
    "md": markdown.render,
    "html": html.page,
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
        if name not in FORMATS:
            raise unknown("format", name, FORMATS, path="--format")
    files: dict[str, str | bytes] = {}
    for name in formats:
        files[f"report.{name}"] = FORMATS[name](run, published)
        if name in FILES and (rows := with_a_place(published)):
            files[f"published.{name}"] = FILES[name](rows)
    for name, made in files.items():
        write_bytes(run.folder.report / name, made.encode() if isinstance(made, str) else made)
    return [run.folder.report / name for name in files]
