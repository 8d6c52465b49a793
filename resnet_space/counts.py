"""Counts that come with the package, so that telling what a well-known network costs needs no torch.

`counts.json` holds what the counter says of the presets, of the published networks that are presets with changes, and
of the references. `python -m resnet_space.api.shipped` writes it anew; a test holds it against the counter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import resources as files
from pathlib import Path

from resnet_space.architecture import Architecture
from resnet_space.counter import Complexity, complexity

FILE = "counts.json"


@cache
def table() -> Mapping[str, Complexity]:
    """Counts by an architecture's key, or by a reference's name."""
    rows = json.loads((files.files("resnet_space") / FILE).read_text(encoding="utf-8"))
    return {name: Complexity(**{**row, "uncounted": tuple(row["uncounted"])}) for name, row in rows.items()}


def counts(net: Architecture) -> Complexity:
    """What `complexity` says, read where it is known."""
    return table().get(net.key) or complexity(net)


def write(counted: Mapping[str, Complexity]) -> Path:
    """Write the table, a line a network; its path."""
    path = Path(__file__).parent / FILE
    lines = [f"{json.dumps(name)}: {json.dumps(asdict(each))}" for name, each in sorted(counted.items())]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return path
