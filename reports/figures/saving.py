"""Saving figures to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from reports.figures import style
from reports.figures.style import FORMATS
from resnet_space.errors import InputError, unknown
from search.files import atomic


def save(figure: Figure, folder: Path, stem: str, formats: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write `FOLDER/STEM.FORMAT` atomically in each format; return the paths. Equal figures give identical bytes.

    Raises:
        InputError: an unknown format, or a stem that is not a file name.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS, path="formats")
    if not stem or stem != Path(stem).name:
        raise InputError(f"stem: must be a file name without folders; got {stem!r}")
    paths = [folder / f"{stem}.{name}" for name in formats]
    with style.applied():
        for path, name in zip(paths, formats, strict=True):
            atomic.replace(path, lambda file, name=name: figure.savefig(file, format=name, **FORMATS[name]))  # type: ignore[misc]
    return paths
