"""Reports into a run's folder, by format; a new format is a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ablations.kinds import Run
from ablations.launch import AblationRun
from reports import arms, front, html, latex, markdown
from resnet_space.errors import unknown
from search.atomic import write_bytes
from search.found import SearchRun

Render = Callable[[Any], str | bytes]


def _by_kind(of_ablation: Render, of_search: Render) -> Render:
    renders: dict[type, Render] = {AblationRun: of_ablation, SearchRun: of_search}
    return lambda run: renders[type(run)](run)


FORMATS: dict[str, Render] = {
    "md": markdown.render,
    "html": html.page,
    "tex": _by_kind(latex.of_ablation, latex.of_search),
    "csv": _by_kind(arms.as_csv, front.of_run),
    "parquet": _by_kind(arms.as_parquet, front.as_parquet),
}


def write(run: Run, formats: Sequence[str]) -> list[Path]:
    """Write `report/report.FORMAT` in each format; the paths.

    Raises:
        InputError: an unknown format.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS, path="--format")
    paths = []
    for name in formats:
        path = run.folder.report / f"report.{name}"
        made = FORMATS[name](run)
        write_bytes(path, made.encode() if isinstance(made, str) else made)
        paths.append(path)
    return paths
