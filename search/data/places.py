"""Where things lie on this machine: the cache, and data sets for which no place was named."""

from __future__ import annotations

import os
from pathlib import Path

from resnet_space.errors import InputError

VARIABLE = "RESNET_SPACE_CACHE"


def cache_folder() -> Path:
    """`$RESNET_SPACE_CACHE`, else `~/.cache/resnet-space`.

    Raises:
        InputError: it is in the home of a user who is not there.
    """
    place = os.environ.get(VARIABLE) or "~/.cache/resnet-space"
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        raise InputError(f"{place}: {error} Set {VARIABLE} to a folder") from None


def dataset_folder() -> Path:
    """The root of data sets when none is given."""
    return cache_folder() / "datasets"
