"""Cases of networks and the laws that they must satisfy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from resnet_space.testing import NETWORK_LAWS

LONG = "exported_networks_compute_the_same"
"""The law that takes seconds for each network."""


def cases(names: Iterable[str], *, exported: str = "") -> list[Any]:
    """Return every name with every law; outside CI the law about exports is checked for one name only."""
    return [
        pytest.param(
            name, law, id=f"{name}-{law}", marks=[pytest.mark.long] if law == LONG and name != exported else []
        )
        for name in names
        for law in NETWORK_LAWS
    ]
