"""Contract checks for authors of a network's parts: a shortcut, a branch or an order.

    from resnet_space.testing import check_shortcut

    def test_my_shortcut() -> None:
        check_shortcut(MyShortcut(strength=0.5))

A check raises an `AssertionError` with the broken law, what was found and what was expected. The laws are functions in
tables (`SHORTCUT_LAWS`, `BRANCH_LAWS`, `ORDER_LAWS`, `NETWORK_LAWS`), so that a test can be parametrised over them. No
test runner is needed. Importing this package does not import torch; running a check does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet_space.testing.networks import NETWORK_LAWS, check_network
    from resnet_space.testing.parts import (
        BRANCH_LAWS,
        ORDER_LAWS,
        SHORTCUT_LAWS,
        Row,
        check_branch,
        check_order,
        check_shortcut,
    )

__all__ = [
    "BRANCH_LAWS",
    "NETWORK_LAWS",
    "ORDER_LAWS",
    "SHORTCUT_LAWS",
    "Row",
    "check_branch",
    "check_network",
    "check_order",
    "check_shortcut",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "networks" if "network" in name.lower() else "parts"
    return getattr(import_module(f"resnet_space.testing.{module}"), name)
