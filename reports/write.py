"""Reports as files, by format."""

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


def write(
    folder: Path,
    stem: str,
    formats: Sequence[str],
    page: Callable[[], Page],
    *,
    documents: Sequence[str] = tuple(FORMATS),
    exports: Mapping[str, Callable[[], str | bytes]] | None = None,
    published: Sequence[Published] = (),
) -> list[Path]:
    """Write `STEM.FORMAT` in each format into a folder; the paths.

    Args:
        page: makes the page, which is called at most once and for documents only: an export needs no figure.
        documents: formats that the page can have.
        exports: what makes tables for other programs, by format.
        published: results that are written next to an export, as `published.FORMAT`; a page has them in its figures.

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
            files[f"{stem}.{name}"] = exports[name]()
            if rows := with_a_place(published):
                files[f"published.{name}"] = FILES[name](rows)
    if made and any(FORMATS[name].pictures_beside for name in formats if name in documents):
        for picture in made.pictures:
            saving.save(picture.figure, folder, picture.stem)
    for name, content in files.items():
        write_bytes(folder / name, content.encode() if isinstance(content, str) else content)
    return [folder / name for name in files]
