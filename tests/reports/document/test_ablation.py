"""The document of an ablation reports findings, their certainty, and lost trials, in every format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pages import blocks, facts, headings, table

from ablations.published import catalogue
from ablations.run import AblationRun
from reports import html, markdown
from reports.document.ablation import SECTIONS
from reports.document.image_tables import NOTHING_STORED
from reports.page import Cell, Grid, Link, Picture, Text
from reports.published import LABEL
from resnet_space.api import document

Make = Callable[..., AblationRun]
ERRORS = {"base": [0.010, 0.012, 0.011], "bad": [0.310, 0.313, 0.312], "lost": [0.1, "diverged", 0.2]}
PLANNED = {"compare": ["bad", "lost"]}
CIFAR = catalogue("cifar10")


def column(grid: Grid, heading: str) -> list[Cell]:
    return [row[list(grid.headings).index(heading)] for row in grid.rows]


def test_sections_have_a_fixed_order_and_empty_sections_are_left_out(ablation: Make) -> None:
    complete = document(ablation(ERRORS, planned=PLANNED, epochs=2), published=CIFAR)
    expected = [
        "Arms",
        "Differences",
        "Learning curves",
        "Error against complexity",
        "Failed and diverged trials",
        "Setting",
    ]
    assert [heading for heading in headings(complete) if heading in expected] == expected
    bare = headings(document(ablation({"base": [None, None]}, folder="bare")))
    assert [heading for heading in bare if heading in expected] == ["Arms", "Setting"]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_section_with_content_is_on_the_page(section: Callable[..., Any], ablation: Make) -> None:
    run = ablation(ERRORS, planned=PLANNED, epochs=2, predicted=True)
    made = section(run, ())
    assert (made is not None and made.heading) in [*headings(document(run)), False]


def test_the_table_of_arms_marks_the_baseline_and_the_best_arm(ablation: Make) -> None:
    arms = table(document(ablation({"base": [0.31, 0.32, 0.33], "good": [0.01, 0.02, 0.032]})), "Arms")
    assert [(cell.text, cell.mark) for cell in column(arms, "arm")] == [("base", "baseline"), ("good", "")]
    assert [(cell.text, cell.mark) for cell in column(arms, "test error, %")] == [
        ("32.00 ± 1.00", ""),
        ("2.07 ± 1.10", "best"),
    ]
    assert arms.legend["best"]
    assert arms.arms == [0, 1]


def test_a_value_that_can_still_change_is_marked_as_open(ablation: Make) -> None:
    page = document(ablation({"base": [0.1, 0.11, 0.1], "open": [0.2, None, None], "none": [None, None, None]}))
    arms = table(page, "Arms")
    for heading in ("test error, %", "n", "difference, points"):
        assert column(arms, heading)[1].mark == "open"
        assert column(arms, heading)[0].mark == "", "a final value has no mark"
    assert column(arms, "difference, points")[2].mark == "", "an empty cell has no mark"
    assert "5 waiting" in page.state
    assert page.warning == "Unfinished run: numbers can still change."


def test_a_finished_run_has_no_warning(ablation: Make) -> None:
    page = document(ablation(ERRORS))
    assert page.warning == ""
    assert table(page, "Arms").legend == {}


def test_planned_and_exploratory_comparisons_are_separate_tables(ablation: Make) -> None:
    page = document(ablation(ERRORS, planned={"compare": ["bad"]}))
    _, planned, exploratory = blocks(page, "Differences")
    assert isinstance(planned, Grid)
    assert isinstance(exploratory, Grid)
    assert (planned.caption, [cell.text for cell in column(planned, "arm")]) == ("Planned comparisons", ["bad"])
    assert (exploratory.caption, [cell.text for cell in column(exploratory, "arm")]) == (
        "Exploratory comparisons",
        ["lost"],
    )
    assert [cell.mark for cell in column(planned, "finding")] == ["resolved"]


def test_a_comparison_without_a_p_value_gives_the_reason(ablation: Make) -> None:
    page = document(ablation({"base": [0.1, 0.2], "other": [0.15, 0.24]}, planned={"test": "paired_t"}))
    (p,) = column(table(page, "Exploratory comparisons"), "p")
    assert (p.text, p.note) == ("", "2 pairs of seeds; a test needs 3")
    assert p.note in html.render(page)
    assert p.note in markdown.render(page)


def test_the_setting_reports_the_network_and_the_data_of_the_run(ablation: Make) -> None:
    found = facts(document(ablation(ERRORS)))
    assert found["network"] == "resnet20, width=0.25, stages.*.units=1"
    assert str(found["data"]).startswith("digits")
    assert str(found["seeds"]).startswith("0 to 2")
    assert found["study"] == Link("study.yaml", "../study.yaml")


def test_the_setting_reports_whether_comparisons_were_planned_before_the_first_trial(ablation: Make) -> None:
    first = ablation(ERRORS, planned={"compare": ["bad"]})
    assert "stored before the first trial" in str(facts(document(first))["planned comparisons"])
    later = ablation(ERRORS, planned=PLANNED)
    assert "changed after the first trial" in str(facts(document(later))["planned comparisons"])
    (section, *_) = document(later).sections
    lines = [line for block in section.brief if isinstance(block, Text) for line in block.lines]
    assert any("all comparisons are reported as exploratory" in line for line in lines)


def test_the_setting_reports_the_source_and_the_notes_of_a_study(ablation: Make) -> None:
    page = document(ablation(ERRORS, source="1603.05027", notes="A note."))
    assert blocks(page, "Setting")[0] == Text(["Source: 1603.05027.", "A note."])


def test_failed_and_diverged_trials_are_reported_with_an_exact_interval_and_by_reason(ablation: Make) -> None:
    page = document(ablation(ERRORS, planned=PLANNED))
    assert (
        "lost: 1 of 3 trials diverged or failed to train, 33% (95 % interval 1% to 91%, exact); baseline: 0 of 3, "
        "p = 1.000." in table(page, "Arms").notes
    )
    rows = [[cell.text for cell in row] for row in table(page, "Trials by reason").rows]
    assert rows == [["diverged", "because", "1"]]


def test_a_terminal_shows_the_answer_then_the_table_and_at_most_six_notes(ablation: Make) -> None:
    page = document(ablation(ERRORS, planned=PLANNED, question="Is it so?"))
    (finding, arms, notes), (images,), (lost,) = [section.brief for section in page.sections if section.brief]
    assert finding == Text([page.answer])
    assert isinstance(arms, Grid)
    assert arms.caption == "Is it so?"
    assert isinstance(notes, Text)
    assert len(notes.lines) <= 6
    assert "diverged or failed to train: lost 1 of 3." in notes.lines
    assert images == Text([NOTHING_STORED])
    assert lost == Text(["1 of 9 trials diverged: because"])


def test_a_paper_prints_the_arms_with_diverged_trials_as_notes(ablation: Make) -> None:
    page = document(ablation(ERRORS, planned=PLANNED, question="Is it so?"))
    ((arms,),) = [section.paper for section in page.sections if section.paper]
    assert "outcome" not in arms.headings
    assert column(arms, "test error, %")[2].note == "trained, 1 of 3 diverged; mean over those that trained"
    assert arms.caption == f"Is it so? {page.answer}"
    assert arms.label == "made"


def test_every_document_shows_every_heading(ablation: Make) -> None:
    page = document(ablation(ERRORS, planned=PLANNED, epochs=2))
    web, text = html.render(page), markdown.render(page)
    for heading in headings(page):
        assert f">{heading}</h2>" in web
        assert f"\n## {heading}\n" in text


def test_published_results_are_left_out_by_default(ablation: Make) -> None:
    page = document(ablation(ERRORS))
    assert LABEL not in markdown.render(page)
    assert LABEL not in html.render(page)


def test_published_results_are_a_table_below_the_figure_with_counted_costs_labelled(ablation: Make) -> None:
    page = document(ablation(ERRORS), published=CIFAR)
    picture, published = blocks(page, "Error against complexity")
    assert isinstance(picture, Picture)
    assert isinstance(published, Grid)
    rows = [tuple(cell.text for cell in row) for row in published.rows]
    costs = ("850k", "127M, counted", "1512.03385 table 6", "")
    assert ("resnet56 option A", "cifar10", "6.97", "1 run", "", *costs) in rows
    best = next(row for row in rows if row[0] == "resnet110 option A")
    assert best[2:5] == ("6.43", "best of 5", "6.61 ± 0.16")
    assert "nin" not in [row[0] for row in rows], "a result without a cost is left out"
    assert LABEL in picture.caption


@pytest.mark.parametrize("arm", ["<b>other</b>", "a|b", "$x$"])
def test_a_table_row_and_the_figures_use_the_same_index_for_an_arm(ablation: Make, arm: str) -> None:
    page = html.render(document(ablation({"base": [0.1, 0.2], arm: [0.15, 0.24]})))
    assert "<b>other" not in page
    assert page.count('data-arm="1"') >= 2


def test_the_setting_reports_every_field_of_the_recipe_in_words(ablation: Make) -> None:
    run = ablation(ERRORS)
    recipe = str(facts(document(run))["recipe"])
    assert recipe.startswith("length: ")
    for words in (
        "learning rate: 0.1",
        "momentum: 0.9",
        "Nesterov momentum: no",
        "weight decay: 0.0001",
        "warm-up: none",
    ):
        assert words in recipe
    assert recipe.count("; ") == len(set(type(run.study.recipe).model_fields) - {"epochs", "steps"})


def test_the_setting_reports_what_each_arm_changes_in_the_network(ablation: Make) -> None:
    found = str(facts(document(ablation({"base": [0.1, 0.11], "other, one": [0.2, 0.22]})))["networks of arms"])
    assert found.startswith("base (")
    assert "; “other, one” (" in found


def test_the_setting_reports_what_arms_are_matched_to_and_how_closely(ablation: Make) -> None:
    run = ablation({"base": [0.1, 0.11], "other": [0.2, 0.22]}, match={"macs": "baseline", "tolerance": 0.03})
    assert facts(document(run))["equal complexity"] == (
        "each arm is also rescaled by width to the MACs of base, within 3 %"
    )


def test_a_name_with_a_comma_is_quoted_in_sentences(ablation: Make) -> None:
    run = ablation({"base": [0.01, 0.012, 0.011], "gate, bias -6": [0.31, 0.313, 0.312]})
    page = document(run)
    assert page.answer.startswith("“gate, bias -6” is worse than base, by 30.07 points.")
    assert table(page, "Arms").rows[1][0].text == "gate, bias -6"


def test_comparisons_are_sorted_by_size_and_numbers_of_the_table_of_arms_are_not_repeated(ablation: Make) -> None:
    errors = {
        "base": [0.10, 0.102, 0.101],
        "worst": [0.15, 0.151, 0.152],
        "better": [0.01, 0.012, 0.011],
        "none": [None] * 3,
    }
    page = document(ablation(errors))
    grid = table(page, "Exploratory comparisons")
    assert [cell.text for cell in column(grid, "arm")] == ["better", "worst", "none"]
    assert not [heading for heading in grid.headings if heading.startswith("difference")]
    assert [cell.text for cell in column(grid, "finding")] == ["better", "worse", "no results to compare yet"]
    assert [cell.text for cell in column(table(page, "Arms"), "verdict")] == ["", "worse", "better", "no results"]


def test_arms_that_cost_almost_the_same_have_no_figure_of_error_against_complexity(ablation: Make) -> None:
    alike = ablation({"a": [0.1, 0.11], "b": [0.2, 0.22]})
    costs = {arm.macs for arm in alike.summaries}
    different = max(costs) >= 1.25 * min(costs)
    assert ("Error against complexity" in headings(document(alike))) == different


def test_a_run_without_results_has_no_empty_figures(ablation: Make) -> None:
    page = document(ablation({"a": ["diverged", "diverged"], "b": ["diverged", "diverged"]}))
    for picture in page.pictures:
        assert all(axes.lines or axes.patches or axes.images for axes in picture.figure.axes)
