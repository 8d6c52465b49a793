"""Files that come with the package because making them takes long; `python -m resnet_space.api.shipped` writes them.

`resnet_space/counts.json`: what the counter says of the presets, of published networks, and of the references.
`resnet_space/api/listed.json`: the lists of presets, studies and what is published. Tests compare both with what they
are made from.
"""

from __future__ import annotations

import json
from pathlib import Path

from ablations.placing import network
from ablations.published import catalogue as published
from resnet_space import Complexity, complexity, counts
from resnet_space.api import catalogue
from resnet_space.presets import PRESETS
from resnet_space.references import REFERENCES, count_anew


def counted() -> dict[str, Complexity]:
    """By key, or by a reference's name, all of them counted now."""
    nets = [row.net for row in PRESETS.values()]
    nets += [net for row in published() if (net := network(row)) is not None]
    found = {net.key: net for net in nets}
    return {key: complexity(net) for key, net in found.items()} | {name: count_anew(name) for name in REFERENCES}


def listed() -> dict[str, catalogue.Listing]:
    """The lists that are kept, made now."""
    return {name: catalogue.LISTS[name]() for name in catalogue.KEPT}


def write() -> list[Path]:
    """Write both files; their paths."""
    file = Path(catalogue.__file__).parent / catalogue.FILE
    file.write_text(json.dumps(listed(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [counts.write(counted()), file]


if __name__ == "__main__":
    print(*write(), sep="\n")
