"""The document of a search shows its front, how the front was found, and the networks' fields."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pages import blocks, headings, table

from ablations.published import catalogue
from reports import html, latex, markdown
from reports.document.search_figures import front_picture, stopped_early
from reports.page import Facts, Grid, Picture, Text
from reports.published import LABEL
from resnet_space import api
from resnet_space.api import document, studies
from search.exploring.run import SearchRun

CIFAR = catalogue("cifar10")
STUDY = {
    "name": "small",
    "kind": "search",
    "question": "Which is best?",
    "space": {"base": "resnet20", "axes": {"stages.*.units": [1, 2]}},
    "objectives": ["error", "macs", "params"],
    "budget": {"trials": 2},
    "confirm": 0,
    "data": {"name": "digits", "limit": 100},
    "recipe": {"base": "digits", "epochs": 1},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SearchRun:
    path = tmp_path_factory.mktemp("search") / "run"
    found = api.run(studies.of(STUDY, source="small"), path, inline=True)
    assert isinstance(found, SearchRun)
    return found


def test_sections_have_a_fixed_order(run: SearchRun) -> None:
    expected = ["The front", "Figures", "Differences between the networks", "Setting"]
    if len(run.front) == 1:
        expected.remove("Differences between the networks")
    assert [heading for heading in headings(document(run)) if heading in expected] == expected


def test_the_front_is_a_table_with_one_row_per_network_and_notes_on_the_search(run: SearchRun) -> None:
    page = document(run)
    grid, lines = blocks(page, "The front")
    assert isinstance(grid, Grid)
    assert [row[0].text for row in grid.rows] == [point.key for point in run.front]
    assert any(note.startswith("errors: mean ± standard deviation") for note in grid.notes)
    assert isinstance(lines, Text)
    assert lines.lines[0] == f"searched by {run.study.sampler.kind}: 2 trials started (2 complete)."


def test_the_answer_reports_the_size_of_the_front_and_the_lowest_error(run: SearchRun) -> None:
    page = document(run)
    assert page.answer.startswith(f"{len(run.front)} networks are on the front, 0 of them confirmed; ")
    assert page.answer in html.render(page)
    assert page.answer in markdown.render(page)


def test_every_network_of_the_front_is_listed_with_the_fields_that_differ(run: SearchRun) -> None:
    (_, facts) = blocks(document(run), "Differences between the networks")
    assert isinstance(facts, Facts)
    assert [key for key, _ in facts.rows] == [point.key for point in run.front]


def test_an_objective_without_importances_has_the_reason_below_the_figures(run: SearchRun) -> None:
    *_, reasons = blocks(document(run), "Figures")
    assert isinstance(reasons, Text)
    assert all("of 20 needed" in line for line in reasons.lines)
    assert len(reasons.lines) == 3


def test_a_terminal_and_a_paper_show_the_front_with_the_question_as_caption(run: SearchRun) -> None:
    page = document(run)
    (shown, lines), (printed,) = page.sections[0].brief, page.sections[0].paper
    assert isinstance(shown, Grid)
    assert isinstance(lines, Text)
    assert (shown.caption, printed.caption) == ("Which is best?", "Which is best?")
    assert lines.lines[0] == page.answer
    assert "confirmed" not in printed.headings


def test_published_results_are_in_the_figure_of_each_cost_and_in_one_table_after_the_last(run: SearchRun) -> None:
    page = document(run, published=CIFAR)
    macs, params, published, *_ = blocks(page, "Figures")
    assert isinstance(macs, Picture)
    assert isinstance(params, Picture)
    assert (macs.stem, params.stem) == ("front-macs", "front-params")
    assert [line for line in params.figure.axes[0].lines if line.get_gid() == "published"]
    assert "(this run is on digits)" in params.caption
    assert published == table(page, LABEL.capitalize())
    assert markdown.render(page).count("| network | error on | error, % |") == 1
    assert LABEL.capitalize() in html.render(page)
    assert "1608.06993 table 2" in latex.render(page)


def test_a_front_of_one_network_says_what_the_winner_is_and_has_no_empty_sections(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    space = {"base": "resnet20", "set": {"stages.*.units": 1}, "axes": {"width": [0.25]}}
    fields = {**STUDY, "space": space, "budget": {"trials": 1}, "confirm": 1, "name": "one"}
    found = api.run(studies.of(fields, source="one"), tmp_path_factory.mktemp("one") / "run", inline=True)
    page = document(found)
    (point,) = found.front  # type: ignore[union-attr]
    assert page.answer.startswith(f"width=0.25 (network {point.key}) is best in all objectives: validation error ")
    assert page.answer.endswith("; confirmed with fresh seeds.")
    assert page.headline in html.render(page)
    assert "Differences between the networks" not in headings(page)
    assert all(section.blocks for section in page.sections)
    assert table(page, "Networks on the front").rows[0][1].text == "width=0.25"


def test_a_search_without_results_has_a_line_and_no_table(run: SearchRun) -> None:
    page = document(replace(run, front=[], nets={}, results=run.results.iloc[:0], records=run.records[:1]))
    assert page.answer == "No network has a finished trial yet."
    (lines,) = page.sections[0].brief
    assert isinstance(lines, Text)
    assert lines.lines[0] == page.answer
    assert not any(isinstance(block, Grid) for block in page.sections[0].blocks)


def test_pruned_networks_are_drawn_at_their_last_error(run: SearchRun) -> None:
    first, *rest = run.records
    stopped = replace(run, records=[replace(first, status="pruned"), *rest])
    ((macs, error),) = stopped_early(stopped, "macs")
    assert macs == first.macs
    assert error == run.curves[run.curves["key"] == first.key]["validation_error"].iloc[-1]
    assert "crosses: stopped early" in front_picture(stopped, "macs").caption
