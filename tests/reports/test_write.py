"""Reports of finished and unfinished runs are written in every format; CSV and Parquet have fixed columns."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.table import Table

from ablations.run import AblationRun
from reports import arms, terminal
from reports.page import Grid
from reports.write import FORMATS, OF_SEVERAL_RUNS
from resnet_space import InputError
from resnet_space.api import compare, compare_all, document, open_run, report
from resnet_space.api.kinds import KINDS

Make = Callable[..., AblationRun]
ERRORS = {"base": [0.010, 0.012, 0.011], "bad": [0.310, 0.313, 0.312], "lost": [0.1, "diverged", 0.2]}
PLANNED = {"compare": ["bad", "lost"]}


@pytest.mark.parametrize("name", [*(name for name in FORMATS if name != "pdf"), *KINDS["ablation"].exports])
def test_writing_a_format_twice_gives_the_same_bytes(name: str, ablation: Make) -> None:
    run = ablation(ERRORS, planned=PLANNED, epochs=2)
    (path,) = report(run, [name])
    first = path.read_bytes()
    assert first
    report(run, [name])
    assert path.read_bytes() == first


@pytest.mark.parametrize("name", [*(name for name in FORMATS if name != "pdf"), *KINDS["ablation"].exports])
def test_an_unfinished_run_is_written_in_every_format(name: str, ablation: Make) -> None:
    (path,) = report(
        ablation({"base": [0.1, 0.11, 0.1], "open": [0.2, None, None], "none": [None, None, None]}), [name]
    )
    assert path.stat().st_size > 0


def test_documents_written_together_are_the_same_as_written_separately(ablation: Make) -> None:
    run = ablation(ERRORS, planned=PLANNED, epochs=2)

    def written(formats: list[str]) -> dict[str, bytes]:
        report(run, formats)
        return {path.name: path.read_bytes() for path in run.folder.report.iterdir()}

    alone = written(["html"])
    assert alone.keys() == {"report.html"}, "an HTML page contains its figures"
    alone |= written(["md"])
    assert {"report.md", "report.html", "differences.svg", "curves.png"} <= alone.keys()
    assert written(["md", "html"]) == alone


def test_an_unknown_format_is_refused_before_anything_is_written(ablation: Make) -> None:
    run = ablation(ERRORS)
    with pytest.raises(InputError, match=r"--format: unknown format 'htm'; did you mean 'html'\?"):
        report(run, ["md", "htm"])
    assert not run.folder.report.exists()


def test_a_terminal_shows_a_run_as_a_table_and_lines(ablation: Make) -> None:
    finding, first, *_ = terminal.render(document(ablation(ERRORS, planned=PLANNED)))
    assert isinstance(first, Table)
    assert first.row_count == 3
    assert finding == (
        "None of 2 alternatives is shown to be better than base: 1 of 2 is worse, by 30.07 points; lost cannot be "
        "distinguished from it with 2 seeds."
    )


def test_csv_has_one_row_per_arm_with_the_documented_columns(ablation: Make) -> None:
    rows = list(csv.DictReader(io.StringIO(arms.as_csv(ablation(ERRORS, planned=PLANNED)))))
    assert [row["arm"] for row in rows] == list(ERRORS)
    documented = "arm, key, n, error_mean, error_std, delta, delta_low, delta_high, p_adjusted, outcome, params, macs"
    assert set(documented.split(", ")) | {"published_error"} <= set(rows[0])
    assert list(rows[0])[-2:] == ["low_images", "high_images"]
    assert {row["low_images"] for row in rows} == {""}, "nothing is stored of single images"
    assert float(rows[1]["delta"]) == pytest.approx(0.3006667, rel=1e-5)
    assert float(rows[1]["delta_low"]) < float(rows[1]["delta"]) < float(rows[1]["delta_high"])
    assert rows[0]["delta"] == ""
    assert (rows[2]["n"], rows[2]["diverged"]) == ("2", "1")


def test_csv_has_the_interval_on_images_like_these(ablation: Make) -> None:
    rows = list(csv.DictReader(io.StringIO(arms.as_csv(ablation(ERRORS, planned=PLANNED, predicted=True)))))
    assert rows[0]["low_images"] == ""
    ends = [float(rows[1][name]) for name in ("low_images", "delta_low", "delta_high", "high_images")]
    assert ends == sorted(ends)


def test_parquet_has_the_same_content_as_csv(ablation: Make) -> None:
    run = ablation(ERRORS, planned=PLANNED)
    frame = pd.read_parquet(io.BytesIO(arms.as_parquet(run)))
    assert list(frame.columns) == list(arms.COLUMNS)
    assert list(frame.columns) == next(csv.reader(io.StringIO(arms.as_csv(run))))
    assert frame["delta"].tolist()[1] == pytest.approx(0.3006667, rel=1e-5)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run's folder"):
        open_run(tmp_path / "nothing")


def test_a_comparison_is_named_after_the_second_run_and_has_its_figure(ablation: Make, tmp_path: Path) -> None:
    ablation(ERRORS, folder="before")
    ablation(ERRORS, folder="after")
    both = compare(tmp_path / "before", tmp_path / "after")
    paths = report(both, [name for name in OF_SEVERAL_RUNS if name != "pdf"])
    assert [path.name for path in paths] == ["compare-after.md", "compare-after.html"]
    assert all(path.stat().st_size > 500 for path in paths)
    assert "(compare-after-errors.svg)" in paths[0].read_text()
    assert (tmp_path / "before" / "report" / "compare-after-errors.svg").exists()


def test_a_comparison_has_its_own_formats(ablation: Make, tmp_path: Path) -> None:
    ablation(ERRORS, folder="a")
    with pytest.raises(InputError, match="unknown format 'tex'"):
        report(compare(tmp_path / "a", tmp_path / "a"), ["tex"])


def test_figures_are_written_alone_in_the_sizes_of_a_paper(ablation: Make, tmp_path: Path) -> None:
    run = ablation(ERRORS, planned=PLANNED, epochs=2)
    report(run, ["csv"], figures=tmp_path / "paper")
    names = {path.name for path in (tmp_path / "paper").iterdir()}
    sizes = [f"{size}.{kind}" for size in ("single", "double") for kind in ("svg", "png", "pdf")]
    assert names == {f"{picture.stem}-{end}" for picture in document(run).pictures for end in sizes}
    widths = {}
    for size in ("single", "double"):
        root = ET.parse(tmp_path / "paper" / f"differences-{size}.svg").getroot()
        widths[size] = float(root.attrib["width"].removesuffix("pt")) / 72
    assert widths == pytest.approx({"single": 3.25, "double": 6.75}, abs=0.01)


def test_any_number_of_runs_can_be_compared(ablation: Make, tmp_path: Path) -> None:
    for name, gain in (("before", 0.0), ("one", 0.05), ("two", 0.2)):
        ablation({f"arm {at}": [gain + 0.1 + at / 100, gain + 0.11 + at / 100] for at in range(3)}, folder=name)
    pairs = compare_all([tmp_path / name for name in ("before", "one", "two")])
    page = document(pairs)
    assert page.question == "Do one and two have lower errors than before?"
    assert "one differs from before by +5.00 points" in page.answer
    assert "two differs from before by +20.00 points" in page.answer
    (grid,) = [block for block in page.sections[0].blocks if isinstance(block, Grid)]
    assert list(grid.headings[2:]) == [
        "before, %",
        "one, %",
        "one: difference, points",
        "two, %",
        "two: difference, points",
    ]
    assert {row[6].text for row in grid.rows} == {"+20.00 [+20.00, +20.00] *"}
    assert [path.name for path in report(pairs, ["md"])] == ["compare-one-two.md"]


def test_one_run_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only one run; give at least two to compare"):
        compare_all([tmp_path / "a"])
