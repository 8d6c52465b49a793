"""Writing reports to files, by format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablations.published import Published
from reports import html, latex, markdown, pdf, typst
from reports.figures import saving
from reports.figures.style import FORMATS as FILE_FORMATS
from reports.page import DOUBLE, SINGLE, Page
from reports.published import FILES, with_a_place
from resnet_space.errors import unknown
from search.files.atomic import write_bytes


@dataclass(frozen=True)
class Format:
    """How a page is written to a file."""

    render: Callable[[Page], str | bytes]
    pictures_beside: bool = False
    """Whether its figures are separate files in the same folder."""


FORMATS: dict[str, Format] = {
    "md": Format(markdown.render, pictures_beside=True),
    "html": Format(html.render),
    "pdf": Format(pdf.render),
    "tex": Format(latex.render),
    "typ": Format(typst.render),
}
"""Formats of documents by the value of `--format`. To add a format, add a row."""

OF_SEVERAL_RUNS = ("md", "html", "pdf")
"""Formats for a comparison of runs, which has no table for a paper."""

SIZES = {"single": SINGLE, "double": DOUBLE}
"""Widths of figures for a paper, in inches, by the end of the name of their files."""


def write(
    folder: Path,
    stem: str,
    formats: Sequence[str],
    page: Callable[[], Page],
    *,
    documents: Sequence[str] = tuple(FORMATS),
    exports: Mapping[str, Mapping[str, Callable[[], str | bytes]]] | None = None,
    published: Sequence[Published] = (),
    figures: Path | None = None,
) -> list[Path]:
    """Write `STEM.FORMAT` to a folder for each document, and the files of each export; return the paths.

    Args:
        page: makes the page. It is called at most once, and only for documents: an export needs no figures.
        documents: formats in which the page can be written.
        exports: functions that make tables for other programs, by format and stem.
        published: results to write next to an export, as `published.FORMAT`; a page shows them in its figures.
        figures: a folder for all figures by themselves, in the sizes of a paper: `NAME-single.pdf`, `NAME-double.svg`.

    Raises:
        InputError: an unknown format.
    """
    exports = exports or {}
    for name in formats:
        if name not in documents and name not in exports:
            raise unknown("format", name, [*documents, *exports], path="--format")
    made = page() if figures or set(documents) & set(formats) else None
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
    return [*(folder / name for name in files), *(_save(made, figures) if made and figures else [])]


def _save(page: Page, folder: Path) -> list[Path]:
    """Write each figure of a page in each size and format; return the paths."""
    paths = []
    for picture in page.pictures:
        for name, width in SIZES.items():
            paths += saving.save(picture.at(width), folder, f"{picture.stem}-{name}", tuple(FILE_FORMATS))
    return paths
