"""Which files of a folder are pictures: every file is read, left out by a rule that is written here, or refused."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from resnet_space.errors import InputError
from search.data.pictures import SUFFIXES

NOTES = (
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".log"),
    *(".db", ".ini", ".lnk", ".url", ".bak", ".tmp", ".swp"),
)
"""Endings of files that are left out: notes and tables; what systems and editors leave (Thumbs.db, desktop.ini)."""

NAMES_OF_NOTES = ("readme", "license")

LEFT_BY_SYSTEMS = ("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
"""Folders that are left out. Hidden ones, such as .ipynb_checkpoints, are too."""


def pictures(folder: Path) -> list[Path]:
    """All pictures in `folder` and below, in the order of their folders and names.

    Raises:
        InputError: names the first file that is neither read nor left out, and how many there are.
    """
    found = sorted(files(folder), key=lambda path: (str(path.parent), path.name))
    strange = [path for path in found if path.suffix.lower() not in SUFFIXES]
    if strange:
        endings = Counter(path.suffix.lower() or "no ending" for path in strange)
        raise InputError(
            f"{strange[0]}: not read as a picture; such files in {folder}: "
            f"{', '.join(f'{count} {ending}' for ending, count in sorted(endings.items()))}; "
            f"allowed: {' '.join(SUFFIXES)}; convert them, or move them out"
        )
    gone = [path for path in found if not path.is_file()]
    if gone:
        raise InputError(f"{gone[0]}: a link to nothing, or no file; mend or remove it ({len(gone)} in {folder})")
    return found


def files(folder: Path, *, below: bool = True, above: tuple[tuple[int, int], ...] = ()) -> Iterator[Path]:
    """All files in `folder`, and below it, that are not left out; links are followed.

    Raises:
        InputError: a link leads back to a folder above it.
    """
    state = folder.stat()
    here = (state.st_dev, state.st_ino)
    if here in above:
        raise InputError(f"{folder}: a link to a folder above it, whose pictures would be read twice; remove it")
    for entry in list(os.scandir(folder)):
        if entry.is_dir():
            if below and not _is_left_by_systems(entry.name):
                yield from files(folder / entry.name, above=(*above, here))
        elif not is_note(entry.name):
            yield folder / entry.name


def folders(folder: Path) -> list[Path]:
    """The folders directly in it that a user made, in the order of their names."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_left_by_systems(path.name))


def is_note(name: str) -> bool:
    """Is a file left out by its name?"""
    stem, ending = os.path.splitext(name.lower())
    return name.startswith(".") or name.endswith("~") or ending in NOTES or (not ending and stem in NAMES_OF_NOTES)


def _is_left_by_systems(name: str) -> bool:
    return name.startswith(".") or name in LEFT_BY_SYSTEMS
