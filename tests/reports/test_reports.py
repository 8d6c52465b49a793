"""Reports of an ablation in every format: finished, half finished, failed, and compared with another."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ablations.run import AblationRun
from reports import arms, html, markdown
from reports.two_runs import answer
from reports.two_runs import write as write_both
from reports.write import DOCUMENTS, TABLES, write
from resnet_space import InputError
from resnet_space.api import compare

Make = Callable[..., AblationRun]
ERRORS = {"base": [0.010, 0.012, 0.011], "bad": [0.310, 0.313, 0.312], "lost": [0.1, "diverged", 0.2]}
PLANNED = {"compare": ["bad", "lost"]}


@pytest.mark.parametrize("name", [*DOCUMENTS, *TABLES])
def test_every_format_is_written_and_again_the_same(name: str, ablation: Make) -> None:
    run = ablation(ERRORS, planned=PLANNED, epochs=2)
    (path,) = write(run, [name])
    first = path.read_bytes()
    assert first
    write(run, [name])
    assert path.read_bytes() == first


def test_documents_share_their_figures_and_are_the_same_as_alone(ablation: Make) -> None:
    run = ablation(ERRORS, planned=PLANNED, epochs=2)

    def written(formats: list[str]) -> dict[str, bytes]:
        write(run, formats)
        return {path.name: path.read_bytes() for path in run.folder.report.iterdir()}

    alone = written(["html"]) | written(["md"])
    assert {"report.md", "report.html", "differences.svg", "curves.png"} <= alone.keys()
    assert written(["md", "html"]) == alone


def test_csv_has_a_row_an_arm_with_the_columns_that_others_build_on(ablation: Make) -> None:
    rows = list(csv.DictReader(io.StringIO(arms.as_csv(ablation(ERRORS, planned=PLANNED)))))
    assert [row["arm"] for row in rows] == list(ERRORS)
    asked = "arm, key, n, error_mean, error_std, delta, delta_low, delta_high, p_adjusted, outcome, params, macs"
    assert set(asked.split(", ")) | {"published_error"} <= set(rows[0])
    assert float(rows[1]["delta"]) == pytest.approx(0.3006667, rel=1e-5)
    assert float(rows[1]["delta_low"]) < float(rows[1]["delta"]) < float(rows[1]["delta_high"])
    assert rows[0]["delta"] == ""
    assert (rows[2]["n"], rows[2]["diverged"]) == ("2", "1")


def test_parquet_says_the_same_as_csv(ablation: Make) -> None:
    run = ablation(ERRORS, planned=PLANNED)
    frame = pd.read_parquet(io.BytesIO(arms.as_parquet(run)))
    assert list(frame.columns) == list(arms.COLUMNS)
    assert frame["delta"].tolist()[1] == pytest.approx(0.3006667, rel=1e-5)


def test_planned_and_exploratory_comparisons_stand_apart(ablation: Make) -> None:
    text = markdown.render(ablation(ERRORS, planned={"compare": ["bad"]}))
    planned, exploratory = text.index("## Planned comparisons"), text.index("## Exploratory comparisons")
    assert planned < text.index("| bad | base |") < exploratory < text.index("| lost | base |")


def test_a_report_names_its_own_network_and_data_beside_the_published_ones(ablation: Make) -> None:
    text = markdown.render(ablation(ERRORS)).replace("\\", "")
    assert "- network: resnet20, width=0.25, stages.*.units=1" in text
    assert "- data: digits" in text


def test_trials_that_did_not_end_well_are_told_with_an_exact_interval(ablation: Make) -> None:
    text = markdown.render(ablation(ERRORS, planned=PLANNED)).replace("\\", "")
    assert (
        "lost: 1 of 3 trials diverged or failed, 33% (95 % interval 1% to 91%, exact); against 0 of 3: p = 1.000"
        in text
    )


def test_a_half_finished_run_marks_what_may_still_change(ablation: Make) -> None:
    run = ablation({"base": [0.1, 0.11, 0.1], "open": [0.2, None, None], "none": [None, None, None]})
    text = markdown.render(run)
    assert "5 waiting" in text
    assert "**Unfinished: the numbers below may still change.**" in text
    assert "20.00~" in text.replace("\\", "")
    assert "10.33 ± 0.58 | 3 |" in text, "what is complete has no mark"
    assert "+10.00~" in text.replace("\\", ""), "a difference to what is open is open"
    assert "Unfinished: numbers may still change." in html.page(run)


def test_the_page_has_a_row_an_arm_and_says_why_there_is_no_p(ablation: Make) -> None:
    page = html.page(ablation({"base": [0.1, 0.2], "<b>other</b>": [0.15, 0.24]}))
    assert "&lt;b&gt;other&lt;/b&gt;" in page
    assert "<b>other" not in page
    assert page.count('data-arm="1"') >= 2, "its row and its place in figures"


def test_a_run_without_any_trial_is_refused_by_name(tmp_path: Path) -> None:
    from resnet_space import api

    with pytest.raises(InputError, match="no run's folder"):
        api.open_run(tmp_path / "nothing")


def test_two_runs_are_compared_network_by_network_and_as_distributions(ablation: Make, tmp_path: Path) -> None:
    before = {f"arm {place}": [0.10 + place / 100, 0.11 + place / 100] for place in range(6)}
    after = {name: [error + 0.2 for error in errors] for name, errors in before.items()}
    ablation(before, folder="before")
    ablation(after, folder="after")
    found = compare(tmp_path / "before", tmp_path / "after")
    assert len(found.common) == 6
    assert found.overall.delta == pytest.approx(0.2)
    assert len(found.at_equal_complexity.first) == 6
    assert found.at_equal_complexity.statistic == 1.0
    assert "after differs from before by +20.00 points" in answer(found)
    assert "(within 10%) the distributions of errors over 6 networks each differ" in answer(found)
    paths = write_both(found, tmp_path / "report", ["md", "html"])
    assert all(path.stat().st_size > 500 for path in paths)


def test_runs_without_networks_of_equal_complexity_are_not_compared_as_distributions(
    ablation: Make, tmp_path: Path
) -> None:
    ablation({"a": [0.1, 0.2], "b": [0.1, 0.2]}, folder="small")
    ablation({"a": [0.1, 0.2], "b": [0.1, 0.2]}, folder="large", set={"width": 1})
    found = compare(tmp_path / "small", tmp_path / "large")
    assert found.common == []
    assert found.at_equal_complexity.p is None
    assert "no network in common" in answer(found)


def test_a_comparison_has_its_own_formats(ablation: Make, tmp_path: Path) -> None:
    ablation(ERRORS, folder="a")
    with pytest.raises(InputError, match="unknown format 'tex'"):
        write_both(compare(tmp_path / "a", tmp_path / "a"), tmp_path, ["tex"])
