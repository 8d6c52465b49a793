"""Results are stored by key, so the keys of networks that have been trained never change."""

import csv
import json
from pathlib import Path

import pytest

from resnet_space import preset

with (Path(__file__).parent.parent / "golden" / "keys.csv").open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['preset']} {row['changes']}")
def test_the_key_is_the_one_that_results_are_stored_under(row):
    assert preset(row["preset"]).assign(json.loads(row["changes"])).key == row["key"]
