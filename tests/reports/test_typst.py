"""Typst gets the tables for a paper, with all text in string literals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reports.page import Cell, Grid, Page, Section, Text
from reports.typst import render, string, table


def test_only_the_tables_for_papers_are_printed_with_caption_label_and_notes() -> None:
    rows = [[Cell("base", mark="baseline"), Cell("1.39 ± 0.20", mark="best")], [Cell("late"), Cell("2.0", mark="open")]]
    legend = {"open": "can still change", "best": "better than all"}
    grid = Grid("Is it so?", ["arm", "error, %"], ["error, %"], rows, notes=["95 %."], legend=legend, label="made")
    text = render(Page("my_study", "q", "a", "s", sections=[Section("Arms", [Text(["full"])], paper=[grid])]))
    assert text.startswith("// my_study\n")
    assert "full" not in text
    assert 'caption: "Is it so?",' in text
    assert "align: (left, right,)," in text
    assert '"base (baseline)", strong("1.39\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.20"),' in text
    assert '"late", "2.0" + super("†"),' in text
    assert '    "95 %. † can still change Bold: better than all"\n' in text
    assert text.endswith(") <tab:made>\n")


def test_a_note_of_a_cell_has_a_letter() -> None:
    made = table(Grid("c", ["arm"], [], [[Cell("x", note="why")]]))
    assert '"x" + super("a"),' in made
    assert '"a why."' in made


@given(st.text())
def test_no_text_leaves_its_string(text: str) -> None:
    literal = string(text)
    assert literal.startswith('"')
    assert literal.endswith('"')
    assert "\n" not in literal
    inner = literal[1:-1].replace("\\\\", "").replace('\\"', "")
    assert '"' not in inner
    assert not inner.endswith("\\")
