"""Default folders on this machine: the cache, and the root of data sets."""

from __future__ import annotations

import os
from pathlib import Path

from resnet_space.errors import InputError

CACHE_VARIABLE = "RESNET_SPACE_CACHE"


def cache_folder() -> Path:
    """Return `$RESNET_SPACE_CACHE`, or by default `~/.cache/resnet-space`.

    Raises:
        InputError: the home directory in it cannot be determined.
    """
    place = os.environ.get(CACHE_VARIABLE) or "~/.cache/resnet-space"
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        raise InputError(f"{place}: {error} Set {CACHE_VARIABLE} to a folder") from None


def dataset_folder() -> Path:
    """Return the default root of data sets."""
    return cache_folder() / "datasets"
