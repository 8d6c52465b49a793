"""A run on several data sets as CSV and Parquet: one file of arms, one of comparisons over data sets."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from statistics import fmean

import pandas as pd
import pytest

from ablations.across.run import RunAcross
from reports.across import COMPARED
from resnet_space.api import report

Make = Callable[..., RunAcross]


def sets(number: int) -> list[dict[str, list[float]]]:
    """Errors on data sets on which the arm is worse by 2, 3, 4, ... points."""
    base = [0.100, 0.104, 0.102]
    return [{"base": base, "one": [error + 0.02 + 0.01 * place for error in base]} for place in range(number)]


def test_comparisons_over_data_sets_have_a_file_of_their_own(across: Make) -> None:
    run = across(sets(3), planned={"compare": ["one"]})
    arms, together = report(run, ["csv"])
    assert (arms.name, together.name) == ("report.csv", "over-data-sets.csv")
    assert len(arms.read_text().splitlines()) == 1 + 2 * 3
    (row,) = csv.DictReader(io.StringIO(together.read_text()))
    assert tuple(row) == COMPARED
    assert (row["arm"], row["versus"], row["measure"], row["planned"], row["data_sets"]) == (
        ("one", "base", "test_error", "True", "3")
    )
    assert float(row["delta"]) == pytest.approx(fmean([0.02, 0.03, 0.04]))
    ends = [float(row[name]) for name in ("next_low", "delta_low", "delta", "delta_high", "next_high")]
    assert ends == sorted(ends)
    (found,) = run.findings
    assert found.heterogeneity is not None
    assert float(row["tau"]) == pytest.approx(found.heterogeneity.tau)
    assert float(row["p_adjusted"]) == pytest.approx(found.p_adjusted)
    assert row["verdict"] == found.verdict


def test_what_two_data_sets_cannot_show_is_empty(across: Make) -> None:
    (_, together) = report(across(sets(2)), ["csv"])
    (row,) = csv.DictReader(io.StringIO(together.read_text()))
    assert (row["p"], row["next_low"], row["next_high"]) == ("", "", "")
    assert row["delta_low"]


def test_parquet_has_the_same_rows(across: Make) -> None:
    run = across(sets(3))
    arms, together = report(run, ["parquet"])
    assert pd.read_parquet(together).columns.tolist() == list(COMPARED)
    assert pd.read_parquet(together)["delta"].tolist() == pytest.approx([run.findings[0].difference.delta])
    assert sorted(set(pd.read_parquet(arms)["data"])) == sorted(run.parts)
