"""Where things lie on this machine: the cache, and data sets for which no place was named."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "RESNET_SPACE_CACHE"


def cache_folder() -> Path:
    """`$RESNET_SPACE_CACHE`, else `~/.cache/resnet-space`."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/resnet-space").expanduser()


def dataset_folder() -> Path:
    """The root of data sets when none is given."""
    return cache_folder() / "datasets"
