"""The document of a study on several data sets: what is known over all of them, what cannot be, and each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from drawings import part, texts_in
from pages import blocks, headings, table

from ablations.across.run import RunAcross
from reports import html, latex, markdown
from reports.page import Facts, Grid, Page, Picture, Text
from reports.terminal import render
from resnet_space.api import document

Make = Callable[..., RunAcross]

WOBBLE = (0.001, -0.001, 0.0)
NAMES = ("base", "one", "two", "three")


def errors(base: float, *gaps: float) -> dict[str, list[float]]:
    return {
        name: [base + gap + (1 + at) * each for each in WOBBLE]
        for at, (name, gap) in enumerate(zip(NAMES, (0.0, *gaps), strict=False))
    }


def page(across: Make, sets: int, *, gaps: tuple[float, ...] = (0.02, 0.04, 0.06), **fields: Any) -> Page:
    rows = [errors(0.1 * at, *(gap * (1 + 0.02 * at) for gap in gaps)) for at in range(1, sets + 1)]
    return document(across(rows, **fields))


def texts(page: Page, heading: str) -> str:
    """All notes and paragraphs of a section."""
    found = blocks(page, heading)
    return "\n".join(
        line
        for block in found
        for line in (block.notes if isinstance(block, Grid) else block.lines if isinstance(block, Text) else ())
    )


def test_all_data_sets_come_first_and_then_each_of_them(across: Make) -> None:
    found = headings(page(across, 2))
    assert found[:2] == ["Differences over data sets", "Ranks over data sets"]
    assert [heading for heading in found if heading.startswith("Arms on")] == [
        "Arms on fake (classes=2)",
        "Arms on fake (classes=3)",
    ]
    assert found[-1] == "Setting"


def test_the_answer_is_about_all_data_sets(across: Make) -> None:
    found = page(across, 3, planned={"compare": ["one", "two"]})
    assert found.answer.startswith(
        "Over 3 data sets, of 2 planned comparisons with base: 2 worse (one by 2.08 points; two by 4.16 points)."
    )
    assert "By their ranks, the 4 arms differ (Friedman, p = 0.00" in found.answer
    assert found.answer.endswith("the best average rank is 1.00 (base).")


def test_a_comparison_has_its_mean_its_prediction_and_its_heterogeneity(across: Make) -> None:
    plan = {"compare": ["two"], "test": "paired_t"}
    grid = table(page(across, 3, planned=plan), "Planned comparisons over data sets")
    (row,) = [dict(zip(grid.headings, row, strict=True)) for row in grid.rows]
    assert row["mean difference, points"].text.startswith("+4.16 [+")
    assert row["mean difference, points"].text.endswith("] *")
    assert row["next data set, points"].text.startswith("[+")
    assert (row["τ, points"].text, row["I²"].text) == ("0.00", "0%")
    assert row["Q (p)"].text == "0.20 (0.905)"
    assert (row["finding"].text, row["finding"].mark) == ("worse by 4.16 points on average", "resolved")


def test_each_difference_is_shown_by_data_set(across: Make) -> None:
    grid = table(page(across, 2), "Differences by data set, points")
    assert list(grid.headings) == ["arm", "against", "fake (classes=2)", "fake (classes=3)", "mean"]
    assert [cell.text.split()[0] for cell in grid.rows[0][2:]] == ["+2.04", "+2.08", "+2.06"]


def test_with_two_data_sets_the_report_says_what_cannot_be_shown(across: Make) -> None:
    found = page(across, 2, gaps=(0.02, 0.04))
    ranks, differences = texts(found, "Ranks over data sets"), texts(found, "Differences over data sets")
    assert "Friedman's test cannot show anything with 3 arms on 2 data sets" in ranks
    assert "p is 1/6, above 0.05" in ranks
    assert "average ranks of 3 arms differ by at most 2: with 2 data sets no two arms can be distinguished" in ranks
    assert "at least 3 data sets are needed" in ranks
    assert "2 data sets give an interval with one degree of freedom, and no p-value" in differences
    assert not any(isinstance(block, Picture) for block in blocks(found, "Ranks over data sets"))
    assert "Friedman" not in found.answer
    grid = table(found, "Exploratory comparisons over data sets")
    assert "2 data sets; a test over data sets needs 3" in grid.lettered


def test_with_two_arms_there_are_no_ranks(across: Make) -> None:
    assert "Ranks over data sets" not in headings(page(across, 3, gaps=(0.02,)))


def test_the_diagram_of_ranks_has_a_text_alternative_and_joins_what_cannot_be_told_apart(across: Make) -> None:
    found = page(across, 4)
    (picture,) = [block for block in blocks(found, "Ranks over data sets") if isinstance(block, Picture)]
    assert picture.alt == (
        "Average ranks: base 1.00, one 2.00, two 3.00, three 4.00. "
        "Cannot be distinguished: base and one and two; one and two and three."
    )
    assert [list(bar.get_xdata()) for at in (1, 2) for bar in part(picture.figure, f"group-{at}")] == [[1, 3], [2, 4]]
    assert "base  1.00" in texts_in(picture.figure)


def test_the_figure_of_differences_has_a_row_for_each_data_set_and_one_for_the_mean(across: Make) -> None:
    found = page(across, 2, gaps=(0.02,))
    (picture,) = [block for block in blocks(found, "Differences over data sets") if isinstance(block, Picture)]
    rows = {"one, fake (classes=2)", "one, fake (classes=3)", "one, mean"}
    assert rows <= set(texts_in(picture.figure))
    assert picture.alt == "one: fake (classes=2) +2.04 points, fake (classes=3) +2.08 points, mean +2.06 points"


def test_a_terminal_shows_which_data_set_an_answer_is_about(across: Make) -> None:
    lines = [line for line in render(page(across, 2, gaps=(0.02,))) if isinstance(line, str)]
    answers = [line for line in lines if "No comparison was planned" in line]
    assert [answer.partition(" ")[0] for answer in answers] == ["Over", "fake", "fake"]
    assert [answer.partition(":")[0] for answer in answers[1:]] == ["fake (classes=2)", "fake (classes=3)"]


def test_comparisons_by_several_measures_are_named_and_drawn_apart(across: Make) -> None:
    plan = {"compare": ["one", {"arm": "one", "measure": "validation_error"}]}
    found = page(across, 3, gaps=(0.02,), planned=plan)
    grid = table(found, "Planned comparisons over data sets")
    assert [row[list(grid.headings).index("measure")].text for row in grid.rows] == ["test error", "validation error"]
    pictures = [block.stem for block in blocks(found, "Differences over data sets") if isinstance(block, Picture)]
    assert pictures == ["differences-over-data-sets", "differences-over-data-sets-validation-error"]
    assert "(one by 2.08 points in test error; one by 2.08 points in validation error)" in found.answer


def test_arms_without_a_result_on_some_data_set_are_named(across: Make) -> None:
    rows = [errors(0.1, 0.02, 0.04, 0.06), {**errors(0.2, 0.02, 0.04, 0.06), "three": [None] * 3}]
    notes = texts(document(across(rows)), "Ranks over data sets")
    assert "not ranked, since they have no result on some data set: three." in notes


def test_a_comparison_with_one_seed_on_a_data_set_says_why_it_has_no_heterogeneity(across: Make) -> None:
    rows = [{"base": [0.1, None, None], "one": [0.2, None, None]}, errors(0.2, 0.02), errors(0.3, 0.03)]
    grid = table(document(across(rows)), "Exploratory comparisons over data sets")
    assert "no heterogeneity: no standard error on fake (classes=2)" in grid.lettered


def test_the_setting_has_each_data_set_with_its_fingerprint(across: Make) -> None:
    (facts,) = [block for block in blocks(page(across, 2), "Setting") if isinstance(block, Facts)]
    data = [fact for term, fact in facts.rows if term == "data"]
    assert [fact.partition(",")[0] for fact in data] == ["fake (classes=2)", "fake (classes=3)"]
    assert all("fingerprint" in fact for fact in data)
    assert "data fingerprint" not in dict(facts.rows)


@pytest.mark.parametrize("seeds", [{"min": 3, "max": 5}])
def test_seeds_that_are_added_on_each_data_set_for_itself_are_noted(seeds: Any, across: Make) -> None:
    found = page(across, 2, seeds=seeds, planned={"compare": ["one"]})
    assert "seeds were added on each data set for itself" in texts(found, "Differences over data sets")


def test_an_unfinished_run_has_a_page_in_every_format(across: Make) -> None:
    waiting: dict[str, list[Any]] = {name: [None, None] for name in NAMES}
    found = document(across([waiting, {**waiting, "base": [0.1, 0.2]}]))
    assert found.warning
    assert found.answer.startswith("Over 2 data sets, of 3 comparisons with base: 3 no results (one; two; three).")
    assert found.answer.endswith("Some trials are still waiting.")
    for text in (html.render(found), markdown.render(found), latex.render(found), "".join(map(str, render(found)))):
        assert text


def test_names_of_files_and_labels_are_unique(across: Make) -> None:
    found = page(across, 3)
    stems = [picture.stem for picture in found.pictures]
    labels = [grid.label for section in found.sections for grid in section.paper]
    assert len(set(stems)) == len(stems)
    assert len(set(labels)) == len(labels) == 5
    assert "1-fake-classes-2-differences" in stems


def test_latex_prints_the_greek_letters_of_the_notes(across: Make) -> None:
    text = latex.render(page(across, 3))
    assert r"$\tau$" in text
    assert r"$\chi$$^2$" in text
    assert "?" not in text.replace("made?", "")
