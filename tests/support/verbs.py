"""All commands for a run's folder, run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Result(NamedTuple):
    status: int
    out: str
    err: str


Cli = Callable[..., Result]


def every_verb(resnet_space: Cli, folder: Path) -> list[Result]:
    """Run every command that takes a run's folder, and return the results."""
    name = "plain" if "baseline" in Path("study.yaml").read_text() else ""
    return [
        resnet_space("status", folder),
        resnet_space("status", folder, "--json"),
        resnet_space("front", folder, "--format", "csv"),
        resnet_space("report", folder, "--format", "csv,tex"),
        resnet_space("export", folder, "--arm", name or "0", "--to", "taken.py"),
        resnet_space("dashboard", folder),
    ]
