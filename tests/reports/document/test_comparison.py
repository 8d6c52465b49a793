"""Two runs are compared network by network, and as distributions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pages import headings, table

from ablations.run import AblationRun
from resnet_space.api import compare, document

Make = Callable[..., AblationRun]


def test_two_runs_are_compared_network_by_network_and_as_distributions(ablation: Make, tmp_path: Path) -> None:
    before = {f"arm {place}": [0.10 + place / 100, 0.11 + place / 100] for place in range(6)}
    after = {name: [error + 0.2 for error in errors] for name, errors in before.items()}
    ablation(before, folder="before")
    ablation(after, folder="after")
    both = compare(tmp_path / "before", tmp_path / "after")
    assert len(both.common) == 6
    assert both.overall.delta == pytest.approx(0.2)
    assert len(both.at_equal_complexity.first) == 6
    assert both.at_equal_complexity.statistic == 1.0
    page = document(both)
    assert page.question == "Does after have lower errors than before?"
    assert "after differs from before by +20.00 points" in page.answer
    assert "(within 10%) the distributions of errors over 6 networks each differ" in page.answer
    assert page.state == "12 and 12 complete trials."
    assert {row[4].text for row in table(page, "Test errors").rows} == {"+20.00 [+20.00, +20.00]"}
    assert [picture.stem for picture in page.pictures] == ["compare-after-errors"]


def test_fields_that_differ_between_the_studies_are_a_table(ablation: Make, tmp_path: Path) -> None:
    ablation({"a": [0.1, 0.2], "b": [0.1, 0.2]}, folder="short")
    ablation({"a": [0.1, 0.2], "b": [0.1, 0.2]}, folder="long", source="1603.05027")
    page = document(compare(tmp_path / "short", tmp_path / "long"))
    rows = [[cell.text for cell in row] for row in table(page, "Fields").rows]
    assert ["source", "", "1603.05027"] in rows


def test_runs_without_networks_of_equal_complexity_are_not_compared_as_distributions(
    ablation: Make, tmp_path: Path
) -> None:
    ablation({"a": [0.1, 0.2], "b": [0.1, 0.2]}, folder="small")
    ablation({"a": [0.1, 0.2], "b": [0.1, 0.2]}, folder="large", set={"width": 1})
    both = compare(tmp_path / "small", tmp_path / "large")
    assert both.common == []
    assert both.at_equal_complexity.p is None
    page = document(both)
    assert "no network in common" in page.answer
    assert "Networks in common" not in headings(page)


def test_networks_in_common_have_the_interval_on_images_like_these(ablation: Make, tmp_path: Path) -> None:
    before = {"a": [0.10, 0.12, 0.11], "b": [0.20, 0.22, 0.19]}
    ablation(before, folder="before", predicted=True)
    ablation(
        {name: [error + 0.1 for error in errors] for name, errors in before.items()}, folder="after", predicted=True
    )
    both = compare(tmp_path / "before", tmp_path / "after")
    for network in both.common:
        found, seen = both.image_interval(network), both.difference(network)
        assert found is not None
        assert seen.low is not None
        assert seen.high is not None
        assert found.delta == seen.delta == pytest.approx(0.1, abs=0.01)
        assert found.low_images < seen.low <= seen.high < found.high_images
    grid = table(document(both), "Test errors")
    assert "on images like these, points" in grid.headings
    assert grid.notes


def test_networks_that_were_tested_on_other_images_have_no_such_interval(ablation: Make, tmp_path: Path) -> None:
    errors = {"a": [0.10, 0.12, 0.11], "b": [0.20, 0.22, 0.19]}
    ablation(errors, folder="before", predicted=True)
    ablation(errors, folder="after", predicted=True, data={"name": "digits", "limit": 200, "split": "seed"})
    ablation(errors, folder="without")
    for other in ("after", "without"):
        both = compare(tmp_path / "before", tmp_path / other)
        assert both.common
        assert {both.image_interval(network) for network in both.common} == {None}
        assert "on images like these, points" not in table(document(both), "Test errors").headings
