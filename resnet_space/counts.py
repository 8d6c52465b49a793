"""Shipped counts, so that the costs of well-known networks are available without torch.

`counts.json` has the counts of the presets, of the published networks that are presets with changes, and of the
references. `python -m resnet_space.api.shipped` writes it; a test compares it with the counter.
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
def stored_counts() -> Mapping[str, Complexity]:
    """Return the shipped counts by an architecture's key, or by a reference's name."""
    rows = json.loads((files.files("resnet_space") / FILE).read_text(encoding="utf-8"))
    return {name: Complexity(**{**row, "uncounted": tuple(row["uncounted"])}) for name, row in rows.items()}


def known_complexity(net: Architecture) -> Complexity:
    """Return the complexity of a network: the shipped counts if there are any, else counted now."""
    return stored_counts().get(net.key) or complexity(net)


def write(counted: Mapping[str, Complexity]) -> Path:
    """Write the file, one line per network; return its path."""
    path = Path(__file__).parent / FILE
    lines = [f"{json.dumps(name)}: {json.dumps(asdict(each))}" for name, each in sorted(counted.items())]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return path
