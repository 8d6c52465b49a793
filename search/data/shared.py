"""One copy of each data set per machine: plain .npy files that every trial maps into memory.

The kernel keeps the pages of a mapped file once for all processes, so 16 trials on CIFAR-10 need its 180 MB only once.
An entry is a folder, named by a hash of the description and the states of the source files. It is created atomically,
by a rename. The cache can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from search.data.description import DataSet
from search.data.divide import SPLIT_SEED
from search.data.images import Images, Split
from search.data.places import cache_folder

FORMAT = 2
"""Part of every entry's name; increase it when the same description and files are read differently."""

BUILD_TIMEOUT_SECONDS = 1800
"""How long to wait for another process that reads the same data; after that, this process reads it too."""

SPLITS = ("train", "validation", "test")
ABOUT_FILE = "about.json"

log = logging.getLogger(__name__)


def entry_name(data: DataSet, files: Iterable[Path], seed: int = 0) -> str:
    """Return the name of an entry; it changes if a source file is changed, moved or touched.

    With `data.split: seed` each seed has its own entry.

    It depends on mtime and also on ctime: copying tools set mtime, but only the system sets ctime.
    """
    digest = hashlib.sha256(f"{FORMAT} {SPLIT_SEED} {data.model_dump_json(exclude={'root'})}\n".encode())
    if (division := data.division(seed)) is not None:
        digest.update(f"division {division}\n".encode())
    for file in files:
        state = file.stat()
        known = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_dev)
        digest.update(os.fsencode(file.resolve()) + f" {' '.join(map(str, known))}\n".encode())
    return f"{data.name}-{digest.hexdigest()[:16]}"


def shared_images(name: str, build: Callable[[], Images], *, folder: Path | None = None) -> Images:
    """Return the entry of this name; build it first if it is missing or incomplete.

    If the cache cannot be written (no home, full disk), the images are this process's own copy.
    """
    entry = (folder or cache_folder() / "images") / name
    found = _open_entry(entry)
    if found is not None:
        return found
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        # The rename is enough for atomic entries; the lock saves memory and time when many processes start at once.
        with FileLock(f"{entry}.lock", timeout=BUILD_TIMEOUT_SECONDS):
            found = _open_entry(entry)
            return found if found is not None else _build_entry(entry, build)
    except (OSError, Timeout) as error:
        log.warning("no shared copy of %s (%s); this process holds its own", name, error)
        return build()


def existing_images(name: str) -> Images | None:
    """Return the entry of this name if it is complete; nothing is built or written."""
    return _open_entry(cache_folder() / "images" / name)


def _build_entry(entry: Path, build: Callable[[], Images]) -> Images:
    made = build()
    try:
        _write_entry(entry, made)
    except OSError as error:
        log.warning("no shared copy in %s (%s); this process holds its own", entry, error)
        return made
    return _open_entry(entry) or made


def _write_entry(entry: Path, made: Images) -> None:
    """Write to a folder next to the entry, then rename it: no process sees a part. The caller holds the lock."""
    for abandoned in entry.parent.glob(f".{entry.name}.*"):  # left by a killed process
        shutil.rmtree(abandoned, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent))
    try:
        for split in SPLITS:
            for part in ("x", "y"):
                with (draft / f"{split}_{part}.npy").open("wb") as file:
                    np.save(file, getattr(getattr(made, split), part).numpy(), allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
        about = {
            "bytes": {file.name: file.stat().st_size for file in sorted(draft.iterdir())},
            "names": made.names,
            "shape": made.shape,
            "mean": made.mean,
            "std": made.std,
            "fingerprint": made.fingerprint,
            "digests": dict(made.digests),
        }
        (draft / ABOUT_FILE).write_text(json.dumps(about), encoding="utf-8")
        draft.chmod(0o755)
        if entry.exists():
            # The entry is incomplete, or it would have been used. Processes that have mapped it keep their pages.
            entry.rename(draft / "replaced")
        draft.rename(entry)
        shutil.rmtree(entry / "replaced", ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _open_entry(entry: Path) -> Images | None:
    """Return the entry, mapped; None if it is missing or incomplete."""
    try:
        about = json.loads((entry / ABOUT_FILE).read_text(encoding="utf-8"))
        arrays = {name: _map(entry / name, size) for name, size in about["bytes"].items()}
        train, validation, test = (
            Split(*(torch.from_numpy(arrays[f"{split}_{part}.npy"]) for part in "xy")) for split in SPLITS
        )
        channels, height, width = about["shape"]
        return Images(
            train,
            validation,
            test,
            classes=len(about["names"]),
            names=tuple(about["names"]),
            shape=(channels, height, width),
            mean=tuple(about["mean"]),
            std=tuple(about["std"]),
            fingerprint=about["fingerprint"],
            digests=about["digests"],
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s is incomplete (%s); it is created again", entry, error)
        return None


def _map(path: Path, size: int) -> np.ndarray[Any, Any]:
    if path.stat().st_size != size:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, not {size}")
    # "c", not "r": pages are shared too, but torch warns about read-only arrays.
    array: np.ndarray[Any, Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return array
