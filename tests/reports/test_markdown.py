"""Markdown shows everything on a page, and escapes all markup in texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import HOSTILE, costs, grid, study

from reports.markdown import escape, render
from reports.page import Cell, Facts, Grid, Link, Page, Section, Text


def section(*blocks: Text | Facts | Grid, heading: str = "Found") -> str:
    return render(Page("t", "q", "a", "s", sections=[Section(heading, blocks)]))


@given(st.text())
def test_no_text_closes_a_cell_or_starts_a_line(text: str) -> None:
    escaped = escape(text)
    assert "\n" not in escaped
    assert "|" not in escaped.replace("\\|", "")


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_any_text_of_a_page_is_escaped(text: str) -> None:
    made = render(study(text))
    for part in ("<script", "<img", "<style", "</title"):
        assert made.count(part) == made.count(f"\\{part}")


def test_the_question_and_the_answer_come_before_the_evidence() -> None:
    made = render(Page("a study", "Is it so?", "It is so.", "all done", "but wait", [Section("Found", [grid()])]))
    assert made.startswith("# Is it so? It is so.\n\nStudy: a study\n\nall done\n\n**but wait**\n\n## Found\n\n")


def test_a_study_without_a_question_is_not_named_twice() -> None:
    assert render(Page("name", "name", "It is so.", "")) == "# name: It is so.\n"


def test_a_table_has_its_caption_its_marks_and_its_notes() -> None:
    rows = [
        [Cell("base", mark="baseline"), Cell("1.0")],
        [Cell("good", note="why"), Cell("0.5", mark="best")],
        [Cell("late"), Cell("0.7", mark="open")],
    ]
    table = Grid(
        "Arms", ["arm", "error"], ["error"], rows, notes=["last"], legend={"open": "may change", "best": "best"}
    )
    assert section(table).split("## Found\n\n")[1] == (
        "### Arms\n\n"
        "| arm | error |\n|---|---:|\n| base (baseline) | 1.0 |\n| good<sup>a</sup> | **0.5** |\n| late | 0.7~ |\n\n"
        "- <sup>a</sup> why\n- last\n- ~: may change\n- Bold: best\n"
    )


def test_a_caption_that_is_the_heading_is_not_repeated() -> None:
    assert "###" not in section(grid(), heading="All arms")


def test_a_picture_is_a_link_to_a_file_with_a_text_alternative_and_a_caption() -> None:
    made = render(Page("", "", "", "", sections=[Section("Found", [costs()])]))
    assert "![Three points](costs.svg)\n\n*Costs*" in made


def test_facts_are_a_list_and_texts_are_paragraphs() -> None:
    made = section(Text(["one", "two"]), Facts([("data", "digits"), ("study", Link("study.yaml", "../study.yaml"))]))
    assert "one\n\ntwo\n\n- data: digits\n- study: [study.yaml](../study.yaml)\n" in made
