"""The words that name the three splits, in names of folders and of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SPLIT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "val": "validation",
        "valid": "validation",
        "validation": "validation",
        "dev": "validation",
        "test": "test",
        "testing": "test",
    }
)
"""The split that each word names; words are in lower case."""
