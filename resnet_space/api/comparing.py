"""Compare runs with each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_space.errors import InputError

if TYPE_CHECKING:
    from ablations.two_runs import TwoRuns

MAX_NAMED_RUNS = 3
"""The most runs after which the file of a comparison is named."""


def compare(first: Path, second: Path, *, dataset: str | None = None, storage: str | None = None) -> TwoRuns:
    """Return a comparison of two runs; of those on several data sets, on the `dataset` of this label.

    Raises:
        InputError: one of them is not a run's folder, or has no complete trial; or as `StoredRun.on`.
    """
    from ablations.two_runs import TwoRuns
    from resnet_space.api.folders import open_folder

    with open_folder(first, storage) as one, open_folder(second, storage) as other:
        return TwoRuns.of(one.on(dataset), other.on(dataset))


def compare_all(folders: Sequence[Path], *, dataset: str | None = None, storage: str | None = None) -> list[TwoRuns]:
    """Return a comparison of each run with the first one, as `compare` does it.

    Raises:
        InputError: fewer than two folders; or as `compare`.
    """
    first, *others = folders
    if not others:
        raise InputError(f"{first}: only one run; give at least two to compare")
    return [compare(first, other, dataset=dataset, storage=storage) for other in others]


def stem_of(pairs: Sequence[TwoRuns]) -> str:
    """Return the name of the file of a comparison: that of the runs, or their number if they are many."""
    names = [both.second.name for both in pairs]
    return "-".join(["compare", *(names if len(names) <= MAX_NAMED_RUNS else [f"{len(names)}-runs"])])
