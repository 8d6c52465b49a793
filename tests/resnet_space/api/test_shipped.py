"""The shipped counts and lists are equal to newly made ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resnet_space import Architecture, complexity, preset
from resnet_space.api import catalogue, shipped
from resnet_space.counts import known_complexity, stored_counts


@pytest.mark.long
def test_the_shipped_counts_equal_those_of_the_counter() -> None:
    assert dict(stored_counts()) == shipped.count_all(), "python -m resnet_space.api.shipped"


def test_the_shipped_lists_equal_newly_made_ones() -> None:
    for name, (headings, rows) in shipped.make_lists().items():
        assert catalogue.listing(name) == (headings, [*rows]), "python -m resnet_space.api.shipped"


def test_a_network_that_is_not_shipped_is_counted(tiny_net: Architecture) -> None:
    assert tiny_net.key not in stored_counts()
    assert known_complexity(tiny_net) == complexity(tiny_net)


def test_a_shipped_count_is_found_by_the_key_of_the_network() -> None:
    same = preset("resnet110").assign(
        {"unit.shortcut": {"kind": "constant_scaling", "shortcut_scale": 1, "branch_scale": 1}}
    )
    assert known_complexity(same) is stored_counts()[preset("resnet110").key]


@pytest.mark.parametrize("verb", [["list"], ["list", "studies"], ["list", "published"], ["show", "resnet110"]])
def test_shipped_lists_and_counts_are_printed_without_torch(verb: list[str]) -> None:
    program = (
        "import sys; from resnet_space.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "print(*sorted({'torch', 'ray', 'pandas'} & sys.modules.keys()), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program, *verb], capture_output=True, text=True, check=True)
    assert ran.stdout
    assert ran.stderr.split() == []
