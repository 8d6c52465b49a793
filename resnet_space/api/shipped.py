"""Write the files that are shipped because making them takes long: `python -m resnet_space.api.shipped`.

`resnet_space/counts.json`: the costs of the presets, of the published networks, and of the references.
`resnet_space/api/listed.json`: the lists of presets, studies and published results. Tests compare both files with newly
made ones.
"""

from __future__ import annotations

import json
from pathlib import Path

from ablations.published import catalogue as published
from ablations.published_costs import network
from resnet_space import Complexity, complexity, counts
from resnet_space.api import catalogue
from resnet_space.presets import PRESETS
from resnet_space.references import REFERENCES, count_now


def count_all() -> dict[str, Complexity]:
    """Count all networks now; the costs by key, or by a reference's name."""
    nets = [row.net for row in PRESETS.values()]
    nets += [net for row in published() if (net := network(row)) is not None]
    found = {net.key: net for net in nets}
    return {key: complexity(net) for key, net in found.items()} | {name: count_now(name) for name in REFERENCES}


def make_lists() -> dict[str, catalogue.Listing]:
    """Make the lists in `catalogue.STORED_LISTS` now."""
    return {name: catalogue.LISTS[name]() for name in catalogue.STORED_LISTS}


def write() -> list[Path]:
    """Write both files; return their paths."""
    file = Path(catalogue.__file__).parent / catalogue.STORED_FILE
    file.write_text(json.dumps(make_lists(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [counts.write(count_all()), file]


if __name__ == "__main__":
    print(*write(), sep="\n")
