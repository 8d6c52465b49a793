"""Find the pictures in a folder: every file is either read, ignored by a rule below, or refused."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from resnet_space.errors import InputError
from search.data.pictures import SUFFIXES

IGNORED_SUFFIXES = (
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".log"),
    *(".db", ".ini", ".lnk", ".url", ".bak", ".tmp", ".swp"),
)
"""Suffixes of ignored files: notes and tables, and files of systems and editors (Thumbs.db, desktop.ini)."""

IGNORED_NAMES = ("readme", "license")

IGNORED_FOLDERS = ("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
"""Ignored folders. Hidden folders, such as .ipynb_checkpoints, are ignored too."""


def find_pictures(folder: Path) -> list[Path]:
    """Return all pictures in `folder` and below, sorted by folder and name.

    Raises:
        InputError: a file is neither read nor ignored: its name, and the number of such files.
    """
    found = sorted(find_files(folder), key=lambda path: (str(path.parent), path.name))
    strange = [path for path in found if path.suffix.lower() not in SUFFIXES]
    if strange:
        endings = Counter(path.suffix.lower() or "no ending" for path in strange)
        raise InputError(
            f"{strange[0]}: not a supported picture file; such files in {folder}: "
            f"{', '.join(f'{count} {ending}' for ending, count in sorted(endings.items()))}; "
            f"allowed: {' '.join(SUFFIXES)}; convert them, or move them out"
        )
    gone = [path for path in found if not path.is_file()]
    if gone:
        raise InputError(f"{gone[0]}: a broken link, or not a file; repair or remove it ({len(gone)} in {folder})")
    return found


def find_files(folder: Path, *, below: bool = True, above: tuple[tuple[int, int], ...] = ()) -> Iterator[Path]:
    """Yield all files in `folder` and below that are not ignored; links are followed.

    Raises:
        InputError: a link leads back to a folder above it.
    """
    state = folder.stat()
    identity = (state.st_dev, state.st_ino)
    if identity in above:
        raise InputError(f"{folder}: a link to a folder above it, whose pictures would be read twice; remove it")
    for entry in list(os.scandir(folder)):
        if entry.is_dir():
            if below and not _is_ignored_folder(entry.name):
                yield from find_files(folder / entry.name, above=(*above, identity))
        elif not is_ignored_file(entry.name):
            yield folder / entry.name


def find_folders(folder: Path) -> list[Path]:
    """Return the folders directly in `folder` that are not ignored, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_ignored_folder(path.name))


def is_ignored_file(name: str) -> bool:
    """Whether a file is ignored because of its name."""
    stem, ending = os.path.splitext(name.lower())
    return (
        name.startswith(".")
        or name.endswith("~")
        or ending in IGNORED_SUFFIXES
        or (not ending and stem in IGNORED_NAMES)
    )


def _is_ignored_folder(name: str) -> bool:
    return name.startswith(".") or name in IGNORED_FOLDERS
