"""Published results are written in every format on request, as numbers in formats for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pandas as pd
import pytest

from ablations.published import catalogue
from ablations.run import AblationRun
from reports import published
from reports.write import FORMATS
from resnet_space.api import report
from resnet_space.api.kinds import KINDS

Make = Callable[..., AblationRun]
ERRORS = {"base": [0.010, 0.012, 0.011], "bad": [0.310, 0.313, 0.312]}
CIFAR = catalogue("cifar10")


@pytest.mark.parametrize("name", [*(name for name in FORMATS if name != "pdf"), *KINDS["ablation"].exports])
def test_every_format_includes_published_results_on_request(ablation: Make, name: str) -> None:
    run = ablation(ERRORS)
    paths = report(run, [name], published=CIFAR)
    assert paths[0].name == f"report.{name}"
    last = paths[-1].read_bytes()
    text = str(pd.read_parquet(paths[-1])["source"].tolist()) if name == "parquet" else last.decode()
    assert "1608.06993 table 2" in text
    report(run, [name], published=CIFAR)
    assert paths[-1].read_bytes() == last, "the same run must give the same bytes"


def test_published_results_as_csv_and_parquet_are_numbers(ablation: Make) -> None:
    paths = {path.name: path for path in report(ablation(ERRORS), ["csv", "parquet"], published=CIFAR)}
    rows = list(csv.DictReader(io.StringIO(paths["published.csv"].read_text())))
    frame = pd.read_parquet(paths["published.parquet"])
    assert len(rows) == len(frame) == len(published.with_a_place(CIFAR))
    [row] = [row for row in rows if (row["model"], row["table"]) == ("resnet56", "depth")]
    assert (float(row["error"]), row["params_counted"], row["macs_counted"]) == (0.0697, "False", "True")


def test_records_can_be_written_as_json() -> None:
    records = json.loads(json.dumps(published.records(CIFAR), allow_nan=False))
    assert len(records) == len(CIFAR)
    [nin] = [row for row in records if row["model"] == "nin"]
    assert (nin["error"], nin["params"], nin["params_counted"]) == (0.0881, None, None)
