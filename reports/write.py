"""Reports into a run's folder, by format; a new format is a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ablations.kinds import Run
from reports import markdown
from resnet_space.errors import unknown
from search.atomic import write_text

FORMATS: dict[str, Callable[[Run], str]] = {"md": markdown.render}


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
        write_text(path, FORMATS[name](run))
        paths.append(path)
    return paths
