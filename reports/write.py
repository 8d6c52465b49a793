"""Writing reports to files, by format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablations.published import Published
from reports import html, latex, markdown
from reports.figures import saving
from reports.page import Page
from reports.published import FILES, with_a_place
from resnet_space.errors import unknown
from search.files.atomic import write_bytes


@dataclass(frozen=True)
class Format:
    """How a page is written to a file."""

    render: Callable[[Page], str]
    pictures_beside: bool = False
    """Whether its figures are separate files in the same folder."""


FORMATS: dict[str, Format] = {
    "md": Format(markdown.render, pictures_beside=True),
    "html": Format(html.render),
    "tex": Format(latex.render),
}
"""Formats of documents by the value of `--format`. To add a format, add a row."""

OF_TWO_RUNS = ("md", "html")
"""Formats for a comparison of two runs, which has no table for a paper."""


def write(
    folder: Path,
    stem: str,
    formats: Sequence[str],
    page: Callable[[], Page],
    *,
    documents: Sequence[str] = tuple(FORMATS),
    exports: Mapping[str, Mapping[str, Callable[[], str | bytes]]] | None = None,
    published: Sequence[Published] = (),
) -> list[Path]:
    """Write `STEM.FORMAT` to a folder for each document, and the files of each export; return the paths.

    Args:
        page: makes the page. It is called at most once, and only for documents: an export needs no figures.
        documents: formats in which the page can be written.
        exports: functions that make tables for other programs, by format and stem.
        published: results to write next to an export, as `published.FORMAT`; a page shows them in its figures.

    Raises:
        InputError: an unknown format.
    """
    exports = exports or {}
    for name in formats:
        if name not in documents and name not in exports:
            raise unknown("format", name, [*documents, *exports], path="--format")
    made = page() if set(documents) & set(formats) else None
    files: dict[str, str | bytes] = {}
    for name in formats:
        if made and name in documents:
            files[f"{stem}.{name}"] = FORMATS[name].render(made)
        else:
            files |= {f"{table}.{name}": make() for table, make in exports[name].items()}
            if rows := with_a_place(published):
                files[f"published.{name}"] = FILES[name](rows)
    if made and any(FORMATS[name].pictures_beside for name in formats if name in documents):
        for picture in made.pictures:
            saving.save(picture.figure, folder, picture.stem)
    for name, content in files.items():
        write_bytes(folder / name, content.encode() if isinstance(content, str) else content)
    return [folder / name for name in files]
